"""A grid is the same computation on arrays."""

from dataclasses import replace

import numpy as np

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.grid import training_grid
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.catalog_models import find_model


def test_every_point_of_a_grid_equals_the_single_estimate() -> None:
    model = find_model("qwen2.5-0.5b")
    batches, lengths = np.array([1, 2, 5])[:, None], np.array([16, 100, 700, 3000])[None, :]
    for stack, quantization in (("transformers-peft", "nf4_double"), ("trl-0.13", "bf16"), ("trl", "bf16")):
        plan, habits = Plan(recipe=stack, quantization=quantization), recipe(stack)
        for loss in (None, "liger"):
            levers = replace(plan, loss=loss)
            grid = training_grid(model, Workload(method="lora"), levers, habits, batches, lengths)
            assert grid.peak.shape == (3, 4)
            for i, b in enumerate(batches[:, 0]):
                for j, s in enumerate(lengths[0]):
                    workload = Workload(method="lora", micro_batch_size=int(b), sequence_length=int(s))
                    alone = estimate_training(model, workload, levers, habits)
                    assert grid.peak[i, j] == max(p.allocated_bytes for p in alone.phases), (stack, loss, b, s)
