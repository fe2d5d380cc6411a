"""What a training step is made of, put into components, and what of it comes and goes."""

from __future__ import annotations

from functools import lru_cache

from vram_advisor.domain.amount import ZERO, Amount, Size, evaluate
from vram_advisor.domain.estimate import Adapter, Component, Phase
from vram_advisor.domain.kernels import loss_kernel
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.memory.allocator import Humps
from vram_advisor.memory.resident import AFTER, LAYERS, STEP, Residents
from vram_advisor.memory.setup import Setup
from vram_advisor.memory.step import Candidate, Group

HUMPED = frozenset({"loss", "working_set", "gathered"})
"""Kinds of components that ``humps`` looks at."""


@lru_cache(maxsize=512)
def group_size(group: Group) -> Size:
    """The sum of what a group holds; it stands for all batches and lengths."""
    return tuple(map(sum, zip(*(a.size for a in group.amounts), strict=True))) or ZERO


def static(resident: Residents, values: tuple[int, ...], only: frozenset[str] | None = None) -> list[Component]:
    """What is resident, of all kinds or of some."""
    return [
        Component(r.kind, r.label, r.nbytes, r.amounts, values, r.alive, r.reference)
        for r in resident.items
        if only is None or r.kind in only
    ]


def dynamic(
    chosen: dict[str, Candidate], values: tuple[int, ...], only: frozenset[str] | None = None
) -> list[Component]:
    """The groups of the worst moment of each phase, of all kinds or of some; equal ones are listed once."""
    found: dict[tuple[str, str, int], tuple[Group, list[Phase]]] = {}
    for phase, candidate in chosen.items():
        for group in candidate.groups:
            if only is not None and group.kind not in only:
                continue
            nbytes = evaluate(group_size(group), values)
            found.setdefault((group.kind, group.label, nbytes), (group, []))[1].append(phase)  # type: ignore[arg-type]
    return [
        Component(kind, label, nbytes, group.amounts, values, tuple(alive), group.reference)
        for (kind, label, nbytes), (group, alive) in found.items()
    ]


def humps(
    setup: Setup, components: list[Component], totals: dict[Phase, int], resident: dict[Phase, int], worst_phase: Phase
) -> Humps:
    """What comes and goes in a step, from the components of its phases."""

    def largest(kind: str, phases: tuple[Phase, ...]) -> int:
        found = [c.nbytes for c in components if c.kind == kind and any(p in c.alive for p in phases)]
        return max(found, default=0)

    form = loss_kernel(setup.key.head.loss).form
    passes = max(totals[phase] - resident[phase] for phase in STEP)
    return Humps(
        step=passes if worst_phase in AFTER else 0,
        loss=largest("loss", ("loss_forward", "loss_backward")),
        layer=largest("working_set", LAYERS),
        gathered=sum(c.nbytes for c in components if c.kind == "gathered") if setup.key.fsdp1 else 0,
        fused_loss=form == "fused" and setup.key.head.logits_form != "v5",
        fused_head=form in ("liger", "tiles"),
        varied=setup.workload.lengths == "varied",
        expandable=setup.plan.expandable_segments,
    )


def offloaded(setup: Setup, values: tuple[int, ...]) -> int:
    """Layer inputs that rest in host memory [B]."""
    if setup.plan.gradient_checkpointing != "offload":
        return 0
    boundary = Amount("layer inputs", "T", setup.key.model.hidden_size, setup.key.numerics.stream, "activation")
    return setup.key.model.num_hidden_layers * int(boundary.nbytes(values))


@lru_cache(maxsize=128)
def adapter(setup: Setup) -> Adapter | None:
    """What is trained and the size of its file; None for a full fine-tune."""
    if setup.workload.method == "full":
        return None
    trained = sum(t.numel for t in setup.trained)
    return Adapter(
        trained, trained / (count_parameters(setup.key.model) + trained), sum(t.nbytes for t in setup.trained)
    )
