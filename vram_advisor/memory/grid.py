"""Allocated memory over arrays of batches and lengths: the same moments, evaluated on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vram_advisor.domain.amount import evaluate
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.memory.correction import correction, growing, growing_amounts, parts_per_million
from vram_advisor.memory.overhead import workspace_bytes
from vram_advisor.memory.resident import AFTER, ALL, STEP, residents
from vram_advisor.memory.setup import set_up
from vram_advisor.memory.step import Step, compile_step
from vram_advisor.memory.timeline import FUSED_ROWS, fused_on, positions, sequences, symbols, variant, without_size
from vram_advisor.units.grid import Number, largest, where


@dataclass(frozen=True, slots=True)
class Grid:
    """Allocated bytes of every phase, and their largest, with the shape of the arrays given [B]."""

    phases: dict[str, Any]
    peak: Any


def training_grid(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    micro_batch_size: Number,
    sequence_length: Number,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> Grid:
    """Allocated memory for arrays of batches and lengths that broadcast against each other.

    Batch and length of ``workload`` are not used; everything else is as in ``estimate_training``.

    Raises:
        BadInput, NotModelled: as ``estimate_training``.
    """
    setup = set_up(model, without_size(workload), plan, recipe)
    batch = sequences(workload, micro_batch_size)
    values = symbols(model, setup.key.head.loss, batch, positions(model, sequence_length))
    resident = residents(setup, workspace_bytes(device, coefficients, 2))
    fused = fused_on(device, setup.plan)
    few = compile_step(variant(setup.key, dequantize=False, one_sequence=False, fused=fused))
    many = compile_step(variant(setup.key, dequantize=True, one_sequence=False, fused=fused))
    single = compile_step(variant(setup.key, dequantize=True, one_sequence=True, fused=fused))
    ppm, shared_growing = parts_per_million(coefficients), growing_amounts(many.shared, values)

    def largest_moment(step: Step, phase: str) -> Any:
        moments = [candidate.total for candidate in step.candidates[phase]]
        if not ppm:
            return largest(*(evaluate(total, values) for total in moments))
        return largest(
            *(evaluate(total, values) + correction(growing(total, values) + shared_growing, ppm) for total in moments)
        )

    phases: Any = dict(resident.by_phase)
    for phase in (*STEP, "evaluation"):
        nbytes = largest_moment(many, phase)
        if single is not many:
            nbytes = where(batch == 1, largest_moment(single, phase), nbytes)
        if few is not many:
            nbytes = where(values[2] > FUSED_ROWS, nbytes, largest_moment(few, phase))
        phases[phase] = phases[phase] + nbytes + sum(a.nbytes(values) for a in many.shared)
    for phase in AFTER:
        if phase in many.candidates:
            (held,) = many.candidates[phase]
            nbytes = evaluate(held.total, values)
            phases[phase] = phases[phase] + nbytes + correction(growing(held.total, values), ppm)
    return Grid(phases, largest(*(phases[phase] for phase in ALL)))
