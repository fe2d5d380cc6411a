"""Laws of FSDP2: what is gathered, held and reduced, beside steps of torch's own code.

One process is one of many here: collectives do nothing, and every buffer is made as among real ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from small import trial

from vram_advisor.calibration.beside import WITHOUT_WORKSPACES
from vram_advisor.domain.architectures import build
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Trial
from vram_advisor.memory.timeline import estimate_training

pytestmark = pytest.mark.trainers

LAYERS: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 1536, "vocab_size": 2048}
"""A model that is mostly layers; the usual one is mostly embeddings."""


@contextmanager
def one_of(processes: int) -> Iterator[None]:
    """A group of which this process is the first."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=processes)
    try:
        yield
    finally:
        dist.destroy_process_group()


def measured(t: Trial) -> dict[str, int]:
    """The most that was alive in each phase of the second step [B]."""
    from vram_advisor.calibration.sharded_model import build_shared
    from vram_advisor.calibration.shared_tracker import SharedTracker
    from vram_advisor.calibration.tracker_meter import TrackerMeter

    with one_of(t.processes):
        meter = TrackerMeter("cpu", tracker=SharedTracker("cpu", kernels={}))
        run = build_shared(t, "cpu")
        with meter.watching(run):
            for _ in range(2):
                meter.restart()
                run.step(run.lengths(0), meter)
                meter.rest()
        return meter.peaks.phases()


def estimated(t: Trial) -> Estimate:
    return estimate_training(build(t.config), t.workload, t.plan, recipe(t.plan.recipe), None, WITHOUT_WORKSPACES)


def shared(method: str = "full", processes: int = 2, sharding: Any = "fsdp_full", **others: Any) -> Trial:
    precision = others.pop("mixed_precision", None)
    checkpointing = others.pop("gradient_checkpointing", None)
    levers = Plan(
        num_gpus=processes, sharding=sharding, mixed_precision=precision, gradient_checkpointing=checkpointing
    )
    return trial(method, levers=levers, **{"layers": 4, **others})


@pytest.mark.parametrize(
    ("case", "allowed"),
    [
        ({}, 0.003),
        ({"processes": 8, "vocab_size": 32000, "layers": 2}, 0.003),
        ({"mixed_precision": "bf16"}, 0.003),
        ({"tie_word_embeddings": True, "mixed_precision": "bf16"}, 0.003),
        ({"sharding": "fsdp_grad_op"}, 0.003),
        ({"method": "lora"}, 0.003),
        ({"method": "lora", "gradient_checkpointing": "none", "length": 256, "batch": 2}, 0.003),
        ({"method": "lora", "length": 64, **LAYERS}, 0.003),
        ({"sharding": "fsdp_grad_op", "mixed_precision": "bf16", **LAYERS}, 0.005),
        ({"layers": 6, **LAYERS}, 0.015),
    ],
    ids=lambda case: " ".join(map(str, case.values())) if isinstance(case, dict) else "",
)
def test_the_peak_of_a_sharded_step(case: dict[str, Any], allowed: float) -> None:
    t = shared(**case)
    phases = measured(t)
    predicted = {p.phase: p.allocated_bytes for p in estimated(t).phases}
    assert max(predicted.values()) == pytest.approx(max(phases.values()), rel=allowed)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_gradients_of_several_micro_batches_add_up_whole(method: str) -> None:
    t = shared(method)
    t = replace(t, workload=replace(t.workload, gradient_accumulation_steps=2))
    predicted = {p.phase: p.allocated_bytes for p in estimated(t).phases}
    assert max(predicted.values()) == pytest.approx(max(measured(t).values()), rel=0.003)


def test_weights_that_stay_whole_fill_the_forward_pass() -> None:
    """The last layer runs with the weights of all of them, that is with three layers' more."""
    parts, kept = (estimated(shared(sharding=s, **LAYERS)) for s in ("fsdp_full", "fsdp_grad_op"))
    forward = [next(p for p in e.phases if p.phase == "loss_forward").allocated_bytes for e in (parts, kept)]
    layer = 2 * (2 * 512 * 512 + 2 * 512 * 256 + 3 * 512 * 1536 + 2 * 512)
    embedding = 2 * 2048 * 512
    assert forward[1] - forward[0] >= 3 * layer + embedding - 2 * layer
