"""What each tool does: arguments in, the document of the command line and a short text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from vram_advisor import api
from vram_advisor.domain.job import Dataset
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.mcp.arguments import Card, Context, Filter, Named, Run, Serving, Telling, given
from vram_advisor.report import words
from vram_advisor.report.look import Look
from vram_advisor.units.errors import BadInput

if TYPE_CHECKING:
    from vram_advisor.domain.imported import Imported
    from vram_advisor.report.layout import Line

WIDTH = 110
"""Columns of tables in texts."""
MOST = 40
"""Lines of a text; the document has everything."""

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a tool says."""

    document: Mapping[str, Any]
    """What the command prints with ``--json``."""
    text: str


def check(arguments: Arguments) -> Answered:
    """Will it fit?"""
    from vram_advisor.report.document import answer_document
    from vram_advisor.report.screen import answer_lines

    card, telling = Card(**given(Card, arguments)), Telling(**given(Telling, arguments))
    run, model, imported, workload, plan = _run(arguments)
    answer = api.check(
        model,
        gpu=card.gpu,
        gpu_index=card.gpu_index,
        workload=workload,
        plan=plan,
        calibrated=run.calibrated,
        trace=telling.trace,
        advised=True,
    )
    if telling.explain:
        text = Look().painted(answer_lines(answer, Look(), WIDTH, True, datetime.now(UTC)))
    else:
        said = words.verdict(answer)
        steps = [f"Next: {step}" for step in words.next_steps(answer)]
        verdict = f"{said.badge}: {said.text} {words.details(answer)}".strip()
        text = "\n".join([words.title(answer), verdict, *steps, *answer.warnings])
    return Answered(answer_document(answer, imported), "\n".join([*_leftovers(imported), text]))


def advise(arguments: Arguments) -> Answered:
    """What would make it fit?"""
    from vram_advisor.report.advice_document import advice_document
    from vram_advisor.report.job import job_lines

    card, serving = Card(**given(Card, arguments)), Serving(**given(Serving, arguments))
    dataset = Dataset(**given(Dataset, arguments))
    run, model, imported, workload, plan = _run(arguments)
    answer = api.advise(
        model,
        gpu=card.gpu,
        gpu_index=card.gpu_index,
        workload=workload,
        plan=plan,
        dataset=dataset,
        calibrated=run.calibrated,
    )
    served = api.serve_result(answer, model) if serving.explain and answer.workload.trains else None
    asked = answer.asked.verdict
    where = "" if answer.device is None else f" on {answer.device.name}"
    said = [*_leftovers(imported), f"{answer.model.id}, {words.METHODS[answer.workload.method]}{where}"]
    said += [f"{asked.outcome.upper()}: {asked.reason}"]
    said += [f"{number}. {words.advised(advice)}" for number, advice in enumerate(answer.advices, 1)]
    if not answer.advices and asked.outcome not in ("fits", "unknown"):
        said.append("Nothing that is known here makes it fit this card.")
    said += [f"{bound.field}: up to {bound.largest:,} fits, all else as it is." for bound in answer.bounds]
    if answer.job is not None:
        said.append(_page(job_lines(answer.job, WIDTH)))
    return Answered(advice_document(answer, served, imported), "\n".join([*said, *answer.notes]))


def detect(arguments: Arguments) -> Answered:
    """What does this machine have?"""
    from vram_advisor.report.document import machine_document
    from vram_advisor.report.machine import machine_lines

    machine = api.detect()
    return Answered(machine_document(machine), _page(machine_lines(machine, Look(), WIDTH)))


def list_models(arguments: Arguments) -> Answered:
    """Which models can be named?"""
    from vram_advisor.report.catalogue import matching_models, model_lines
    from vram_advisor.report.document import models_document

    found = matching_models(api.list_models(), Filter(**given(Filter, arguments)).words)
    text = _page(model_lines(found, WIDTH)) if found else "No model of the catalogue matches."
    return Answered(models_document(found), text)


