"""Where the code of an architecture does otherwise than Llama's, in ways that memory can tell.

Every entry is read in transformers 5.23 ``models/<architecture>/modeling_<architecture>.py``; an architecture that is
not listed does as Llama. What a configuration says is a field of ``domain.model`` instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rotary = Literal["plain", "fp32", "fp32_tables", "halves", "complex"]
"""plain: in the dtype of the stream; fp32: queries and keys are turned into fp32 first; fp32_tables: cosines and sines
stay in fp32, so the products do; halves: two halves are computed apart and joined; complex: as complex numbers."""

Fused = Literal["slices", "split", "copies"]
"""How a fused projection is taken apart. slices: each part alone; split: one operation for all parts; copies: keys and
values are indexed, which copies them (Falcon)."""

Order = Literal["before", "after", "sum"]
"""Where norms stand. before: on the input of attention and MLP; after: on their outputs alone; sum: on the sum of
output and residual (BERT)."""

Eager = Literal["fp32_softmax", "own_dtype", "bare", "fp32_products", "biased", "biased_fp32", "in_place", "sinks"]
"""How attention is written out. fp32_softmax: the softmax in fp32; own_dtype: in the dtype of the scores; bare: the same, and not cast to that of the values;
fp32_products: queries and keys in fp32 first (GPT-J); biased: ALiBi is the first summand of the product (BLOOM);
biased_fp32: an fp32 ALiBi is added (MPT); in_place: scaled in place (Falcon); sinks: one more column (gpt-oss)."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What one architecture does otherwise."""

    rotary: Rotary = "plain"
    partial_rotary: bool = False
    """A head is cut into a rotated and a plain part and joined again, even where nothing stays plain."""
    fused: Fused = "slices"
    qk_norm: Literal["each", "late", "rotated"] = "each"
    """Queries and keys are normed each behind its projection, when all three are there, or behind the rotation."""
    each_in_full: bool = False
    """Queries are projected, normed and rotated before keys are; values are normed without weights."""
    whole_rotary: bool = False
    """A rotation of a part of the head is written as one of all of it, by tables that turn the rest by nothing."""
    scaled_query: bool = False
    """The query is scaled before the attention."""
    rotated_by_token: bool = False
    """Heads are rotated before they are transposed: what attention returns needs no copy."""
    eager: Eager = "fp32_softmax"
    returns_probabilities: bool = False
    """Layers return the probabilities of attention written out: those of one layer live until the next is done."""
    order: Order = "before"
    dropout_inside: bool = False
    """Outputs are dropped out where queries, keys and values are still held."""
    dropout_of_attention: bool = True
    """The output of attention is dropped out too, not only that of the MLP."""
    scaled_residual: bool = False
    """Outputs of attention and MLP are scaled before they are added."""
    scaled_output: bool = False
    """The output of a layer is scaled in place."""
    sum_in_place: bool = False
    """The output of attention is added to that of the MLP in place."""
    rotary_by_window: bool = False
    """Layers with a window have positions of their own."""
    scaled_embedding: Literal["not", "inside", "outside"] = "not"
    """Embeddings are multiplied by a number inside or outside their module."""
    position_tables: Literal["shared", "interleaved", "looked_up"] = "shared"
    """Cosines and sines are those of the model, are interleaved by each layer, or are looked up for every token in a
    table of the layer's own."""
    positions_by_token: bool = False
    """Position embeddings are looked up for every token of the batch."""
    embedding_rebound: bool = False
    """The embedding before dropout is not held."""
    embedded_apart: bool = False
    """The embeddings are made in a module of their own, whose variables are gone when the layers run."""
    router: Literal["softmax_first", "top_first", "top_first_fp32"] = "softmax_first"
    """Probabilities of all experts before the choice, or of the chosen ones behind it (gpt-oss; in fp32 GraniteMoE)."""
    router_fp32: Literal["no", "cast", "always"] = "no"
    """The router multiplies in fp32; always: whatever autocast says."""
    routing_fp32: bool = False
    """Routing weights stay fp32, so the weighted outputs of the experts are."""
    shared_expert_first: bool = False
    expert_modules: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    """Names of gate, up and down where experts are linear layers (transformers 4)."""
    always_masked: bool = False
    """scaled_dot_product_attention is given the causal mask."""
    fused_state: bool = False
    """The projections of a gated delta net are fused by head (Qwen3-Next)."""
    without_sdpa: bool = False
    """transformers has no scaled_dot_product_attention for it."""
    without_flash: bool = False
    """transformers has no fused attention for it at all."""


LLAMA = Habits()
PARTIAL = Habits(partial_rotary=True)
INTERLEAVED = Habits(partial_rotary=True, position_tables="interleaved")

