"""One training step as phases: every moment that could be the peak, found once per model and recipe.

Layers of one kind are identical, so each kind is played once and placed where it matters: last, where most is saved
before it, and first, where most gradients are there. Sizes stay linear in the symbols of the workload.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.amount import ZERO, Amount, Size, plus
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.recipe import OutputsUntil
from vram_advisor.memory import fully_shard
from vram_advisor.memory.blocks import Played, play_block
from vram_advisor.memory.entry import enter, shared
from vram_advisor.memory.fully_shard import Units
from vram_advisor.memory.loss import HeadHabits, play_head
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.play import Moment
from vram_advisor.units.grid import ceil_div


@dataclass(frozen=True, slots=True)
class StepKey:
    """What decides the moments of a step besides batch and length."""

    model: ModelSpec
    numerics: Numerics
    head: HeadHabits
    checkpointing: str = "full"
    keep_gradients: bool = True
    """False with gradient accumulation: the gradients of earlier micro batches are there already."""
    train_embedding: bool = False
    """The token embedding is trained: its gradient is as large as it is."""
    gradient_parts: int = 1
    """Into how many shares finished gradients are cut."""
    retains_inputs: bool = False
    """Layer inputs outlive the backward pass of their layer: FSDP's hooks on layers with frozen weights hold them
    (torch distributed/fsdp/_runtime_utils.py _register_post_backward_reshard_only_hook)."""
    keeps_cache: bool = False
    """The key-value cache is collected although layers are checkpointed; its views keep the fused projections."""
    fsdp1: bool = False
    """Layers are gathered by FSDP1, whose buffers the allocator reuses late."""
    reentrant: bool = False
    """Reentrant checkpointing: retained inputs are leaves that keep their gradients."""
    outputs_until: OutputsUntil = "backward"
    """Where outputs go that the loop keeps (``domain.recipe``)."""
    units: Units | None = None
    """What FSDP2 gathers; None: nothing."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Group:
    """Amounts that a person would call by one name."""

    kind: str
    label: str
    amounts: tuple[Amount, ...]
    reference: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Candidate:
    """A moment that could be the peak of its phase."""

    layer: int | None
    """Index of the layer that runs; None: the loss."""
    groups: tuple[Group, ...]
    total: Size


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Step:
    """All moments of a step, by phase."""

    shared: tuple[Amount, ...]
    """Rotary tables and token ids, alive from the forward to the end of the backward pass."""
    candidates: dict[str, tuple[Candidate, ...]]


def total(amounts: tuple[Amount, ...]) -> Size:
    """Their sum."""
    size = ZERO
    for amount in amounts:
        size = plus(size, amount.size)
    return size


def prune(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """Leave out moments that another covers in every symbol."""
    kept: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: -sum(c.total)):
        if not any(all(map(int.__ge__, k.total, c.total)) for k in kept):
            kept.append(c)
    return tuple(kept)


NOTHING = (Moment(ZERO, ()),)
"""A moment in which no layer is at work."""


def split(moments: tuple[Moment, ...], vocabulary: int) -> tuple[tuple[bool, tuple[Moment, ...]], ...]:
    """Moments of the loss that runs backward, apart: those before the gradient of the logits is all that is left as
    wide as the vocabulary, and those from then on."""

    def is_behind(moment: Moment) -> bool:
        return sum(a.rows != "one" and a.width == vocabulary for a in moment.amounts) <= 1

    return tuple((side, tuple(m for m in moments if is_behind(m) is side)) for side in (False, True))


TAPE = "rules of autograd: torch/csrc/autograd/engine.cpp; layers: docs/method.md"
INPUT_GROUP = ("checkpoints", "layer inputs kept", "transformers modeling_layers.py GradientCheckpointingLayer")
SAVED_GROUP = ("activations", "saved by the layers for their backward pass", TAPE)
GRADIENT_GROUP = ("gradients", "gradients of finished layers", "torch/csrc/autograd/functions/accumulate_grad.cpp")
LAYER_GROUP = ("working_set", "one layer at work", TAPE)
OUTPUTS_GROUP = ("activations", "outputs that the loop keeps", "peft method_comparison/MetaMathQA/run.py")
LOSS_GROUP = ("loss", "logits and loss", TAPE)
GATHERED_GROUP = ("gathered", "gathered whole, and buffers of collectives", "torch distributed/fsdp/_fully_shard")


