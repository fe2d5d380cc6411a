"""How much GPU memory a fine-tune or an inference needs, where it goes, and whether it fits.

>>> import vram_advisor
>>> answer = vram_advisor.check("7b", method="lora", gpu="rtx-5070")  # doctest: +SKIP
>>> answer.options[answer.recommended].verdict.outcome  # doctest: +SKIP
'fits'
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "AdviceAnswer",
    "AdvisorError",
    "Answer",
    "BadInput",
    "Missing",
    "NotModelled",
    "Plan",
    "TraceAnswer",
    "Workload",
    "__version__",
    "advise",
    "calibrate",
    "check",
    "detect",
    "list_gpus",
    "list_models",
    "plan_calibration",
    "score",
    "trace",
]

if TYPE_CHECKING:
    from vram_advisor.api import (
        advise,
        calibrate,
        check,
        detect,
        list_gpus,
        list_models,
        plan_calibration,
        score,
        trace,
    )
    from vram_advisor.domain.advice import AdviceAnswer
    from vram_advisor.domain.answer import Answer
    from vram_advisor.domain.plan import Plan, Workload
    from vram_advisor.domain.trace import TraceAnswer
    from vram_advisor.units.errors import AdvisorError, BadInput, Missing, NotModelled

_HOMES = {
    "advise": "vram_advisor.api",
    "calibrate": "vram_advisor.api",
    "check": "vram_advisor.api",
    "detect": "vram_advisor.api",
    "list_gpus": "vram_advisor.api",
    "list_models": "vram_advisor.api",
    "plan_calibration": "vram_advisor.api",
    "score": "vram_advisor.api",
    "trace": "vram_advisor.api",
    "AdviceAnswer": "vram_advisor.domain.advice",
    "TraceAnswer": "vram_advisor.domain.trace",
    "Answer": "vram_advisor.domain.answer",
    "Plan": "vram_advisor.domain.plan",
    "Workload": "vram_advisor.domain.plan",
    "AdvisorError": "vram_advisor.units.errors",
    "BadInput": "vram_advisor.units.errors",
    "Missing": "vram_advisor.units.errors",
    "NotModelled": "vram_advisor.units.errors",
}
"""Where each public name lives. Nothing is imported before it is asked for: the command line starts in this package."""


def __getattr__(name: str) -> Any:
    """The public name, imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vram_advisor' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
