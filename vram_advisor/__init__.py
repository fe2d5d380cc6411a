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
    "Dataset",
    "Exported",
    "Imported",
    "Missing",
    "NotModelled",
    "Plan",
    "TraceAnswer",
    "Workload",
    "__version__",
    "advice_document",
    "advise",
    "answer_document",
    "calibrate",
    "check",
    "detect",
    "export_calibration",
    "find_calibration",
    "fitting",
    "import_calibration",
    "list_calibrations",
    "list_gpus",
    "list_local_models",
    "list_models",
    "plan_calibration",
    "rank",
    "read_run",
    "remove_calibrations",
    "schema",
    "score",
    "serve_result",
    "survey",
    "trace",
    "trace_document",
    "write_run",
]

if TYPE_CHECKING:
    from vram_advisor.api import (
        advise,
        calibrate,
        check,
        detect,
        export_calibration,
        find_calibration,
        fitting,
        import_calibration,
        list_calibrations,
        list_gpus,
        list_local_models,
        list_models,
        plan_calibration,
        rank,
        read_run,
        remove_calibrations,
        score,
        serve_result,
        survey,
        trace,
        write_run,
    )
    from vram_advisor.domain.advice import AdviceAnswer
    from vram_advisor.domain.answer import Answer
    from vram_advisor.domain.imported import Exported, Imported
    from vram_advisor.domain.job import Dataset
    from vram_advisor.domain.plan import Plan, Workload
    from vram_advisor.domain.trace import TraceAnswer
    from vram_advisor.report.advice_document import advice_document
    from vram_advisor.report.document import answer_document
    from vram_advisor.report.schema import schema
    from vram_advisor.report.trace_document import trace_document
    from vram_advisor.units.errors import AdvisorError, BadInput, Missing, NotModelled

_HOMES = {
    "advise": "vram_advisor.api",
    "calibrate": "vram_advisor.api",
    "check": "vram_advisor.api",
    "detect": "vram_advisor.api",
    "export_calibration": "vram_advisor.api",
    "find_calibration": "vram_advisor.api",
    "fitting": "vram_advisor.api",
    "import_calibration": "vram_advisor.api",
    "list_calibrations": "vram_advisor.api",
    "list_gpus": "vram_advisor.api",
    "list_local_models": "vram_advisor.api",
    "list_models": "vram_advisor.api",
    "plan_calibration": "vram_advisor.api",
    "rank": "vram_advisor.api",
    "read_run": "vram_advisor.api",
    "remove_calibrations": "vram_advisor.api",
    "score": "vram_advisor.api",
    "serve_result": "vram_advisor.api",
    "survey": "vram_advisor.api",
    "trace": "vram_advisor.api",
    "write_run": "vram_advisor.api",
    "AdviceAnswer": "vram_advisor.domain.advice",
    "Answer": "vram_advisor.domain.answer",
    "Dataset": "vram_advisor.domain.job",
    "Exported": "vram_advisor.domain.imported",
    "Imported": "vram_advisor.domain.imported",
    "Plan": "vram_advisor.domain.plan",
    "TraceAnswer": "vram_advisor.domain.trace",
    "Workload": "vram_advisor.domain.plan",
    "AdvisorError": "vram_advisor.units.errors",
    "BadInput": "vram_advisor.units.errors",
    "Missing": "vram_advisor.units.errors",
    "NotModelled": "vram_advisor.units.errors",
    "advice_document": "vram_advisor.report.advice_document",
    "answer_document": "vram_advisor.report.document",
    "schema": "vram_advisor.report.schema",
    "trace_document": "vram_advisor.report.trace_document",
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
