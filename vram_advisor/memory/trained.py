"""Which tensors are trained: adapters, modules saved in full, or all weights."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.tensors import Tensor, tensors
from vram_advisor.memory.habits import habits
from vram_advisor.units.errors import BadInput

ADAPTED_ROLES = frozenset({"attention", "mlp", "expert", "shared_expert", "state"})
"""Roles that ``all-linear`` reaches: every linear layer but the output layer (peft ``tuners_utils.py``)."""


PROJECTIONS = frozenset({"proj", "project_in", "project_out"})
"""Linear layers that ``all-linear`` reaches too: the router of Gemma 4, and what lies between embeddings and hidden
states of another width (opt-350m)."""


TABLES = frozenset({"embedding", "position"})
"""Roles of tensors that are ``nn.Embedding``."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One trained tensor, ``count`` times."""

    label: str
    shape: tuple[int, ...]
    count: int
    itemsize: int
    embedding: bool = False
    """A table of embeddings, whose states some optimizers keep in fp32."""

    @property
    def each(self) -> int:
        """Elements of one copy."""
        product = 1
        for n in self.shape:
            product *= n
        return product

    @property
    def numel(self) -> int:
        """Elements of all copies."""
        return self.each * self.count

    @property
    def nbytes(self) -> int:
        """Bytes of all copies [B]."""
        return self.numel * self.itemsize


STACKED: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(("mixtral", "minimax_m2"), ("w1", "w3", "w2")),
    **dict.fromkeys(
        ("deepseek_v2", "deepseek_v3", "deepseek_v32", "dots1", "ernie4_5_moe", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa",
         "hunyuan_v1_moe", "kimi_k2", "olmoe", "qwen3_moe", "qwen3_next"),
        ("gate_proj", "up_proj", "down_proj"),
    ),
}  # fmt: skip
"""Architectures whose linear experts of transformers 4 are stacks in transformers 5, and the names that PEFT turns into
parameters of the stacks: gate, up, down; ``gate`` alone is the router.

Source: peft 0.21 ``utils/transformers_weight_conversion.py``, transformers 5.23 ``conversion_mapping.py``.
"""


def resolve_targets(model: ModelSpec, targets: frozenset[str], linear_experts: bool) -> frozenset[str]:
    """The names that carry an adapter: stacked experts are ``experts.gate_up_proj`` and ``experts.down_proj``, their
    router is ``router``, and dense layers of the same names are left out."""
    if linear_experts or not any(block.experts for block in model.blocks):
        return targets
    names = STACKED.get(model.architecture)
    asked = set(targets)
    if "all-linear" in asked:
        asked = {t.module for t in tensors(model) if t.kind == "linear" and is_reached(t)}
        asked |= {*names, "gate"} if names else set()
    if names is None:
        return frozenset(asked)
    found = asked - {*names, "gate"}
    if {names[0], names[1]} <= asked:
        found.add("experts.gate_up_proj")
    if names[2] in asked:
        found.add("experts.down_proj")
    if "gate" in asked:
        found.add("router")
    return frozenset(found)


def is_reached(tensor: Tensor) -> bool:
    """Whether ``all-linear`` reaches the linear layer."""
    return tensor.role in ADAPTED_ROLES or tensor.module in PROJECTIONS


def carries_adapter(tensor: Tensor, targets: frozenset[str], linear_experts: bool) -> bool:
    """Whether a LoRA is put on the tensor; ``targets`` as ``resolve_targets`` gives them."""
    if tensor.kind == "expert_stack":
        return f"experts.{tensor.module}" in targets
    if tensor.role == "router":
        asked = "router" in targets or (linear_experts and "all-linear" in targets)
        return asked or tensor.module in targets
    if tensor.kind != "linear":
        return False
    return ("all-linear" in targets and is_reached(tensor)) or tensor.module in targets


def linear_modules(model: ModelSpec, linear_experts: bool) -> Iterator[Tensor]:
    """The tensors of a model; in transformers 4 a stack of experts is one linear layer for each, or two where gate and
    up are one here."""
    gate, up, down = habits(model.architecture).expert_modules
    for tensor in tensors(model):
        if tensor.kind != "expert_stack" or not linear_experts:
            yield tensor
            continue
        count, out_features, in_features = tensor.shape
        names = {"gate_up_proj": (gate, up), "up_proj": (up,), "down_proj": (down,)}[tensor.module]
        for name in names:
            shape = (out_features // len(names), in_features)
            yield replace(tensor, module=name, shape=shape, kind="linear", count=tensor.count * count)


@lru_cache(maxsize=1024)
def adapter_tensors(
    model: ModelSpec, r: int, targets: frozenset[str], itemsize: int, dora: bool = False, linear_experts: bool = False
) -> tuple[Trained, ...]:
    """The matrices of a LoRA: A (r x in) and B (out x r) per target, and a magnitude (out) for DoRA.

    Source: Hu et al. 2021, arXiv 2106.09685; peft ``tuners/lora/layer.py``; DoRA: arXiv 2402.09353.

    Raises:
        BadInput: no module of the model has a name among the targets.
    """
    targets = resolve_targets(model, targets, linear_experts)
    found: list[Trained] = []
    for tensor in linear_modules(model, linear_experts):
        if not carries_adapter(tensor, targets, linear_experts):
            continue
        *stack, out_features, in_features = tensor.shape
        # The matrices of all experts of a stack are one parameter (peft tuners/lora/layer.py ParamWrapper).
        count, stacked = tensor.count, stack[0] if stack else 1
        rank = stacked * (2 * r if stack and tensor.module == "gate_up_proj" else r)
        found.append(Trained(f"{tensor.module} lora_A", (rank, in_features), count, itemsize))
        found.append(Trained(f"{tensor.module} lora_B", (out_features, rank), count, itemsize))
        if dora:
            found.append(Trained(f"{tensor.module} magnitude", (out_features,), count, 4))
    if not found:
        names = sorted({t.module for t in linear_modules(model, linear_experts) if t.kind == "linear"})
        raise BadInput(
            f"--target-modules {' '.join(sorted(targets))}: {model.id} has no such module; it has {', '.join(names)}."
        )
    return tuple(found)


@lru_cache(maxsize=1024)
def saved_modules(model: ModelSpec, modules: tuple[str, ...], itemsize: int) -> tuple[Trained, ...]:
    """The trainable copies of modules that are trained in full beside the adapters.

    Raises:
        BadInput: the model has no such module.
    """
    found: list[Trained] = []
    for name in modules:
        hits = [t for t in tensors(model) if t.module == name]
        if not hits and name == "lm_head" and model.tie_word_embeddings:
            hits = [t for t in tensors(model) if t.role == "embedding"]
        if not hits:
            names = sorted({t.module for t in tensors(model)})
            raise BadInput(f"--modules-to-save {name}: {model.id} has no such module; it has {', '.join(names)}.")
        found += [Trained(f"{t.module} copy", t.shape, t.count, itemsize, t.role in TABLES) for t in hits]
    return tuple(found)


@lru_cache(maxsize=256)
def all_weights(model: ModelSpec, itemsize: int) -> tuple[Trained, ...]:
    """Every weight of the text model; a vision or audio tower stays frozen."""
    return tuple(
        Trained(t.module, t.shape, t.count, itemsize, t.role in TABLES) for t in tensors(model) if t.role != "tower"
    )
