"""The closed form beside a trace of the same step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vram_advisor.calibration.compare import compare
from vram_advisor.domain.architectures import build
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trace import Trace, TraceAnswer
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.units.errors import BadInput

WITHOUT_WORKSPACES = replace(
    NOMINAL,
    cublas_workspace=replace(NOMINAL.cublas_workspace, value=0.0),
    cublas_workspace_hopper=replace(NOMINAL.cublas_workspace_hopper, value=0.0),
    source="nominal, without workspaces of libraries",
)
"""What the closed form is compared with a trace by: no trace sees inside libraries."""


def answer_of(
    model: str, config: Mapping[str, object], source: str, workload: Workload, plan: Plan, trace: Trace
) -> TraceAnswer:
    """A trace with the closed form beside it, or why there is none."""
    habits = recipe(plan.recipe)
    formula: Estimate | None = None
    refused: str | None = None
    try:
        spec = build(config, id=model, where=source)
        formula = estimate_training(spec, workload, plan, habits, None, WITHOUT_WORKSPACES)
    except BadInput as error:
        refused = str(error)
    compared = compare(formula, trace) if formula is not None else None
    return TraceAnswer(
        model=model,
        source=source,
        workload=workload,
        plan=resolved(workload, plan, habits),
        recipe=habits,
        trace=trace,
        estimate=formula,
        refused=refused,
        phases=compared.phases if compared else (),
        components=compared.components if compared else (),
    )
