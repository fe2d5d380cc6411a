"""Which type llama.cpp's quantizer gives each tensor: a file type is a base type and exceptions from it.

The exceptions are rows of a table, read from the top: the first row that speaks of the part and the file type and whose
condition holds decides. Behind it stands the rule of shapes: a row of a tensor must be whole blocks.
Source: llama.cpp v0.5.0 ``src/llama-quant.cpp`` (llama_tensor_get_type, tensor_allows_quantization), whose decisions the
table reproduces. Files made before 2026 differ where query, key and value are fused: their Q4_K_M has Q5_K there, Q5_K_M
has Q6_K. Quantizers that choose the type of each tensor by measuring (Unsloth's UD files, ``_L`` and ``_XL`` variants) are
not described by a file type: their header has to be read.
"""

from dataclasses import dataclass
from functools import cache

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_conditions import (
    Condition,
    Spot,
    all_of,
    eight_experts,
    falcon,
    first,
    first_share,
    grouped,
    large,
    middle,
    more_bits,
    ragged,
    some_experts,
    stacked,
    unless,
    with_imatrix,
)
from vram_advisor.domain.gguf_file_types import BASE, UNQUANTISED

FALLBACK: dict[str, str] = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "TQ1_0": "Q4_0", "TQ2_0": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1",
    "Q6_K": "Q8_0", "IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "IQ2_XS": "IQ4_NL", "IQ2_S": "IQ4_NL",
    "IQ3_XXS": "IQ4_NL", "IQ3_S": "IQ4_NL", "IQ4_XS": "IQ4_NL",
}  # fmt: skip
"""What a type of larger blocks becomes where a row is not whole blocks of it; F16 where that does not fit either."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One exception from the base type."""

    part: str
    file_types: frozenset[str]
    becomes: str
    """Type; empty: the base type after all."""
    when: Condition


def rule(part: str, file_types: frozenset[str] | str, becomes: str, *when: Condition) -> Rule:
    """A row of the table."""
    named = frozenset(file_types.split()) if isinstance(file_types, str) else file_types
    return Rule(part, named, becomes, all_of(*when))


