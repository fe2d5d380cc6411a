"""Cards for which a model needs the same: an estimate is made once for a kind, and for each card only what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vram_advisor.advice.options import lacks_bf16
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.kernels import fused_attention
from vram_advisor.domain.sweep import Question
from vram_advisor.memory.llama_cpp.overhead import context_bytes as llama_cpp_context
from vram_advisor.memory.overhead import context_bytes, workspace_name

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Kind = tuple[object, ...]

TORCH, LLAMA_CPP, SERVER = range(3)
"""Families of programs by what of a card their estimate depends on: the context, its kernels and their workspace; the
context; all of the card, because the program sizes itself by it."""
BOUNDLESS = 1 << 60
"""Memory of a card that nothing presses against [B]."""


def family(question: Question) -> int:
    """Which of the families a question belongs to."""
    runtime = question.plan.runtime
    if question.workload.trains or runtime in (None, "transformers"):
        return TORCH
    return LLAMA_CPP if runtime in ("llama.cpp", "lm-studio") else SERVER


def kind_of(family: int, device: Device) -> Kind:
    """What an estimate of a family depends on, context left out."""
    if family == TORCH:
        fused = [fused_attention(device.compute_capability, device.system, dtype) for dtype in ("bf16", "fp16")]
        return (TORCH, workspace_name(device), lacks_bf16(device), *fused)
    if family == LLAMA_CPP:
        return (LLAMA_CPP,)
    return (SERVER, device.total_bytes, device.free_bytes, device.sm_count, device.compute_capability, device.name)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Kinds:
    """The kinds of the cards of a sweep.

    Shapes: ``of_card`` [families, cards]; ``context`` and ``context_sd`` [families, cards].
    """

    examples: tuple[tuple[int, Device], ...]
    """Family and a card of each kind; it is boundless where the memory of the card enters by arithmetic."""
    of_card: Whole
    """Index of the kind; -1 for families that are not asked about."""
    context: Floats
    """Mean of the context of a process [B]; 0 where the estimate has it."""
    context_sd: Floats
    """Standard deviation of it [B]."""


def kinds(questions: Sequence[Question], cards: Sequence[Device]) -> Kinds:
    """Sort cards into kinds, for the families that are asked about."""
    asked = sorted({family(question) for question in questions})
    examples: dict[Kind, tuple[int, Device]] = {}
    order: dict[Kind, int] = {}
    of_card = np.full((3, len(cards)), -1, np.int64)
    context, context_sd = np.zeros((3, len(cards))), np.zeros((3, len(cards)))
    for group in asked:
        for i, device in enumerate(cards):
            kind = kind_of(group, device)
            example = device if group == SERVER else replace(device, total_bytes=BOUNDLESS, free_bytes=BOUNDLESS)
            examples.setdefault(kind, (group, example))
            of_card[group, i] = order.setdefault(kind, len(order))
            context[group, i], context_sd[group, i] = context_of(group, device)
    return Kinds(tuple(examples.values()), of_card, context, context_sd)


def context_of(family: int, device: Device) -> tuple[float, float]:
    """Context of one process: mean and standard deviation [B]; nothing where the estimate stands as it is."""
    if family == TORCH:
        return context_bytes(device, NOMINAL)
    return llama_cpp_context(device) if family == LLAMA_CPP else (0.0, 0.0)
