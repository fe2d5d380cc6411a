"""What the real training code allocates, beside the closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vram_advisor.api.asking import one_plan, with_choices
from vram_advisor.domain.plan import Plan, Workload

if TYPE_CHECKING:
    import threading

    from vram_advisor.domain.trace import TraceAnswer


def trace(
    model: str,
    *,
    workload: Workload | None = None,
    plan: Plan | None = None,
    full_depth: bool = False,
    time_limit: float = 600.0,
    stop: threading.Event | None = None,
    **choices: Any,
) -> TraceAnswer:
    """What the real training code allocates, on tensors without memory, and the closed form beside it.

    Args:
        model: catalogue alias, path to a configuration or folder, or Hugging Face id; an architecture without a closed
            form too.
        workload, plan: the ask and the levers as values.
        full_depth: run every layer, which tells what an allocator reserves too.
        time_limit: after which it is stopped [s].
        stop: set by another thread to stop it.
        choices: fields of Workload and Plan by name.

    Raises:
        BadInput: a name, file or number cannot be used.
        Missing: torch, transformers or PEFT is not installed.
    """
    from vram_advisor.calibration.beside import answer_of
    from vram_advisor.calibration.trace import trace as traced
    from vram_advisor.sources.configs import resolve_config

    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    plan = one_plan(workload, plan)
    found = resolve_config(model)
    made = traced(found.config, workload, plan, full_depth=full_depth, seconds=time_limit, stop=stop)
    return answer_of(found.id, found.config, found.source, workload, plan, made)
