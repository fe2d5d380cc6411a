"""Steps that were timed on a processor, against what is foreseen after two of them.

A processor has no entry in the catalogue: its rates are measured beside the steps. They say whether the terms of a step
hold, for they are counted alike everywhere; they correct no answer about a card.
"""

import csv
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean, median
from typing import Literal

from vram_advisor.domain.architectures import build
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Span, Speed
from vram_advisor.domain.trial import Trial
from vram_advisor.memory.setup import resolved
from vram_advisor.sources.catalog_models import find_record
from vram_advisor.throughput.training import training_speed

COLUMNS = (
    "id", "date", "machine", "torch", "transformers", "peft", "model", "layers", "method", "gradient_checkpointing",
    "micro_batch_size", "sequence_length", "part", "matrix_gflops", "bandwidth_gb_per_s", "seconds", "repeats",
)  # fmt: skip
STEP_SD = 0.25
"""Spread of ln(time) of one step about one factor, as a calibration takes it (``calibration/figures.py``)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fine-tune of a model of the catalogue at few layers, in fp32."""

    model: str
    layers: int
    method: Literal["lora", "full"]
    gradient_checkpointing: Literal["none", "full"]
    micro_batch_size: int
    sequence_length: int
    part: str
    """calibrates or judged."""

    @property
    def id(self) -> str:
        """Its name in the ledger."""
        kept = "checkpointed" if self.gradient_checkpointing == "full" else "kept"
        return f"{self.model}-{self.layers}-{self.method}-{kept}-{self.micro_batch_size}x{self.sequence_length}"


@dataclass(frozen=True, slots=True)
class Timed:
    """A step with its time and the rates of its processor."""

    step: Step
    seconds: float
    flop_per_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """A step that was judged."""

    step: Step
    measured: float
    foreseen: Span

    @property
    def error(self) -> float:
        """Relative, of the time."""
        return float(self.foreseen.mid) / self.measured - 1

    @property
    def inside(self) -> bool:
        """Whether the 90 % interval holds it."""
        return bool(self.foreseen.low <= self.measured <= self.foreseen.high)


@dataclass(frozen=True, slots=True)
class Judged:
    """All steps that did not calibrate."""

    rows: tuple[Row, ...]
    factor: float
    """On the speed, from those that did."""

    @property
    def median(self) -> float:
        """Of the absolute relative errors."""
        return median(abs(row.error) for row in self.rows)

    @property
    def inside(self) -> int:
        """Rows inside their interval."""
        return sum(row.inside for row in self.rows)


def read_steps(file: Path) -> tuple[Timed, ...]:
    """The rows of a ledger, in order."""
    with file.open(newline="") as lines:
        return tuple(
            Timed(
                Step(
                    row["model"], int(row["layers"]), row["method"], row["gradient_checkpointing"],  # type: ignore[arg-type]
                    int(row["micro_batch_size"]), int(row["sequence_length"]), row["part"],
                ),
                float(row["seconds"]), 1e9 * float(row["matrix_gflops"]), 1e9 * float(row["bandwidth_gb_per_s"]),
            )
            for row in csv.DictReader(lines)
        )  # fmt: skip


def judged(steps: tuple[Timed, ...]) -> Judged:
    """Each step that does not calibrate, foreseen with what those that do have taught."""
    teachers = [timed for timed in steps if timed.step.part == "calibrates"]
    ratios = [math.log(float(foreseen(timed).seconds_per_step.mid) / timed.seconds) for timed in teachers]
    factor = math.exp(mean(ratios))
    learnt = replace(NOMINAL.throughput_efficiency, value=factor, sd=STEP_SD / math.sqrt(len(ratios)))
    known = replace(NOMINAL, throughput_efficiency=learnt, learnt=frozenset({"throughput_efficiency"}))
    rows = (Row(t.step, t.seconds, foreseen(t, known).seconds_per_step) for t in steps if t.step.part != "calibrates")
    return Judged(tuple(rows), factor)


def foreseen(timed: Timed, coefficients: Coefficients = NOMINAL) -> Speed:
    """The speed of a step on its processor."""
    trial = step_trial(timed.step, 2)
    model = build(trial.config, id=timed.step.model)
    device = processor(timed.flop_per_s, timed.bytes_per_s)
    found = training_speed(
        model, trial.workload, trial.plan, device, recipe(trial.plan.recipe), coefficients=coefficients
    )
    assert found is not None
    return found


def processor(flop_per_s: float, bytes_per_s: float) -> GpuSpec:
    """A processor by its rates of fp32 products and of its memory."""
    return GpuSpec(
        id="processor", name="processor", vendor="processor", architecture="", form="", vram_bytes=0,
        bandwidth_gb_per_s=bytes_per_s / 1e9, fp32_tflops=flop_per_s / 1e12,
    )  # fmt: skip


@lru_cache(maxsize=64)
def step_trial(step: Step, steps: int) -> Trial:
    """The trial that runs a step."""
    config = dict(find_record(step.model).config) | {"num_hidden_layers": step.layers}
    config.pop("layer_types", None)
    workload = Workload(
        method=step.method, sequence_length=step.sequence_length, micro_batch_size=step.micro_batch_size
    )
    plan = Plan(
        quantization="fp32",
        weights_dtype="fp32",
        mixed_precision="none",
        gradient_checkpointing=step.gradient_checkpointing,
    )
    return Trial(
        config=config, workload=workload, plan=resolved(workload, plan, recipe(plan.recipe)), backend="cpu", steps=steps
    )
