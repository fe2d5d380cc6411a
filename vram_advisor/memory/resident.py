"""What stays for whole phases whatever the batch: weights, adapters, optimizer state, gradients, workspaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.estimate import Phase
from vram_advisor.domain.optimizer import optimizer
from vram_advisor.domain.tensors import tensors
from vram_advisor.memory.optimizer_state import optimizer_bytes
from vram_advisor.memory.setup import Setup
from vram_advisor.memory.sharding import gathered, part, shares
from vram_advisor.memory.trained import Trained
from vram_advisor.memory.weights import weight_bytes

ALL: tuple[Phase, ...] = (
    "load", "forward", "loss_forward", "loss_backward", "backward_first", "backward_last", "clip", "optimizer_step",
    "evaluation", "save",
)  # fmt: skip
RUNNING = ALL[1:]
STEP: tuple[Phase, ...] = ALL[1:6]
"""Forward and backward pass."""
LAYERS: tuple[Phase, ...] = ("forward", "backward_first", "backward_last")
"""Phases in which layers run."""
DTYPE_TITLES = {4: "float32", 2: "16-bit"}
"""Titles of item sizes of weights that are not quantised [B]."""
AFTER: tuple[Phase, ...] = ("clip", "optimizer_step")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Resident:
    """Bytes that do not depend on the batch."""

    kind: str
    label: str
    amounts: tuple[Amount, ...]
    alive: tuple[Phase, ...]
    reference: str

    @property
    def nbytes(self) -> int:
        """Sum of the amounts [B]."""
        return sum(a.size[0] for a in self.amounts)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Residents:
    """All of them, for one GPU, and what rests in host memory, for all GPUs together."""

    items: tuple[Resident, ...]
    by_phase: dict[Phase, int]
    host_bytes: int
    gradient_share: int
    """Into how many parts finished gradients are cut."""


def fixed(label: str, nbytes: int, kind: str) -> Amount:
    """A number of bytes as an amount."""
    return Amount(label, "one", nbytes, 1, kind)


def trained_amounts(trained: tuple[Trained, ...], kind: str, parts: int) -> tuple[Amount, ...]:
    """Trained tensors as amounts: one per label where they are whole, their share where they are cut."""
    if parts > 1:
        return (fixed(f"share of 1 in {parts}", part(sum(t.nbytes for t in trained), parts), kind),)
    return tuple(Amount(t.label, "one", t.each, t.itemsize, kind, t.count) for t in trained)


@lru_cache(maxsize=128)
def residents(setup: Setup, workspace: int) -> Residents:
    """Resident bytes of a training run on one GPU.

    Args:
        setup: the run.
        workspace: cuBLAS workspaces [B].
    """
    model, plan, recipe, fmt = setup.key.model, setup.plan, setup.recipe, setup.storage
    cut = shares(plan)
    full = setup.workload.method == "full"
    weights = weight_bytes(model, fmt, setup.kept_itemsize, recipe.linear_experts, setup.embedding_itemsize)
    row = optimizer(plan.optimizer or recipe.optimizer)
    state = optimizer_bytes(row, setup.trained, recipe.fp32_embedding_states)
    trained = sum(t.nbytes for t in setup.trained)
    items: list[Resident] = []
    host = 0

    def add(kind: str, label: str, amounts: tuple[Amount, ...], alive: tuple[Phase, ...], reference: str) -> None:
        kept = tuple(a for a in amounts if a.size[0])
        if kept:
            items.append(Resident(kind, label, kept, alive, reference))

    pieces = (
        (
            "layers",
            f"linear layers, {fmt.title if fmt.is_quantised else DTYPE_TITLES[setup.kept_itemsize]}",
            weights.layers,
        ),
        ("experts", "experts", weights.experts),
        ("embeddings", "embeddings and output layer", weights.embeddings),
        ("rest", "norms, biases and others", weights.rest),
    )
    if cut.weights_on_host:
        host += weights.total
    else:
        amounts = tuple(fixed(label, part(nbytes, cut.weights), "weights") for _, label, nbytes in pieces)
        add("weights", "weights of the model", amounts, ALL, fmt.source)
    if full and setup.workload.objective in ("dpo", "kto"):
        # With adapters the reference is the same model with the adapter switched off.
        add("reference", "frozen reference model", (fixed("weights", part(weights.total, cut.weights), "weights"),), ALL,
            "trl trainer/dpo_trainer.py, kto_trainer.py: ref_model")  # fmt: skip
    if cut.gathers and setup.key.units is None:
        whole = gathered(model, fmt, setup.key.numerics.weight, recipe.linear_experts)
        reference = "torch distributed/fsdp: current and prefetched layer; root group"
        add("gathered", "layers gathered whole", (fixed("two layers", 2 * whole.layer, "weights"),), LAYERS, reference)
        root = (fixed("embeddings, output layer, final norm", whole.root, "weights"),)
        add("gathered", "embeddings and output layer gathered whole", root, STEP, reference)
    if not full:
        add(
            "adapters",
            "adapters",
            trained_amounts(setup.trained, "adapters", cut.weights),
            ALL,
            "arXiv 2106.09685; peft tuners/lora",
        )
    if cut.optimizer_on_host:
        host += state.state + state.paged + (trained // setup.trained[0].itemsize * 4 if full else 0)
    else:
        add(
            "optimizer_state", f"optimizer state, {row.title}",
            (fixed("moments", part(state.state, cut.optimizer), "optimizer_state"),), RUNNING, row.source,
        )  # fmt: skip
        host += part(state.paged, cut.optimizer) * setup.plan.num_gpus
    units = setup.key.units
    where = AFTER if setup.key.keep_gradients or units is not None else RUNNING
    if units is not None and not setup.key.keep_gradients:
        # Passes before the last reduce nothing (accelerate accelerator.py no_sync): whole gradients add up.
        summed = sum(t.nbytes for t in setup.trained) // units.stored
        add("gradients", "whole gradients of all micro batches", (fixed("gradients", summed, "gradient"),), STEP,
            "torch distributed/fsdp/_fully_shard/_fsdp_param_group.py post_backward")  # fmt: skip
    if not row.in_backward:
        add(
            "gradients",
            "gradients",
            trained_amounts(setup.trained, "gradients", cut.gradients),
            where,
            "dtype of the parameter",
        )
    temporary = 0 if cut.optimizer_on_host else part(state.temporary, cut.optimizer)
    add("optimizer_temporaries", "temporaries of the optimizer step", (fixed("temporaries", temporary, "workspace"),),
        ("optimizer_step",), row.source)  # fmt: skip
    if fmt.is_quantised and not cut.weights_on_host:
        # Weights are quantised one by one as they arrive in 16 bit (transformers core_model_loading.py).
        biggest = max((t.numel // t.count for t in tensors(model) if t.kind == "linear"), default=0)
        add("loading", "the largest weight before it is quantised", (Amount("16-bit copy", "one", biggest, 2, "workspace"),),
            ("load",), "transformers core_model_loading.py")  # fmt: skip
    if cut.buckets:
        add("communication", "gradient buckets", (fixed("a copy of all gradients", trained, "gradient"),), RUNNING,
            "torch nn/parallel/distributed.py Reducer")  # fmt: skip
    add("workspace", "cuBLAS workspaces", (fixed("one per thread", workspace, "workspace"),), RUNNING,
        "torch ATen/cuda/CublasHandlePool.cpp")  # fmt: skip
    by_phase = {phase: sum(r.nbytes for r in items if phase in r.alive) for phase in ALL}
    return Residents(tuple(items), by_phase, host, cut.gradients)
