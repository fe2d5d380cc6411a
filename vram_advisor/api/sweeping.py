"""Many questions at once: models, cards and plans, each with each, as rows of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vram_advisor.api.asking import asked
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.hardware.host import read_host
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources import catalog_gpus, catalog_models
from vram_advisor.units.errors import BadInput

if TYPE_CHECKING:
    from vram_advisor.domain.sweep import Sweep, SweepProgress, Swept


def plan_sweep(
    questions: str | Path | Mapping[str, Any] | None = None,
    *,
    models: Sequence[str] = (),
    gpus: Sequence[str] = (),
    vary: Sequence[str] = (),
    workload: Workload | None = None,
    plan: Plan | None = None,
) -> Sweep:
    """The models, cards and plans of a sweep.

    Args:
        questions: a file of TOML or JSON, or its content: options as keys, lists as axes; ``plans`` is a list of such
            tables; ``models`` and ``gpus`` are names.
        models: names of the catalogue; none: those of the file, else all.
        gpus: names of the catalogue; none: those of the file, else all.
        vary: axes as ``name=value,value``, beside those of the file.
        workload, plan: what all questions share.

    Raises:
        BadInput: a name, a file or a value cannot be used.
    """
    from vram_advisor.domain.sweep import Question, Sweep
    from vram_advisor.sweep.questions import axis, columns, products, read_file

    if questions is None or isinstance(questions, Mapping):
        table, where = dict(questions or {}), "questions"
    else:
        table, where = read_file(Path(questions).expanduser()), str(questions)
    for text in vary:
        name, values = axis(text)
        table[name] = list(values)
    found = tuple(dict.fromkeys(Question(*asked(workload, plan, choices)) for choices in products(table, where)))
    counts = {question.plan.num_gpus for question in found}
    if len(counts) > 1:
        raise BadInput("A sweep compares with one number of GPUs: make one for each num_gpus.")
    named = models or _names(table.get("models"), where, "models")
    known = [catalog_models.find_record(name).id for name in named]
    chosen = tuple(dict.fromkeys(known)) if named else tuple(catalog_models.entries())
    cards = [catalog_gpus.find_gpu(name) for name in gpus or _names(table.get("gpus"), where, "gpus")]
    system = read_host().system
    devices = tuple(
        (card.id, device_from_spec(card, counts.copy().pop(), system)) for card in cards or catalog_gpus.list_gpus()
    )
    return Sweep(chosen, devices, found, columns(found))


def sweep(
    asked: Sweep,
    output: str | Path,
    *,
    hear: Callable[[SweepProgress], None] | None = None,
    processes: int | None = None,
) -> Swept:
    """Answer a sweep into a file; what is stopped goes on with the same call.

    Args:
        asked: of ``plan_sweep``.
        output: ``.parquet``, by the extra ``sweep``, or ``.csv``.
        hear: called after each model.
        processes: that estimate; None: one a processor.

    Raises:
        BadInput: the file is there already, or was begun with another question.
        Missing: it cannot be written, or pyarrow is not installed.
    """
    from vram_advisor.sweep.run import run

    return run(asked, Path(output).expanduser(), hear, processes)


def _names(value: object, where: str, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadInput(f"{where}: {key} should be a list of names.")
    return value
