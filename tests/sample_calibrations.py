"""Calibrations that are made up, for tests of the store, of matching and of the command line."""

from dataclasses import replace
from typing import Any

from vram_advisor import __version__
from vram_advisor.domain.calibration import Calibration, CalibrationKey, Learnt, calibration_id
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Backend, Environment, Measurement, Trial
from vram_advisor.memory.setup import resolved
from vram_advisor.units.bytes import GIB, MIB

LEARNT = (
    Learnt(name="activation_scale", prior=1.0, prior_sd=0.06, value=1.02, sd=0.004),
    Learnt(name="cublas_workspace", prior=8_519_680.0, prior_sd=12.0 * MIB, value=9e6, sd=4e6),
    Learnt(name="slack_scale", prior=1.0, prior_sd=0.35, value=0.9, sd=0.1),
    Learnt(name="slack_constant", prior=0.39, prior_sd=0.25, value=0.5, sd=0.08),
    Learnt(name="context_base", prior=15.0, prior_sd=55.0, value=-25.0, sd=14.0),
)
LLAMA_LIKE = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 4096, "vocab_size": 32000}
DRIVERS = {"cuda": "570.124.06"}


def measurement(
    length: int = 2048,
    gpu: str = "NVIDIA GeForce RTX 4090",
    backend: Backend = "cuda",
    stack: str = "transformers-peft",
    method: str = "qlora",
    torch: str = "2.13.0+cu128",
    **levers: Any,
) -> Measurement:
    """A run of a two-layer model."""
    workload = Workload(method=method, sequence_length=length)  # type: ignore[arg-type]
    plan = Plan(**{"quantization": "nf4_double", "recipe": stack, **levers})
    gpus = backend in ("cuda", "rocm")
    return Measurement(
        trial=Trial(
            config=LLAMA_LIKE, workload=workload, plan=resolved(workload, plan, recipe(stack)), backend=backend
        ),
        environment=Environment(
            backend=backend,
            device=gpu,
            total_bytes=24_564 * MIB if gpus else None,
            sm_count=128 if gpus else None,
            compute_capability="8.9" if gpus else None,
            driver=DRIVERS.get(backend),
            system="linux",
            versions={"python": "3.12.1", "torch": torch},
        ),
        outcome="measured",
        resident_bytes=GIB,
        phase_bytes={"loss_backward": 2 * GIB + length},
        allocated_bytes=2 * GIB + length,
        reserved_bytes=3 * GIB if gpus else None,
        context_bytes=430 * MIB if gpus else None,
        step_seconds=0.25,
    )


def calibration(created: str = "2026-11-21T15:30:12Z", learnt: tuple[Learnt, ...] = LEARNT, **run: Any) -> Calibration:
    """A calibration of two runs; ``run``: arguments of ``measurement``."""
    runs = (measurement(512, **run), measurement(4096, **run))
    environment = runs[0].environment
    key = CalibrationKey(
        backend=environment.backend,
        gpu=environment.device,
        driver="570" if environment.driver else None,
        torch=".".join(environment.versions["torch"].split(".")[:2]),
        recipe=runs[0].trial.plan.recipe,
        system=environment.system,
    )
    return Calibration(
        id=calibration_id(key, created), created=created, program=__version__, key=key, learnt=learnt, measurements=runs
    )


def moved(name: str, value: float, sd: float = 0.004) -> tuple[Learnt, ...]:
    """What was learnt, with one coefficient at another value."""
    return tuple(replace(row, value=value, sd=sd) if row.name == name else row for row in LEARNT)