def list_gpus(arguments: Arguments) -> Answered:
    """Which cards can be named?"""
    from vram_advisor.report.catalogue import gpu_lines, matching_gpus
    from vram_advisor.report.document import gpus_document

    found = matching_gpus(api.list_gpus(), Filter(**given(Filter, arguments)).words)
    text = _page(gpu_lines(found, WIDTH)) if found else "No card of the catalogue matches."
    return Answered(gpus_document(found), text)


def rank_gpus(arguments: Arguments) -> Answered:
    """Which cards would do the job?"""
    from vram_advisor.report.catalogue import matching_gpus
    from vram_advisor.report.choices_document import ranking_document
    from vram_advisor.report.ranking import ranking_lines

    card, names = Card(**given(Card, arguments)), Filter(**given(Filter, arguments)).words
    answer = api.rank(
        Named(**given(Named, arguments)).model,
        cards=[each.id for each in matching_gpus(api.list_gpus(), names)] if names else None,
        gpu=card.gpu,
        gpu_index=card.gpu_index,
        workload=Workload(**given(Workload, arguments)),
        plan=Plan(**given(Plan, arguments)),
    )
    return Answered(ranking_document(answer), _page(ranking_lines(answer, WIDTH)))


def fit_models(arguments: Arguments) -> Answered:
    """Which models fit the card?"""
    from vram_advisor.report.catalogue import matching_models
    from vram_advisor.report.choices_document import fitting_document
    from vram_advisor.report.ranking import fitting_lines

    card, names = Card(**given(Card, arguments)), Filter(**given(Filter, arguments)).words
    answer = api.fitting(
        models=[each.id for each in matching_models(api.list_models(), names)] if names else None,
        gpu=card.gpu,
        gpu_index=card.gpu_index,
        workload=Workload(**given(Workload, arguments)),
        plan=Plan(**given(Plan, arguments)),
    )
    return Answered(fitting_document(answer), _page(fitting_lines(answer, WIDTH)))


def list_local_models(arguments: Arguments) -> Answered:
    """Which models are on this machine?"""
    from vram_advisor.report.local_document import local_document
    from vram_advisor.report.local_models import local_lines

    card = Card(**given(Card, arguments))
    answer = api.survey(
        gpu=card.gpu,
        gpu_index=card.gpu_index,
        context_length=Context(**given(Context, arguments)).context_length,
        words=Filter(**given(Filter, arguments)).words,
    )
    return Answered(local_document(answer), _page(local_lines(answer, WIDTH)))


def list_calibrations(arguments: Arguments) -> Answered:
    """What was measured on this machine?"""
    from vram_advisor.report.calibrations import list_document, list_lines

    found = api.list_calibrations()
    lines = _page(list_lines(found, WIDTH, datetime.now(UTC)))
    return Answered(list_document(found), "\n".join([*found.problems, lines or "No calibration is kept."]))


def _run(arguments: Arguments) -> tuple[Run, str, Imported | None, Workload, Plan]:
    """The run that is asked about: the file of another program if there is one, under the arguments."""
    run, asked, levers = Run(**given(Run, arguments)), given(Workload, arguments), given(Plan, arguments)
    if run.config is None:
        if run.model is None:
            raise BadInput("The argument model is missing.")
        return run, run.model, None, Workload(**asked), Plan(**levers)
    imported = api.read_run(run.config, program=run.config_format, model=run.model)
    model = imported.model
    if model is None:
        raise BadInput(f"The argument model is missing: {run.config} does not name the model.")
    imported = api.overridden(imported, asked | levers)
    return run, model, imported, imported.workload, imported.plan


def _leftovers(imported: Imported | None) -> list[str]:
    """Sentences about the keys of a file that the answer may lack."""
    if imported is None:
        return []
    from vram_advisor.report.imported import leftovers

    return leftovers(imported)


def _page(lines: Iterable[Line]) -> str:
    """Lines as text, cut where it gets long."""
    rest = iter(lines)
    text = Look().painted(islice(rest, MOST))
    more = sum(1 for _ in rest)
    return text + f"... and {more} lines more: the document has them all." if more else text
