"""The one door: resolve names, look at the machine, answer. The faces call this and nothing below it."""

from vram_advisor.api.advising import advise, serve_result
from vram_advisor.api.asking import asked, detect, measured, one_plan, resolve_device, split, with_choices
from vram_advisor.api.calibrating import (
    calibrate,
    export_calibration,
    find_calibration,
    import_calibration,
    list_calibrations,
    plan_calibration,
    remove_calibrations,
)
from vram_advisor.api.checking import check, offloading
from vram_advisor.api.choosing import fitting, list_gpus, list_local_models, list_models, rank, survey
from vram_advisor.api.exchanging import overridden, read_run, write_run
from vram_advisor.api.scoring import score
from vram_advisor.api.sweeping import plan_sweep, sweep
from vram_advisor.api.tracing import trace

__all__ = [
    "advise",
    "asked",
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
    "measured",
    "offloading",
    "one_plan",
    "overridden",
    "plan_calibration",
    "plan_sweep",
    "rank",
    "read_run",
    "remove_calibrations",
    "resolve_device",
    "score",
    "serve_result",
    "split",
    "survey",
    "sweep",
    "trace",
    "with_choices",
    "write_run",
]