@lru_cache(maxsize=64)
def compile_step(key: StepKey) -> Step:
    """Play every kind of layer and the loss, and place them in the step."""
    model, n = key.model, key.numerics
    kinds = model.layer_kinds
    layers = len(kinds)
    checkpointed = key.checkpointing != "none"
    boundary = Amount("layer input", "T", model.hidden_size, n.stream, "activation")
    entry_needs_grad = n.train_base or checkpointed or key.train_embedding
    played: dict[tuple[int, bool], Played] = {}

    def play(kind: int, needs: bool) -> Played:
        where = (kind, needs)
        if where not in played:
            played[where] = play_block(model, model.blocks[kind], n, needs, key.keep_gradients)
        return played[where]

    # Layers in front of the first adapter have no gradient (hybrids of which only the attention is adapted).
    start = -1 if entry_needs_grad else next((i for i in range(layers) if play(kinds[i], False).needs_grad), layers)

    def of(i: int) -> Played:
        return play(kinds[i], i > start)

    first = {kind: kinds.index(kind) for kind in dict.fromkeys(kinds)}
    last = {kind: layers - 1 - kinds[::-1].index(kind) for kind in first}
    ends = sorted(set(first.values()) | set(last.values()))
    played_head = play_head(model, n, key.head, key.keep_gradients)
    head = played_head.profile
    entry = enter(model, n, key.train_embedding, checkpointed, key.keep_gradients)

    copies = [0]
    finished = [0] * (layers + 1)
    for i in range(layers):
        copies.append(copies[-1] + of(i).copies)
    finished[layers] = head.parameter_gradients
    if model.tie_word_embeddings and key.train_embedding and not key.keep_gradients:
        # The output layer's part waits for the embedding's, beside the gradient of earlier micro batches.
        finished[layers] = model.vocab_size * (model.embedding_size or model.hidden_size) * n.weight
    for i in reversed(range(layers)):
        finished[i] = finished[i + 1] + of(i).profile.parameter_gradients

    def saved_before(i: int) -> tuple[Amount, ...]:
        """What the layers in front of layer i saved."""
        if checkpointed and key.checkpointing != "selective":
            return entry.saved
        amounts = list(entry.saved)
        counted: dict[tuple[int, bool], int] = {}
        for j in range(i):
            where = (kinds[j], j > start)
            counted[where] = counted.get(where, 0) + 1
        for where, count in counted.items():
            layer = played[where]
            saved = layer.kept_selectively if checkpointed else layer.profile.saved.amounts
            amounts += [a.repeated(count) for a in saved]
            if layer.saves_input and not checkpointed:
                amounts.append(boundary.repeated(count))
        return tuple(amounts)

    def pinned(start: int, stop: int) -> tuple[Amount, ...]:
        """What the nodes of layers start to stop keep until the graph is gone; reentrant checkpointing has no graph."""
        if checkpointed and key.reentrant:
            return ()
        return tuple(a for j in range(start, stop) for a in of(j).pinned)

    def cached(count: int) -> tuple[Amount, ...]:
        """The fused projections of the layers in front, where views of them are the cache."""
        if not (key.keeps_cache and checkpointed):
            return ()
        parts = [model.blocks[kinds[j]].attention for j in range(count)]
        width = sum(a.query_size + a.key_size + a.value_size for a in parts if a is not None)
        return (Amount("projections that the cache is a view of", "T", width, n.stream, "activation"),) if width else ()

    def inputs(count: int) -> tuple[Amount, ...]:
        """Layer inputs that checkpointing keeps, or that the loops of the model hold."""
        kept = min(count, 2) if key.checkpointing == "offload" else count
        return (boundary.repeated(kept),) if kept else ()

    def copied(i: int) -> tuple[Amount, ...]:
        return (Amount("16-bit copies of trained weights", "one", copies[i], 1, "weight copy"),) if copies[i] else ()

    units = key.units
    # FSDP2 reduces the gradient of tied embeddings when both their parts are there.
    unreduced = head.parameter_gradients if units is not None and not units.last else 0

    def gradients(nbytes: int) -> tuple[Amount, ...]:
        share = ceil_div(nbytes - unreduced, key.gradient_parts) * (units.stored if units else 1) + unreduced
        return (Amount("gradients of finished layers", "one", share, 1, "gradient"),) if nbytes else ()

    def returning(i: int) -> tuple[Amount, ...]:
        """What FSDP2 has whole while layer i runs backward."""
        if units is None:
            return ()
        behind = of(i + 1).profile.parameter_gradients if i + 1 < layers else head.parameter_gradients - unreduced
        return fully_shard.returning(units, i, behind)

    def retained(i: int) -> tuple[Amount, ...]:
        """Inputs of the layers behind layer i that hooks still hold, and their gradients."""
        behind = layers - 1 - i
        if not (key.retains_inputs and checkpointed and behind):
            return ()
        held = (boundary.repeated(behind),)
        return (*held, boundary.repeated(behind - 1)) if key.reentrant and behind > 1 else held

    def outputs(phase: str) -> tuple[Amount, ...]:
        """Outputs that the loop holds beside what the phase makes: those of this pass, or of the one before.

        Through them the graph is held, and so is the leaf that checkpointing made of the embedding, with its gradient.
        """
        passed = {
            "backward_first": 0,
            "backward_last": 0,
            "clip": 1,
            "optimizer_step": 1,
            "forward": 2,
            "loss_forward": 2,
        }
        if passed.get(phase, 3) > ("backward", "step", "next").index(key.outputs_until) or not played_head.outputs:
            return ()
        leaf = checkpointed and not key.train_embedding and passed[phase] > 0
        return (*played_head.outputs, boundary.repeated(2)) if leaf else played_head.outputs

    found: dict[str, list[Candidate]] = {"forward": [], "backward_first": [], "backward_last": [], "evaluation": []}

    def place(
        phase: str, layer: int | None, moments: tuple[Moment, ...], kept: tuple[Amount, ...],
        saved: tuple[Amount, ...] = (), done: tuple[Amount, ...] = (), whole: tuple[Amount, ...] = (),
    ) -> None:  # fmt: skip
        working = LOSS_GROUP if layer is None else LAYER_GROUP
        fixed = [
            Group(kind, label, amounts, reference)
            for (kind, label, reference), amounts in (
                (INPUT_GROUP, kept),
                (SAVED_GROUP, saved),
                (GRADIENT_GROUP, done),
                (GATHERED_GROUP, whole),
                (OUTPUTS_GROUP, outputs(phase)),
            )
            if amounts
        ]
        base = ZERO
        for group in fixed:
            base = plus(base, total(group.amounts))
        for moment in moments:
            groups = (*fixed, Group(working[0], working[1], moment.amounts, working[2]))
            found.setdefault(phase, []).append(Candidate(layer, groups, plus(base, moment.size)))

    for i in ends:
        layer = of(i)
        profile = layer.profile
        gathered = fully_shard.running(units, i) if units else ()
        if checkpointed:
            place(
                "forward",
                i,
                profile.forgetful,
                inputs(i + 1) + entry.held,
                saved_before(i) + copied(i) + pinned(0, i) + cached(i),
                whole=gathered,
            )
            held, behind = inputs(i + 1), profile.recompute
        else:
            # The embedding stays in the frame of the model's loop; the input of the layer in that of the layer.
            first_too = entry.holds_input and i > 0 and not of(0).saves_input
            place("forward", i, profile.forward, inputs(1 + first_too) + entry.held, saved_before(i), whole=gathered)
            held, behind = inputs(int(layer.saves_input)), profile.backward
        for phase, at in (("backward_first", last), ("backward_last", first)):
            if i in at.values():
                kept = saved_before(i) + (pinned(0, layers) if checkpointed else pinned(i + 1, layers))
                place(phase, i, behind, held + retained(i), kept, gradients(finished[i + 1]), returning(i))
        place("evaluation", i, profile.forgetful, inputs(1) + entry.held, copied(i), whole=gathered)
    everything = inputs(layers) if checkpointed else ()
    attributes = pinned(0, layers) if checkpointed else ()
    until_exit = copied(layers) if checkpointed else ()
    until_loss = saved_before(layers) + attributes + until_exit + cached(layers)
    losing = fully_shard.losing(units) if units else ()
    place("loss_forward", None, head.forward, everything, until_loss, whole=losing)
    place("evaluation", None, head.forgetful, (), copied(layers), whole=losing)
    for behind_logits, moments in split(head.backward, model.vocab_size):
        whole = fully_shard.unlosing(units, behind_logits) if units else ()
        place("loss_backward", None, moments, everything, saved_before(layers) + attributes, whole=whole)
    if units:
        place("forward", 0, NOTHING, inputs(1), entry.saved, whole=fully_shard.entering(units))
        for i in ends:
            place("forward", i, NOTHING, inputs(i + 1), saved_before(i), whole=fully_shard.copying(units, i))
        if units.last:
            place("loss_forward", None, NOTHING, everything, until_loss, whole=fully_shard.copying(units, layers))
        if key.keep_gradients:
            for whole in fully_shard.unlost(units):
                place("loss_backward", None, NOTHING, everything, saved_before(layers) + attributes, whole=whole)
    for phase in ("clip", "optimizer_step"):
        if outputs(phase):
            group = Group(OUTPUTS_GROUP[0], OUTPUTS_GROUP[1], outputs(phase), OUTPUTS_GROUP[2])
            found[phase] = [Candidate(None, (group,), total(group.amounts))]
    if key.train_embedding:
        left = fully_shard.leaving(units, of(0).profile.parameter_gradients, key.keep_gradients) if units else ((), ())
        place("backward_last", 0, entry.backward, (), (), gradients(finished[0]), left[0])
        if left[1]:
            done = finished[0] - unreduced
            unreduced = 0
            place("backward_last", 0, NOTHING, (), (), gradients(done), left[1])
    elif units and checkpointed:
        # The output of the embedding is made to require a gradient, and so it is gathered.
        whole = fully_shard.returned(units, of(0).profile.parameter_gradients)
        place("backward_last", 0, NOTHING, (boundary.repeated(1),), (), gradients(finished[0]), whole)
    return Step(shared(model, n, checkpointed), {phase: prune(candidates) for phase, candidates in found.items()})
