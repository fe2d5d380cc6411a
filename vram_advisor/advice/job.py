"""A fine-tune on a dataset: the length that decides its memory, and what it takes in hours, energy and money.

Without a dataset prices are said of a million tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vram_advisor.advice.pace import Pace
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.job import Dataset, PlannedJob
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.throughput import Span, Speed
from vram_advisor.sources.dataset import read_lengths
from vram_advisor.throughput.dataset import job
from vram_advisor.units.errors import BadInput

MILLION = 1_000_000
"""Tokens that prices are said of where there is no dataset."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Examples:
    """The examples of a dataset, or as good as: full sequences where only their tokens are known."""

    tokens: tuple[int, ...]
    how: str
    share: float
    packed: bool
    known: bool
    """Lengths of examples are known, not only their sum."""


def read_examples(asked: Dataset, model: str, workload: Workload) -> Examples:
    """The examples that a fine-tune is run on.

    Raises:
        BadInput: the file cannot be read or has no examples, or what was asked contradicts itself.
        Missing: a library that reads the file is not installed.
    """
    if not workload.trains:
        raise BadInput("--dataset and --tokens are for a fine-tune: name one with --method, such as --method lora.")
    if asked.dataset is not None and asked.tokens is not None:
        raise BadInput("--dataset has its own tokens: leave out --tokens.")
    if asked.dataset is not None:
        found = read_lengths(asked.dataset, model)
        return Examples(found.tokens, found.how, found.share, asked.packing, known=True)
    assert asked.tokens is not None
    length = workload.sequence_length
    return Examples((length,), "as asked", length / asked.tokens, packed=True, known=False)


def at_longest(
    workload: Workload, examples: Examples, positions: int | None = None
) -> tuple[Workload, tuple[str, ...]]:
    """The workload at the length of the longest batch, which decides the peak, and what has to be said about it.

    Args:
        positions: that the model was made for; None: as many as one likes.
    """
    if not examples.known:
        return workload, ()
    limit, longest = workload.sequence_length, max(examples.tokens)
    number, count = examples.tokens.index(longest) + 1, len(examples.tokens)
    said = []
    cut = sum(length > limit for length in examples.tokens)
    if cut:
        them = "example is" if cut == 1 else "examples are"
        remedy = keeping(examples.tokens, limit, positions)
        said.append(f"{cut:,} {them} longer than {limit:,} tokens and cut to it; {remedy}.")
    if examples.packed:
        said.append(f"Examples are packed to sequences of {limit:,} tokens, so every batch needs the same.")
        return workload, tuple(said)
    decides = min(limit, longest)
    said.append(
        f"The longest example is number {number:,} of {count:,}, with {longest:,} tokens. The batch that it is in decides "
        f"the peak: memory is estimated at {decides:,} tokens."
    )
    if min(examples.tokens) == longest:
        return replace(workload, sequence_length=decides), tuple(said)
    padded = workload.micro_batch_size > 1
    return (
        replace(workload, sequence_length=decides, lengths="varied", padding="padded" if padded else workload.padding),
        tuple(said),
    )


def keeping(lengths: tuple[int, ...], limit: int, positions: int | None) -> str:
    """Which sequence length would not cut examples, as far as the model was made for it."""
    longest = max(lengths)
    if positions is None or longest <= positions:
        return f"--sequence-length {longest} keeps them whole"
    made_for = f"the model was made for {positions:,} positions, and the longest example has {longest:,} tokens"
    if limit >= positions:
        return made_for
    beyond = sum(length > positions for length in lengths)
    return f"--sequence-length {positions} keeps all but {beyond:,} whole: {made_for}"


def without_dataset(asked: Dataset, workload: Workload) -> list[str]:
    """What was said about a job and has no effect, as there is no dataset."""
    if asked.asked:
        return []
    idle = ["--packing"] if asked.packing else []
    idle += ["--epochs"] if asked.epochs != 1 else []
    priced = asked.price_per_kwh is not None or asked.rent_per_hour is not None
    said = [f"{' and '.join(idle)} has no effect without --dataset or --tokens."] if len(idle) == 1 else []
    said += [f"{' and '.join(idle)} have no effect without --dataset or --tokens."] if len(idle) > 1 else []
    if asked.currency is not None and not priced:
        said.append("--currency has no effect without --price-per-kwh or --rent-per-hour.")
    if priced and not workload.trains:
        said.append("--price-per-kwh and --rent-per-hour are for a fine-tune: they have no effect on inference.")
    return said


def price_of_a_million(
    asked: Dataset, model: ModelSpec, workload: Workload, plan: Plan, title: str, pace: Pace
) -> str | None:
    """What a million tokens take at the prices that were given, where there is no dataset; None where no price was."""
    if asked.asked or not workload.trains or (asked.price_per_kwh is None and asked.rent_per_hour is None):
        return None
    one = replace(asked, tokens=MILLION, epochs=1.0)
    made = planned_job(read_examples(one, model.id, workload), one, model, workload, plan, title, pace)
    cost = made.job.cost if made is not None else None
    if cost is None:
        return f"What a million tokens cost is not known: the catalogue lacks the rates of {pace.device.name}."
    money = f" {asked.currency}" if asked.currency else ""
    return f"A million tokens cost {_interval(cost)}{money} ({title}); --dataset or --tokens says it of the whole job."


def _interval(span: Span) -> str:
    low, mid, high = (
        f"{value:,.0f}" if value >= 100 else f"{value:.2g}" for value in map(float, (span.low, span.mid, span.high))
    )
    return f"{mid} ({low}–{high})"


def planned_job(
    examples: Examples, asked: Dataset, model: ModelSpec, workload: Workload, plan: Plan, title: str, pace: Pace
) -> PlannedJob | None:
    """What the fine-tune takes by one plan; None where the speed of the card is not known.

    Args:
        plan: with every choice made.
        title: what the plan is called.
    """
    device: Device = pace.device
    if device.spec is None or pace.speed(model, workload, plan) is None:
        return None

    def speed_of(length: int) -> Speed:
        found = pace.speed(model, replace(workload, sequence_length=length), plan)
        assert found is not None
        return found

    made = job(
        examples.tokens,
        speed_of,
        sequence_length=workload.sequence_length,
        micro_batch_size=workload.micro_batch_size,
        gradient_accumulation_steps=workload.gradient_accumulation_steps,
        epochs=asked.epochs,
        gpu=device.spec,
        gpus=plan.num_gpus,
        packed=examples.packed,
        share=examples.share,
        price_per_kwh=asked.price_per_kwh,
        rent_per_hour=asked.rent_per_hour,
        currency=asked.currency,
    )
    if not examples.known:
        made = replace(made, lengths=None)
    return PlannedJob(made, asked, examples.how, examples.share, title, workload.sequence_length)
