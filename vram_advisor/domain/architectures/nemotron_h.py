"""Nemotron-H: each layer is one part with one norm."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.fields import LAYERS, MAX_LAYERS, Fields
from vram_advisor.domain.architectures.llama_like import MLP_BIAS, PLAIN_MLP, checked
from vram_advisor.domain.architectures.parts import attention, experts, hidden_size, mlp
from vram_advisor.domain.architectures.row import Architecture, Mixture, Names
from vram_advisor.domain.architectures.states import mamba2
from vram_advisor.domain.model import Block, ExtraTensor

NEMOTRON_LETTERS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}


def nemotron_types(fields: Fields) -> tuple[str, ...]:
    """Kind of each layer of Nemotron-H: a list, or a pattern of letters."""
    pattern = fields.text("hybrid_override_pattern")
    if pattern is None:
        count = fields.get("layers_block_type", "layer_types")[1]
        length = len(count) if isinstance(count, list) else fields.integer(*LAYERS, high=MAX_LAYERS)
        types = fields.texts("layers_block_type", "layer_types", length=min(length, MAX_LAYERS))
        if types is None:
            raise fields.missing(("hybrid_override_pattern", "layers_block_type"), "the kind of each layer")
    else:
        unknown = set(pattern) - set(NEMOTRON_LETTERS)
        if unknown or not pattern:
            raise fields.wrong("hybrid_override_pattern", pattern, f"letters of {''.join(NEMOTRON_LETTERS)}")
        types = tuple(NEMOTRON_LETTERS[letter] for letter in pattern)
    names = {"mamba": "linear_attention", "attention": "full_attention"}
    types = tuple(names.get(kind, kind) for kind in types)
    unmodelled = set(types) - set(NEMOTRON_LETTERS.values())
    if unmodelled:
        raise fields.wrong("layers_block_type", sorted(unmodelled)[0], "mamba, attention, mlp or moe")
    return types


def nemotron_experts(fields: Fields, row: Architecture) -> Block:
    """The expert layer of Nemotron 3, on a latent projection in the larger size."""
    shared = Mixture(shared_width="moe_shared_expert_intermediate_size", correction_bias=True)
    latent = fields.optional_integer("moe_latent_size")
    hidden = hidden_size(fields)
    extra: tuple[ExtraTensor, ...] = ()
    if latent:
        extra = (
            ExtraTensor("mixer.fc1_latent_proj.weight", (latent, hidden), "expert"),
            ExtraTensor("mixer.fc2_latent_proj.weight", (hidden, latent), "expert"),
        )
    return Block(experts=replace(experts(fields, row, shared), latent_size=latent), num_norms=1, extra=extra)


def nemotron_h_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Nemotron-H: each layer is one of Mamba-2, attention, MLP, experts, with one norm."""
    types = nemotron_types(fields)
    blocks = {}
    for kind in dict.fromkeys(types):
        if kind == "linear_attention":
            blocks[kind] = Block(state=mamba2(fields), num_norms=1)
        elif kind == "full_attention":
            blocks[kind] = Block(attention=attention(fields, row), num_norms=1)
        elif kind == "mlp":
            blocks[kind] = Block(mlp=mlp(fields, row), num_norms=1)
        else:
            blocks[kind] = nemotron_experts(fields, row)
    return [blocks[kind] for kind in types]


NEMOTRON_H = Architecture(
    "nemotron_h",
    checked("nemotron_h"),
    nemotron_h_layers,
    names=Names(
        embedding="model.embeddings",
        final_norm="model.norm_f",
        norms=("norm",),
        attention="mixer",
        mlp="mixer",
        router="mixer.gate",
        experts="mixer.experts",
        shared="mixer.shared_experts",
        shared_modules=PLAIN_MLP,
        state="mixer",
    ),
    num_norms=1,
    rotary=0.0,
    gated=False,
    mlp_modules=PLAIN_MLP,
    mlp_bias=MLP_BIAS,
    activation="relu2",
)
