"""A calibration that is made up: what was planned, measured and learnt."""

from dataclasses import replace

from vram_advisor.calibration.calibrate import Calibrated
from vram_advisor.calibration.fit import Compared
from vram_advisor.domain.architectures import build
from vram_advisor.domain.calibration import Calibration, CalibrationKey, Learnt
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.protocol import PlannedRun, Protocol
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Environment, Measurement, Trial
from vram_advisor.memory.setup import resolved
from vram_advisor.units.bytes import GIB, MIB

CARD = Device(
    name="NVIDIA GeForce RTX 4090", count=1, source="detected", total_bytes=24 * GIB, free_bytes=23 * GIB,
    sm_count=128, compute_capability="8.9",
)  # fmt: skip


def run(depth: int, length: int, needed: int) -> PlannedRun:
    config: dict[str, object] = {
        "model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": depth, "num_attention_heads": 32, "num_key_value_heads": 8,
    }  # fmt: skip
    workload = Workload(method="lora", sequence_length=length)
    plan = resolved(workload, Plan(), recipe("transformers-peft"))
    trial = Trial(config=config, workload=workload, plan=plan, backend="cuda")
    return PlannedRun(trial, build(config, id="llama-3.1-8b"), depth, needed, 16.0)


RUNS = tuple(run(depth, length, GIB * (length // 256 + depth)) for length in (256, 2048) for depth in (3, 4))
PROTOCOL = Protocol(
    RUNS[0].model, RUNS, "cuda", CARD, notes=("Sequences are shortened from 4,096 to 2,048 tokens: what is longer does not fit.",)
)  # fmt: skip
ENVIRONMENT = Environment(
    backend="cuda", device="NVIDIA GeForce RTX 4090", total_bytes=24 * GIB, system="linux", versions={"torch": "2.13.0"}
)


def compared(run: int, channel: str, before: float, measured: float, after: float, **more: object) -> Compared:
    return Compared(run, channel, "", before, measured, after, more.get("weight", 1.0), more.get("at_least", False))  # type: ignore[arg-type]


DONE = Calibrated(
    PROTOCOL,
    Calibration(
        id="2026-11-24-153012-nvidia-geforce-rtx-4090-transformers-peft",
        created="2026-11-24T15:30:12Z",
        program="0.1.0",
        key=CalibrationKey(
            backend="cuda", gpu="NVIDIA GeForce RTX 4090", torch="2.13", recipe="transformers-peft", system="linux"
        ),
        learnt=(
            Learnt(name="activation_scale", prior=1.0, prior_sd=0.06, value=1.021, sd=0.004),
            Learnt(name="slack_scale", prior=1.0, prior_sd=0.35, value=0.93, sd=0.1),
            Learnt(name="slack_constant", prior=0.39, prior_sd=0.25, value=0.5, sd=0.08),
            Learnt(name="context_base", prior=15.0, prior_sd=55.0, value=-180.0, sd=20.0, bounded=True),
            Learnt(name="cublas_workspace", prior=8.0 * MIB, prior_sd=12.0 * MIB, value=9.0 * MIB, sd=2.0 * MIB),
        ),
        measurements=tuple(
            Measurement(trial=each.trial, environment=ENVIRONMENT, outcome="measured") for each in (RUNS[0], RUNS[3])
        ),
    ),
    (
        replace(compared(0, "allocated", 2.5 * GIB, 2.52 * GIB, 2.521 * GIB), phase="forward"),
        replace(compared(0, "allocated", 3.1 * GIB, 3.2 * GIB, 3.19 * GIB), phase="loss_backward"),
        compared(0, "reserved", 3.9 * GIB, 3.7 * GIB, 3.71 * GIB),
        compared(0, "context", 472 * MIB, 280 * MIB, 290 * MIB, weight=0.1),
        compared(0, "step_seconds", 0.31, 0.28, 0.285),
        compared(1, "allocated", 9.1 * GIB, 9.5 * GIB, 9.5 * GIB, at_least=True),
    ),
    NOMINAL,
    ("The run of 1 × 2,048 tokens is lost: Memory ran out: CUDA out of memory.",),
    "/home/somebody/.local/share/vram-advisor/calibrations/2026-11-24-153012.json",
)
