"""Trials and measurements that are made up, for the tests of what is learnt from them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vram_advisor.calibration.figures import OWN_BYTES, OWN_RELATIVE, STEP_SD, reserved_error, simulated_error
from vram_advisor.calibration.prediction import Predict, Prediction, predicting
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Backend, Environment, Measurement, Trial
from vram_advisor.memory.correction import RESIDUAL
from vram_advisor.memory.overhead import CONTEXT_RESIDUAL
from vram_advisor.memory.setup import resolved
from vram_advisor.sources.catalog_models import find_record
from vram_advisor.units.bytes import GIB, MIB

CONFIG = dict(find_record("llama-3.1-8b").config)
CARD = Environment(
    backend="cuda", device="NVIDIA A100-SXM4-80GB", total_bytes=80 * GIB, sm_count=108, compute_capability="8.0",
    driver="570.124.06", system="linux", versions={"python": "3.12.1", "torch": "2.13.0"},
)  # fmt: skip
HOPPER = replace(CARD, device="NVIDIA H100 80GB HBM3", sm_count=132, compute_capability="9.0")
PROCESSOR = Environment(
    backend="cpu", device="A Processor", system="linux", versions={"python": "3.12.1", "torch": "2.13.0"}
)


def trial(length: int, backend: Backend = "cuda", stack: str = "transformers-peft", **levers: object) -> Trial:
    """A QLoRA of Llama 3.1 8B."""
    workload = Workload(method="qlora", sequence_length=length)
    plan = Plan(quantization="nf4_double", recipe=stack, **levers)  # type: ignore[arg-type]
    return Trial(config=CONFIG, workload=workload, plan=resolved(workload, plan, recipe(stack)), backend=backend)


def workspaces(card: Environment, k: Coefficients) -> int:
    """Of two threads [B]."""
    hopper = (card.compute_capability or "").startswith("9.")
    return 2 * int((k.cublas_workspace_hopper if hopper else k.cublas_workspace).value)


def closed_form(measurement: Measurement) -> Callable[[Coefficients], Prediction]:
    """A memory model of one line per channel: fast enough for laws about hundreds of fits."""
    tokens = measurement.trial.workload.sequence_length
    card = measurement.environment

    def predict(k: Coefficients) -> Prediction:
        resident = 6_200_000_000 + workspaces(card, k)
        growing = {"forward": 300_000, "loss_backward": 1_800_000, "backward_first": 900_000, "optimizer_step": 0}
        phases = {phase: resident + int(k.activation_scale.value * each * tokens) for phase, each in growing.items()}
        phases["optimizer_step"] += 160_000_000
        allocated = max(phases.values())
        reserved = allocated + k.slack_constant.value * GIB + k.slack_scale.value * 400_000 * tokens
        context = (k.context_base.value + k.context_per_sm.value * (card.sm_count or 0)) * MIB
        seconds = tokens * 1e-3 / k.throughput_efficiency.value
        simulated = measurement.simulated_bytes
        simulated = simulated and int(k.simulation_scale.value * simulated) + workspaces(card, k)
        return Prediction(resident, phases, allocated, int(reserved), int(context), seconds, simulated)

    return predict


def measured(
    length: int,
    k: Coefficients = NOMINAL,
    noise: np.random.Generator | None = None,
    card: Environment = CARD,
    predict: Predict = predicting,
    **levers: object,
) -> Measurement:
    """A run of a machine whose coefficients are ``k``, with errors of the size that is expected of runs."""
    draw = noise.standard_normal if noise else lambda: 0.0
    run = Measurement(trial=trial(length, card.backend, **levers), environment=card, outcome="measured")  # type: ignore[arg-type]
    exact = predict(run)(k)
    common = 1 + RESIDUAL * draw()

    def live(nbytes: int) -> int:
        return int(nbytes * common + float(np.hypot(OWN_BYTES, OWN_RELATIVE * nbytes)) * draw())

    gpu = card.backend == "cuda"
    reserved = int(exact.reserved_bytes + reserved_error(card.backend, exact.reserved_bytes) * draw())
    # What a simulated allocator would have to take for this.
    simulated = reserved - workspaces(card, k) + simulated_error(card.backend, reserved) * draw()
    return replace(
        run,
        resident_bytes=live(exact.resident_bytes),
        phase_bytes={phase: live(nbytes) for phase, nbytes in exact.phase_bytes.items()},
        allocated_bytes=live(exact.allocated_bytes),
        reserved_bytes=reserved,
        simulated_bytes=None if card.backend == "fake" else int(simulated / k.simulation_scale.value),
        context_bytes=int(exact.context_bytes + CONTEXT_RESIDUAL * MIB * draw()) if gpu else None,
        step_seconds=exact.step_seconds and exact.step_seconds * float(np.exp(STEP_SD * draw())),
    )
