"""A fine-tune on a dataset: the length that decides its memory, and what it takes in hours, energy and money."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vram_advisor.advice.pace import Pace
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.job import Dataset, PlannedJob
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.throughput import Speed
from vram_advisor.sources.dataset import read_lengths
from vram_advisor.throughput.dataset import job
from vram_advisor.units.errors import BadInput


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


def at_longest(workload: Workload, examples: Examples) -> tuple[Workload, tuple[str, ...]]:
    """The workload at the length of the longest batch, which decides the peak, and what has to be said about it."""
    if not examples.known:
        return workload, ()
    limit, longest = workload.sequence_length, max(examples.tokens)
    number, count = examples.tokens.index(longest) + 1, len(examples.tokens)
    said = []
    cut = sum(length > limit for length in examples.tokens)
    if cut:
        them = "example is" if cut == 1 else "examples are"
        said.append(
            f"{cut:,} {them} longer than {limit:,} tokens and cut to it; --sequence-length {longest} keeps them whole."
        )
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
