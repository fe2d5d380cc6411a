"""The answer in sentences that a tired person can act on: the verdict first, then what to do next.

Plain text without colour or layout, so that every face says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vram_advisor.domain.answer import Answer, Download, Option
from vram_advisor.domain.estimate import PHASE_TITLES, Outcome
from vram_advisor.report.levers import levers
from vram_advisor.report.sizes import disk, file_size, percent, time_beside
from vram_advisor.units.bytes import gib

if TYPE_CHECKING:
    from vram_advisor.domain.advice import Advice, Change

METHODS = {"inference": "inference", "lora": "LoRA", "qlora": "QLoRA", "dora": "DoRA", "full": "full fine-tune"}
CERTAIN = 0.999
"""Probabilities above this are not told apart."""
POSSIBLE = 0.01
"""Where nothing fits, probabilities from this are said."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Said:
    """A word that can be coloured, and the sentences that belong to it."""

    badge: str
    outcome: Outcome
    text: str


def title(answer: Answer) -> str:
    """What was asked, in one line."""
    workload, device = answer.workload, answer.device
    method = METHODS[workload.method]
    if workload.trains and workload.objective != "sft":
        method += f" {workload.objective.upper()}"
    size = (
        f"{answer.parameters / 1e9:.2f} B parameters"
        if answer.parameters >= 1e9
        else f"{answer.parameters:,} parameters"
    )
    if answer.active_parameters < answer.parameters and any(b.experts for b in answer.model.blocks):
        size += f", {answer.active_parameters / 1e9:.2f} B active per token: all of them need memory"
    where = "" if device is None else f" on {f'{device.count} × ' if device.count > 1 else ''}{device.name}"
    return f"{answer.model.id} ({size}), {method}{where}"


def verdict(answer: Answer) -> Said:
    """Whether it fits, in a sentence or two."""
    best = shown(answer)
    if answer.device is None:
        needs = ", ".join(f"{option.title} {gib(option.estimate.minimum_mean)}" for option in answer.options)
        return Said("UNKNOWN", "unknown", f"No GPU was found here and none was named. What it needs: {needs}.")
    outcome = best.verdict.outcome
    if answer.recommended is None:
        if len(answer.options) > 1:
            flat = "probably does not" if _possible(best) else "does not"
            return Said(_badge(outcome), outcome, f"Even {best.title} {flat} fit. {best.verdict.reason}{_chance(best)}")
        return Said(_badge(outcome), outcome, best.verdict.reason + _chance(best))
    said = [_that_runs(best, answer)]
    said += [_other(option) for option in answer.options if option is not best]
    return Said(_badge(outcome), outcome, " ".join(said))


def shown(answer: Answer) -> Option:
    """The option that the words, the bar and the breakdown are about.

    The recommended one; where none fits, the one that comes nearest; without a card, the first.
    """
    if answer.recommended is not None:
        return answer.options[answer.recommended]
    if answer.device is None:
        return answer.options[0]
    return min(answer.options, key=lambda option: option.estimate.minimum_mean)


def details(answer: Answer) -> str:
    """When the memory is highest, what is trained, and what rests in the computer's own memory."""
    option, said = shown(answer), []
    adapter = option.estimate.adapter
    if answer.device is None or answer.recommended is not None:
        # Otherwise the verdict has said it.
        said.append(f"The peak is at {PHASE_TITLES[option.estimate.peak.phase]}.")
    if adapter is not None:
        said.append(
            f"The adapter has {adapter.trainable_parameters:,} parameters ({percent(adapter.trainable_share, 2)} of the"
            f" model) and a file of {file_size(adapter.file_bytes)}."
        )
    if option.estimate.host_bytes:
        said.append(f"The computer's own memory holds {gib(option.estimate.host_bytes)} more.")
    return " ".join(said)


def next_steps(answer: Answer) -> list[str]:
    """What to do now, most useful first."""
    best = shown(answer)
    outcome = best.verdict.outcome
    steps = []
    if outcome in ("fits", "tight") and (settings := distinguishing(answer, best)):
        steps.append(f"Run {best.title}: {settings}")
    steps += [f"{option.title}: {option.verdict.reason}" for option in answer.options if _closable(option, answer)]
    if outcome == "unknown":
        steps.append("Name the card you think of with --gpu, such as --gpu rtx-5070.")
    steps += [advised(advice) for advice in answer.advices]
    if not answer.advices and outcome in ("tight", "spill", "no") and (found := levers(best, answer.workload)):
        steps.append(f"To need less: {'; '.join(found)}.")
    if answer.smallest_gpus:
        cards = [
            f"{answer.options[gpu.option].title}: {gpu.name} ({gib(gpu.total_bytes, 1)})"
            for gpu in answer.smallest_gpus
        ]
        steps.append(f"The smallest cards that would do: {'; '.join(cards)}.")
    if answer.download is not None:
        steps.append(_downloaded(answer.download))
    return steps


