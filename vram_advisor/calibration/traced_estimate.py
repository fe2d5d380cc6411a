"""A trace as the estimate of an answer: the same shape as the closed form gives, with counted parts from real code.

What no trace sees is added from the closed form's coefficients: workspaces of libraries, CUDA context. So is the
allocator's slack, unless measured runs have said how a simulated allocator compares with the real one: then all layers
are traced and the allocator is simulated.
"""

from __future__ import annotations

from collections.abc import Mapping

from vram_advisor.calibration.trace import trace
from vram_advisor.domain.amount import SYMBOLS, Amount
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import PHASE_TITLES, Component, Estimate, Phase, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.trace import Trace
from vram_advisor.memory.allocator import THREADS, Humps, simulated_slack
from vram_advisor.memory.estimate import Estimated
from vram_advisor.memory.numbers import four_numbers
from vram_advisor.memory.overhead import communication_bytes, workspace_bytes
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.units.errors import NotModelled

TRACE_SD = 0.01
"""Relative standard deviation of allocated bytes that a trace leaves: what kernels allocate inside is modelled."""
SOURCE = "the real training code on tensors without memory"
KINDS = {
    "weights": "weights",
    "adapters": "adapters",
    "gradients": "gradients",
    "optimizer": "optimizer_state",
    "logits": "loss",
    "activations": "activations",
    "temporaries": "working_set",
}
"""Kinds of components by category of the trace."""
LABELS = {
    "weights": "weights of the model",
    "optimizer": "optimizer state",
    "logits": "logits and loss",
    "activations": "activations kept",
    "temporaries": "temporaries of the layer at work",
}
SIMULATED = (
    "Reserved memory is what a simulated caching allocator takes for the traced step, × {scale:.3f} as measured."
)
ONE = (1,) + (0,) * (len(SYMBOLS) - 1)


def estimate_by_trace(
    config: Mapping[str, object],
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    device: Device | None,
    coefficients: Coefficients,
) -> Estimated:
    """As ``memory.estimate.estimate``, by a trace of the model that a configuration describes.

    Raises:
        AdvisorError: the step cannot be traced.
    """
    plan = resolved(workload, plan, recipe)
    made = trace(config, workload, plan, full_depth="simulation_scale" in coefficients.learnt)
    try:
        formula = estimate_training(model, workload, plan, recipe, device, coefficients)
    except NotModelled:
        formula = None
    return Estimated(plan, traced_estimate(made, plan, formula, device, coefficients))


def traced_estimate(
    trace: Trace,
    plan: Plan,
    formula: Estimate | None,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> Estimate:
    """The estimate that a trace gives.

    Args:
        trace: a traced step at full depth.
        plan: its plan.
        formula: the closed form of the same step, for phases that are not traced (loading, saving) and the size of the
            adapter; None where it has no answer.
        device: the card.
        coefficients: measured numbers.
    """
    workspace = workspace_bytes(device, coefficients, THREADS)
    components = _components(trace, workspace)
    phases = [PhasePeak(_phase(p.phase), p.allocated_bytes + workspace) for p in trace.phases]
    traced = {phase.phase for phase in phases}
    if formula is not None:
        others = [phase for phase in formula.phases if phase.phase not in traced]
        phases = [p for p in others if p.phase == "load"] + phases + [p for p in others if p.phase != "load"]
        components += [
            Component(c.kind, c.label, c.nbytes, c.amounts, c.values, alive, c.reference, c.sd)
            for c in formula.components
            if (alive := tuple(phase for phase in c.alive if phase not in traced))
        ]
    top = max(phases, key=lambda phase: phase.allocated_bytes)
    resident = trace.resident_bytes + workspace
    simulated, notes = None, trace.notes
    if trace.reserved_bytes is not None and "simulation_scale" in coefficients.learnt:
        simulated = simulated_slack(top.allocated_bytes, trace.reserved_bytes, device, coefficients)
        notes += (SIMULATED.format(scale=coefficients.simulation_scale.value),)
    numbers = four_numbers(
        top, resident, _humps(trace, plan), TRACE_SD, device, coefficients, communication_bytes(plan), simulated
    )
    return Estimate(
        peak=numbers.peak,
        phases=tuple(phases),
        components=tuple(components),
        host_bytes=formula.host_bytes if formula else 0,
        adapter=formula.adapter if formula else None,
        minimum_mean=numbers.minimum_mean,
        minimum_sd=numbers.minimum_sd,
        notes=notes,
    )


def _phase(name: str) -> Phase:
    assert name in PHASE_TITLES
    return name  # type: ignore[return-value]


def _components(trace: Trace, workspace: int) -> list[Component]:
    """The categories of each phase; equal ones are listed once."""
    found: dict[tuple[str, int], list[Phase]] = {}
    for phase in trace.phases:
        for category, nbytes in phase.by_category.items():
            if nbytes:
                found.setdefault((category, nbytes), []).append(_phase(phase.phase))
    components = [
        Component(
            KINDS.get(category, category),
            LABELS.get(category, category),
            nbytes,
            (Amount("traced", "one", nbytes, 1, category),),
            ONE,
            tuple(alive),
            SOURCE,
        )
        for (category, nbytes), alive in found.items()
    ]
    if workspace:
        everywhere = tuple(_phase(phase.phase) for phase in trace.phases)
        amounts = (Amount("one per thread", "one", workspace // THREADS, 1, "workspace", THREADS),)
        components.append(
            Component(
                "workspace", "cuBLAS workspaces", workspace, amounts, ONE, everywhere,
                "torch ATen/cuda/CublasHandlePool.cpp",
            )
        )  # fmt: skip
    return components


def _humps(trace: Trace, plan: Plan) -> Humps:
    """What comes and goes in the traced step, for the allocator's slack."""
    loss = max((p.by_category.get("logits", 0) for p in trace.phases), default=0)
    layers = [p for p in trace.phases if p.phase in ("forward", "backward_first", "backward_last")]
    passes = [p for p in trace.phases if p.phase not in ("clip", "optimizer_step")]
    after = trace.peak.phase in ("clip", "optimizer_step")
    most = max((p.allocated_bytes for p in passes), default=trace.resident_bytes)
    return Humps(
        step=most - trace.resident_bytes if after else 0,
        loss=loss,
        layer=max((p.by_category.get("temporaries", 0) for p in layers), default=0),
        fused_head=plan.loss in ("trl_fused_head", "liger"),
        expandable=plan.expandable_segments,
    )
