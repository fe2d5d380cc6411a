"""A sweep asks for the numbers of a training step alone: they are those of the whole estimate."""

from dataclasses import replace
from typing import Any

import pytest

from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.sweep import Question
from vram_advisor.memory.timeline import estimate_training, training_numbers
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu, list_gpus
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sweep.kinds import kinds

CASES: tuple[dict[str, Any], ...] = (
    {"model": "llama-3.1-8b", "method": "lora", "quantization": "bf16"},
    {"model": "llama-2-7b", "method": "qlora", "quantization": "nf4_double", "loss": "liger", "micro_batch_size": 4},
    {"model": "gemma-2-9b", "method": "full", "optimizer": "adamw_bnb_8bit", "gradient_checkpointing": "full"},
    {"model": "qwen3-8b", "method": "full", "num_gpus": 4, "sharding": "fsdp_full", "recipe": "trl"},
    {"model": "qwen3-30b-a3b", "method": "lora", "quantization": "bf16", "lengths": "varied", "recipe": "axolotl"},
    {"model": "llama-3.2-1b", "method": "lora", "quantization": "bf16", "gradient_checkpointing": "offload"},
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']} {case['method']}")
@pytest.mark.parametrize("scale", [1.0, 1.03])
def test_numbers_alone_are_those_of_the_estimate(case: dict[str, Any], scale: float) -> None:
    asked = dict(case)
    model = find_model(asked.pop("model"))
    names = Workload.__dataclass_fields__
    workload = Workload(**{name: value for name, value in asked.items() if name in names})
    plan = Plan(**{name: value for name, value in asked.items() if name not in names})
    measured = replace(NOMINAL.activation_scale, value=scale)
    coefficients = replace(NOMINAL, activation_scale=measured)
    device = device_from_spec(find_gpu("h100-sxm"), plan.num_gpus, "linux")
    for length in (256, 2048, 8192):
        question = (model, replace(workload, sequence_length=length), plan, recipe(plan.recipe), device, coefficients)
        alone, whole = training_numbers(*question), estimate_training(*question)
        assert (alone.peak, alone.minimum_mean, alone.minimum_sd) == (
            whole.peak,
            whole.minimum_mean,
            whole.minimum_sd,
        )


def test_cards_with_other_kernels_are_of_another_kind() -> None:
    """On Windows a card of NVIDIA has no flash attention, and what the catalogue knows no kernels of is as on Linux."""
    question = Question(Workload(method="lora"), Plan())
    for system, count in (("linux", 3), ("windows", 4)):
        cards = [device_from_spec(card, 1, system) for card in list_gpus()]
        assert len(kinds([question], cards).examples) == count
