"""What ``models --local``, ``models --fit`` and ``gpus --for`` do: models and cards that would do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from vram_advisor import api
from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.formatted import Form, deliver_lines, deliver_list
from vram_advisor.cli.output import list_width, narrate, progress
from vram_advisor.domain.plan import Plan, Workload


def one_card(gpu: str | None, gpu_index: int | None) -> bool:
    """Whether the card is named in one way; says so where it is not."""
    if gpu is not None and gpu_index is not None:
        narrate("--gpu names a card and --gpu-index takes one of this machine: use one of the two.")
        return False
    return True


def unmatched(kind: str, words: Sequence[str]) -> int:
    """Say that no name of the catalogue has all the words."""
    narrate(f"no {kind} of the catalogue matches '{' '.join(words)}'.")
    return ExitCode.BAD_INPUT


def local(
    words: Sequence[str],
    gpu: str | None,
    gpu_index: int | None,
    workload: Workload | None,
    form: Form,
    output: str | None,
    calibrated: bool = True,
) -> int:
    """What is on this machine, and whether it fits."""
    if not one_card(gpu, gpu_index):
        return ExitCode.BAD_INPUT
    answer = api.survey(
        gpu=gpu,
        gpu_index=gpu_index,
        context_length=(workload or Workload()).context_length,
        words=words,
        tell=progress,
        calibrated=calibrated,
    )
    progress("")
    if form == "table":
        from vram_advisor.report.local_models import local_lines

        deliver_lines(lambda _, width: local_lines(answer, width, datetime.now(UTC)), list_width(), output)
    else:
        from vram_advisor.report.local_document import local_document

        deliver_list(form, local_document(answer), "LOCAL", output)
    return ExitCode.ANSWERED


def fitting(
    words: Sequence[str],
    gpu: str | None,
    gpu_index: int | None,
    workload: Workload | None,
    plan: Plan | None,
    form: Form,
    output: str | None,
    calibrated: bool = True,
) -> int:
    """Models of the catalogue that fit a card."""
    from vram_advisor.report.catalogue import matching_models

    if not one_card(gpu, gpu_index):
        return ExitCode.BAD_INPUT
    chosen = [record.id for record in matching_models(api.list_models(), words)] if words else None
    if chosen == []:
        return unmatched("model", words)
    answer = api.fitting(
        models=chosen,
        gpu=gpu,
        gpu_index=gpu_index,
        workload=workload,
        plan=plan,
        tell=progress,
        calibrated=calibrated,
    )
    progress("")
    if form == "table":
        from vram_advisor.report.ranking import fitting_lines

        deliver_lines(lambda _, width: fitting_lines(answer, width, datetime.now(UTC)), list_width(), output)
    else:
        from vram_advisor.report.choices_document import fitting_document

        deliver_list(form, fitting_document(answer), "FITTING", output)
    return ExitCode.ANSWERED if answer.models else ExitCode.DOES_NOT_FIT


def rank(
    model: str,
    words: Sequence[str],
    gpu: str | None,
    gpu_index: int | None,
    workload: Workload | None,
    plan: Plan | None,
    form: Form,
    output: str | None,
    calibrated: bool = True,
) -> int:
    """Cards by how they do a job."""
    from vram_advisor.report.catalogue import matching_gpus

    if not one_card(gpu, gpu_index):
        return ExitCode.BAD_INPUT
    chosen = [card.id for card in matching_gpus(api.list_gpus(), words)] if words else None
    if chosen == []:
        return unmatched("card", words)
    answer = api.rank(
        model, cards=chosen, gpu=gpu, gpu_index=gpu_index, workload=workload, plan=plan, calibrated=calibrated
    )
    if form == "table":
        from vram_advisor.report.ranking import ranking_lines

        deliver_lines(lambda _, width: ranking_lines(answer, width, datetime.now(UTC)), list_width(), output)
    else:
        from vram_advisor.report.choices_document import ranking_document

        deliver_list(form, ranking_document(answer), "RANKING", output)
    return ExitCode.ANSWERED if any(c.verdict.outcome == "fits" for c in answer.cards) else ExitCode.DOES_NOT_FIT