HABITS: dict[str, Habits] = {
    "bert": Habits(eager="bare", order="sum", embedded_apart=True),
    "bloom": Habits(returns_probabilities=True, eager="biased", without_flash=True),
    "cohere": Habits(rotary="fp32", qk_norm="late"),
    "cohere2": Habits(rotary="fp32"),
    "deepseek_v2": Habits(rotary="complex", router_fp32="cast", routing_fp32=True),
    "deepseek_v32": Habits(rotary="halves", router_fp32="cast", routing_fp32=True),
    "deepseek_v3": Habits(rotary="halves", router_fp32="cast", routing_fp32=True),
    "dots1": Habits(router_fp32="cast", routing_fp32=True),
    "ernie4_5": Habits(rotary="fp32", position_tables="interleaved"),
    "ernie4_5_moe": Habits(
        rotary="fp32", position_tables="interleaved", router_fp32="always", shared_expert_first=True
    ),
    "exaone4": Habits(qk_norm="late", order="after"),
    "falcon": Habits(
        returns_probabilities=True,
        fused="copies",
        eager="in_place",
        dropout_of_attention=False,
        sum_in_place=True,
        always_masked=True,
    ),
    "gemma": Habits(scaled_embedding="inside"),
    "gemma2": Habits(scaled_embedding="inside"),
    "gemma3_text": Habits(qk_norm="late", scaled_embedding="inside", rotary_by_window=True),
    "gemma4_text": Habits(
        each_in_full=True,
        whole_rotary=True,
        rotated_by_token=True,
        rotary_by_window=True,
        scaled_output=True,
        scaled_embedding="inside",
        routing_fp32=True,
    ),
    "glm": INTERLEAVED,
    "glm4": INTERLEAVED,
    "glm4_moe": Habits(partial_rotary=True, router_fp32="cast", routing_fp32=True),
    "glm4_moe_lite": Habits(rotary="halves", router_fp32="cast", routing_fp32=True),
    "glm_moe_dsa": Habits(rotary="halves", router_fp32="cast", routing_fp32=True),
    "gpt2": Habits(fused="split", eager="own_dtype", dropout_inside=True),
    "gpt_bigcode": Habits(fused="split", dropout_inside=True),
    "gpt_neox": Habits(fused="split", partial_rotary=True),
    "gpt_oss": Habits(rotary="halves", eager="sinks", without_sdpa=True, router="top_first"),
    "gptj": Habits(
        returns_probabilities=True,
        position_tables="looked_up",
        partial_rotary=True,
        rotated_by_token=True,
        eager="fp32_products",
        dropout_inside=True,
        without_sdpa=True,
    ),
    "granite": Habits(scaled_residual=True, scaled_embedding="outside"),
    "granitemoe": Habits(scaled_residual=True, scaled_embedding="outside", router="top_first_fp32"),
    "granitemoeshared": Habits(scaled_residual=True, scaled_embedding="outside", router="top_first_fp32"),
    "hunyuan_v1_moe": Habits(qk_norm="rotated", router_fp32="cast", routing_fp32=True, shared_expert_first=True),
    "kimi_k2": Habits(rotary="halves", router_fp32="cast", routing_fp32=True),
    "llama4_text": Habits(rotary="complex", shared_expert_first=True),
    "minimax_m2": Habits(partial_rotary=True, qk_norm="late", routing_fp32=True),
    "mixtral": Habits(routing_fp32=True, expert_modules=("w1", "w3", "w2")),
    "mpt": Habits(returns_probabilities=True, fused="split", eager="biased_fp32", without_flash=True),
    "nemotron": PARTIAL,
    "olmo": Habits(rotary="fp32_tables"),
    "olmo2": Habits(rotary="fp32_tables", order="after"),
    "olmo3": Habits(rotary="fp32_tables", order="after"),
    "opt": Habits(scaled_query=True, positions_by_token=True),
    "phi": Habits(partial_rotary=True, embedding_rebound=True),
    "phi3": PARTIAL,
    "qwen2_moe": Habits(shared_expert_first=True),
    "qwen3_next": Habits(fused_state=True),
    "roberta": Habits(eager="bare", order="sum", embedded_apart=True),
    "seed_oss": Habits(dropout_inside=True),
    "stablelm": Habits(partial_rotary=True, qk_norm="late", dropout_of_attention=False),
    "starcoder2": Habits(dropout_inside=True),
    "xlm-roberta": Habits(eager="bare", order="sum", embedded_apart=True),
}


def habits(architecture: str) -> Habits:
    """What an architecture does otherwise."""
    return HABITS.get(architecture, LLAMA)