def advised(advice: Advice) -> str:
    """One piece of advice in a sentence, with the options that ask for it."""
    moves = " + ".join(move.title for move in advice.moves)
    spare = advice.verdict.headroom_bytes or 0
    pace = f", {beside}" if (beside := time_beside(advice.relative_time)) else ""
    # An option that goes back to what the recipe does is left out.
    changes = [change for move in advice.moves for change in move.changes if change.after is not None]
    asked = " ".join(_option(change) for change in changes)
    return (
        f"{moves if advice.moves[0].lever == 'model' else moves[:1].upper() + moves[1:]}: fits, needs {gib(advice.estimate.minimum_mean)}, {gib(spare)} to spare{pace}"
        f" ({asked})."
    )


def _option(change: Change) -> str:
    name = change.field.replace("_", "-")
    if isinstance(change.after, bool):
        return f"--{name}" if change.after else f"--no-{name}"
    value = " ".join(map(str, change.after)) if isinstance(change.after, tuple) else change.after
    return f"--{name} {value}"


def _downloaded(download: Download) -> str:
    """What has to be on disk."""
    size = "" if download.nbytes is None else f", {disk(download.nbytes)} of disk"
    if download.present:
        return f"On this machine already, whole or in part: {download.name}{size}."
    return f"To be downloaded: {download.name}{size}."


def distinguishing(answer: Answer, option: Option) -> str:
    """The options of the command line that set this one apart from the others that were compared."""
    plans = [vars(other.plan) for other in answer.options]
    fields = [name for name in plans[0] if len({plan[name] for plan in plans}) > 1]
    if "quantization" in fields:
        # What else differs follows from the storage format.
        fields = ["quantization"]
    return " ".join(f"--{name.replace('_', '-')} {getattr(option.plan, name)}" for name in fields)


def aside(answer: Answer) -> str | None:
    """The line for standard error where the answer is neither yes nor no."""
    best = shown(answer)
    if best.verdict.outcome == "tight":
        return f"{best.title} is tight: {odds(best.verdict.probability)}."
    if best.verdict.outcome == "unknown":
        return "There is no GPU to compare with, so whether it fits is unknown; name one with --gpu."
    return None


def odds(probability: float | None) -> str:
    """A probability as people say it."""
    if probability is None:
        return "nothing is known about whether it fits"
    if probability > CERTAIN:
        return f"more than {percent(CERTAIN, 1)} likely to fit"
    if probability < 1 - CERTAIN:
        return f"less than {percent(1 - CERTAIN, 1)} likely to fit"
    return f"{percent(probability)} likely to fit"


def _that_runs(option: Option, answer: Answer) -> str:
    assert answer.device is not None and option.verdict.free_bytes is not None
    need, free, spare = option.estimate.minimum_mean, option.verdict.free_bytes, option.verdict.headroom_bytes or 0
    room = f"{gib(free)} {'are' if answer.device.source == 'detected' else 'would be'} free"
    if option.verdict.outcome == "tight":
        return f"{option.title} needs about {gib(need)} and {room}: {odds(option.verdict.probability)}."
    return f"{option.title} needs {gib(need)} and {room}, {gib(spare)} to spare: {odds(option.verdict.probability)}."


def _other(option: Option) -> str:
    spare = option.verdict.headroom_bytes or 0
    if option.verdict.outcome == "fits":
        return f"{option.title} fits too, with {gib(spare)} to spare."
    if option.verdict.outcome == "tight":
        return f"{option.title} is tight, {odds(option.verdict.probability)}."
    if _possible(option):
        return f"{option.title} probably does not fit: {gib(-spare)} too much, {odds(option.verdict.probability)}."
    return f"{option.title} does not fit: {gib(-spare)} too much."


def _possible(option: Option) -> bool:
    """Whether what is said not to fit may fit after all."""
    return (option.verdict.probability or 0.0) >= POSSIBLE


def _chance(option: Option) -> str:
    return f" It is {odds(option.verdict.probability)}." if _possible(option) else ""


def _closable(option: Option, answer: Answer) -> bool:
    """Whether other programs on the card are what stands in the way of an option that is not shown."""
    if answer.device is None or option is shown(answer) or option.verdict.outcome not in ("no", "spill"):
        return False
    held = sum(process.used_bytes or 0 for process in answer.device.processes)
    return held > 0 and held >= -(option.verdict.headroom_bytes or 0)


def _badge(outcome: Outcome) -> str:
    return {"fits": "FITS", "tight": "TIGHT", "spill": "SPILLS", "no": "NO", "unknown": "UNKNOWN"}[outcome]