ALL = frozenset(BASE) - UNQUANTISED
SMALLEST = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"})
"""One and two bits: rules of their own."""
LARGER = ALL - SMALLEST
THREE_BIT_IQ = "IQ3_XXS IQ3_XS IQ3_S IQ3_M"
FOUR_BIT_IQ = "IQ4_NL IQ4_XS"
PARTS = ("token_embd", "attn_v", "attn_k", "attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "other")
"""Parts of a model but for the output layer."""

RULES: tuple[Rule, ...] = (
    # the output layer, and the embedding where it is the output layer too
    rule("output", "MXFP4_MOE Q8_0", "Q8_0"),
    rule("output", ALL, "Q8_0", falcon),
    rule("output", ALL, "Q8_0", ragged),
    rule("output", SMALLEST | {"IQ3_XXS"}, "Q5_K"),
    rule("output", ALL, "Q6_K"),
    # a file of MXFP4 experts: all else has eight bits
    *(rule(part, "MXFP4_MOE", "MXFP4", stacked) for part in PARTS if not part.startswith(("token", "attn"))),
    *(rule(part, "MXFP4_MOE", "Q8_0") for part in PARTS),
    rule("token_embd", "IQ1_S IQ1_M IQ2_XXS IQ2_XS", "Q2_K"),
    rule("token_embd", "IQ2_S IQ2_M IQ3_XXS", "IQ3_S"),
    rule("token_embd", "TQ1_0 TQ2_0", "Q4_K"),
    # values: small and sensitive
    rule("attn_v", SMALLEST, "Q4_K", grouped),
    rule("attn_v", SMALLEST, "Q4_K", some_experts),
    rule("attn_v", "IQ2_S IQ2_M", "IQ3_S"),
    rule("attn_v", SMALLEST, "Q2_K"),
    rule("attn_v", LARGER, "Q8_0", eight_experts),
    rule("attn_v", "Q4_K_M Q5_K_M", "Q6_K", more_bits),
    rule("attn_v", "Q2_K Q3_K_S Q3_K_M Q4_K_S Q4_K_M IQ3_M", "Q5_K", large),
    rule("attn_v", "Q2_K_S IQ3_XXS IQ3_XS IQ3_S", "Q5_K", large, grouped),
    rule("attn_v", "Q2_K Q2_K_S IQ3_XXS IQ3_XS IQ3_S", "Q4_K", grouped),
    rule("attn_v", "Q2_K", "Q3_K"),
    rule("attn_v", "IQ3_XXS", "IQ3_S", unless(with_imatrix)),
    rule("attn_v", "IQ3_M", "Q4_K"),
    rule("attn_v", "Q3_K_M", "Q5_K", first(2)),
    rule("attn_v", "Q3_K_M", "Q4_K"),
    rule("attn_v", "Q3_K_L", "Q5_K"),
    rule("attn_v", FOUR_BIT_IQ, "Q5_K", grouped),
    rule("attn_v", "Q4_K_S", "Q5_K", first(4)),
    rule("attn_k", SMALLEST, "Q4_K", eight_experts),
    rule("attn_k", LARGER, "Q8_0", eight_experts),
    *(rule(part, "IQ3_XS", "IQ3_XXS") for part in ("attn_k", "attn_q")),
    *(rule(part, "IQ3_XXS", "IQ2_S") for part in ("attn_k", "attn_q")),
    rule("attn_output", "Q3_K_L", "Q4_K", falcon),
    rule("attn_output", LARGER, "", falcon),
    rule("attn_output", SMALLEST, "Q5_K", eight_experts),
    rule("attn_output", f"Q2_K Q3_K_S Q3_K_M Q4_K_S Q4_K_M {THREE_BIT_IQ} {FOUR_BIT_IQ}", "Q5_K", eight_experts),
    rule("attn_output", LARGER, "", eight_experts),
    rule("attn_output", "IQ1_S IQ1_M", "IQ2_XXS"),
    rule("attn_output", "IQ2_S IQ2_M IQ3_XXS", "IQ3_S"),
    rule("attn_output", "Q2_K", "Q3_K"),
    rule("attn_output", "Q3_K_M IQ3_M", "Q4_K"),
    rule("attn_output", "Q3_K_L", "Q5_K"),
    # the way down: the most sensitive of the large ones, above all at the beginning and the end of the model
    rule("ffn_down", "IQ2_S IQ2_M", "IQ3_S", first_share(8)),
    rule("ffn_down", SMALLEST, "Q2_K", first_share(8)),
    rule("ffn_down", "Q2_K", "Q3_K"),
    rule("ffn_down", "Q2_K_S", "Q4_K", first_share(8)),
    rule("ffn_down", "IQ3_XXS", "", with_imatrix),
    rule("ffn_down", "IQ3_XXS", "Q4_K", first_share(8)),
    rule("ffn_down", "IQ3_XXS", "Q3_K"),
    rule("ffn_down", "Q3_K_M", "Q5_K", first_share(16)),
    rule("ffn_down", "Q3_K_M", "", falcon, unless(more_bits)),
    rule("ffn_down", "Q3_K_M", "Q4_K"),
    rule("ffn_down", "IQ3_M", "Q4_K", first_share(8)),
    rule("ffn_down", "IQ3_M", "Q4_K", eight_experts, more_bits),
    rule("ffn_down", "Q3_K_L", "Q4_K", falcon),
    rule("ffn_down", "Q3_K_L", "Q5_K"),
    rule("ffn_down", "Q4_K_M", "Q6_K", falcon, first_share(16)),
    rule("ffn_down", "Q4_K_M", "Q5_K", falcon, more_bits),
    rule("ffn_down", "Q4_K_M", "", falcon),
    rule("ffn_down", "Q4_K_M Q5_K_M", "Q6_K", more_bits),
    rule("ffn_down", FOUR_BIT_IQ, "Q5_K", first_share(8), unless(with_imatrix)),
    rule("ffn_down", "Q4_K_S", "Q5_K", first_share(8), unless(falcon)),
    rule("ffn_down", "Q4_0", "Q4_1", first_share(8), with_imatrix),
    rule("ffn_down", "Q5_0", "Q5_1", first_share(8), with_imatrix),
    *(rule(part, "IQ3_XS", "IQ3_XXS", middle) for part in ("ffn_gate", "ffn_up")),
)


@cache
def rules_of(part: str, file_type: str) -> tuple[Rule, ...]:
    """The rows of the table that speak of a part and a file type."""
    return tuple(row for row in RULES if row.part == part and file_type in row.file_types)


def quantised_type(file_type: str, spot: Spot) -> str:
    """Type of a tensor that the quantizer touches."""
    if file_type in UNQUANTISED:
        return spot.base
    found = next((row.becomes for row in rules_of(spot.part, file_type) if row.when(spot)), "")
    return fitting(found or spot.base, spot.row)


def fitting(name: str, row: int) -> str:
    """The type itself where a row is whole blocks of it, else what it falls back to."""
    if row % GGML_TYPES[name].block_size == 0:
        return name
    smaller = FALLBACK.get(name, name)
    return smaller if row % GGML_TYPES[smaller].block_size == 0 else "F16"
