"""How llama.cpp writes the graph of one architecture where its dimensions do not say it.

Source: llama.cpp v0.5.0 ``src/models``. Which of two tensors is added to which, and where a row is picked, decides what
is written over and so the size of the buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vram_advisor.units.errors import NotModelled

Term = Literal["attention", "feed_forward", "stream"]


@dataclass(frozen=True, slots=True)
class Habits:
    """One architecture."""

    windows: bool = False
    """Layers with a sliding window keep only the window."""
    rows: Literal["layer", "end", "normed"] = "layer"
    """Where the rows that are asked for are picked: in the last layer before its feed-forward part, behind the last
    layer, or behind the last norm."""
    scales_embedding: bool = False
    scales_query: bool = False
    scales_residual: bool = False
    logits: Literal["plain", "scaled", "capped"] = "plain"
    """scaled: times a number; capped: through tanh."""
    norms: Literal["before", "after", "around"] = "before"
    """before: each part's input; after: its output; around: both."""
    sums: tuple[Term, Term, Term] | None = None
    """Attention and feed-forward read the same input; the order in which the three are added."""
    positions: Literal["rotated", "learned", "biased"] = "rotated"
    unrotated: Literal["none", "full", "every 4th"] = "none"
    """Layers whose queries and keys are not rotated: those without a window, or every fourth."""
    windows_unscaled: bool = False
    """Layers with a window are rotated without the file's table of factors."""
    norm_after_rope: bool = False
    """Queries and keys are normed behind the rotation, keys first."""
    scales_unrotated: bool = False
    """Queries of layers without rotation are multiplied by a number per position (Llama 4)."""
    positions_per_token: int = 1
    """4: positions in time, height, width and a spare (multimodal rotary embedding)."""
    deepstack: int = 0
    """Layers to which features of an image are added: the embedding is so many times wider."""
    inner_norms: bool = False
    """Norms in front of the output projections of both parts (BitNet)."""
    shares_embedding: bool = False
    """The output layer reads the embedding where it lies (BitNet)."""
    fused_gate: bool = False
    """Gate and up are one matrix whose halves are multiplied."""
    gating: Literal["softmax", "sigmoid", "softmax_of_chosen"] = "softmax"
    biased_choice: bool = True
    """A correction bias, where there is one, is added to the scores that experts are chosen by."""
    normed_experts: bool = True
    """The weights of the chosen experts are divided by their sum."""
    weights_first: bool = False
    """Tokens are multiplied by the weights of their experts before these run (Llama 4)."""
    shared_gate: Literal["sigmoid", "silu"] = "sigmoid"
    stream_first: Literal["never", "feed_forward", "always"] = "never"
    """Where the residual stream is the first of the two that are added."""
    norm_first: bool = False
    """The norm of a layer is computed before the states of its part are read."""
    repeats_heads: bool = True
    """Key heads of a delta net are copied for each value head."""


VISION = 4
"""Positions of a token in models that also see images."""
SIGMOID = Habits(gating="sigmoid")
SCALED = Habits(scales_embedding=True, scales_residual=True, logits="scaled")

ROWS: dict[str, Habits] = {
    "bitnet": Habits(inner_norms=True, shares_embedding=True),
    "bloom": Habits(positions="biased"),
    "chatglm": Habits(fused_gate=True),
    "cohere": Habits(sums=("feed_forward", "stream", "attention"), logits="scaled"),
    "cohere2": Habits(True, sums=("feed_forward", "stream", "attention"), logits="scaled", unrotated="full"),
    "deepseek_v2": Habits(normed_experts=False, biased_choice=False),
    "deepseek_v3": SIGMOID,
    "dots1": SIGMOID,
    "ernie4_5_moe": Habits(),
    "exaone4": Habits(True, norms="after", unrotated="full"),
    "falcon": Habits(sums=("feed_forward", "attention", "stream")),
    "gemma": Habits(scales_embedding=True, scales_query=True),
    "gemma2": Habits(True, scales_embedding=True, scales_query=True, logits="capped", norms="around"),
    "gemma3_text": Habits(True, scales_embedding=True, scales_query=True, norms="around"),
    "gemma3n_text": Habits(True, "end", scales_embedding=True, logits="capped", norms="around"),
    "gemma4_text": Habits(
        True, "normed", scales_embedding=True, logits="capped", norms="around", windows_unscaled=True
    ),
    "glm": Habits(fused_gate=True),
    "glm4": Habits(fused_gate=True, norms="around"),
    "glm4_moe": SIGMOID,
    "glm4_moe_lite": SIGMOID,
    "gpt2": Habits(positions="learned"),
    "gpt_bigcode": Habits(positions="learned"),
    "gpt_neox": Habits(sums=("feed_forward", "stream", "attention")),
    "gpt_oss": Habits(True, "end", gating="softmax_of_chosen", normed_experts=False),
    "granite": SCALED,
    "granitemoe": SCALED,
    "granitemoehybrid": SCALED,
    "granitemoeshared": SCALED,
    "hunyuan_v1_dense": Habits(norm_after_rope=True),
    "hunyuan_v1_moe": Habits(norm_after_rope=True),
    "kimi_k2": SIGMOID,
    "lfm2": Habits(stream_first="always"),
    "lfm2_moe": Habits(stream_first="always", gating="sigmoid"),
    "llama4_text": Habits(
        True, unrotated="every 4th", scales_unrotated=True, gating="sigmoid", normed_experts=False, weights_first=True
    ),
    "minimax_m2": SIGMOID,
    "mpt": Habits(positions="biased"),
    "nemotron_h": Habits(rows="normed", positions="biased", gating="sigmoid"),
    "olmo2": Habits(norms="after"),
    "olmo3": Habits(True, norms="after"),
    "olmoe": Habits(normed_experts=False),
    "phi": Habits(sums=("attention", "feed_forward", "stream"), scales_query=True),
    "phi3": Habits(scales_query=True, fused_gate=True, stream_first="feed_forward"),
    "phimoe": Habits(scales_query=True, stream_first="feed_forward"),
    "qwen2_5_vl_text": Habits(positions_per_token=VISION),
    "qwen2_moe": Habits(normed_experts=False, shared_gate="silu"),
    "qwen2_vl_text": Habits(positions_per_token=VISION),
    "qwen3_5_moe_text": Habits(rows="normed", norm_first=True, positions_per_token=VISION, repeats_heads=False),
    "qwen3_5_text": Habits(rows="normed", norm_first=True, positions_per_token=VISION, repeats_heads=False),
    "qwen3_next": Habits(rows="normed", norm_first=True),
    "qwen3_vl_moe_text": Habits(positions_per_token=VISION, deepstack=3),
    "qwen3_vl_text": Habits(positions_per_token=VISION, deepstack=3),
    "smollm3": Habits(unrotated="every 4th"),
}  # fmt: skip
"""By ``model_type`` of the Hugging Face configuration."""

LIKE_LLAMA = frozenset({
    "arcee", "baichuan", "ernie4_5", "internlm2", "internlm3", "llama", "mamba2", "ministral", "ministral3", "mistral",
    "mixtral", "nemotron", "olmo", "qwen", "qwen2", "qwen3", "qwen3_moe", "seed_oss", "stablelm", "starcoder2",
})  # fmt: skip
"""Written like Llama, but for what their dimensions say."""
PLAIN = Habits()


def habits_of(architecture: str) -> Habits:
    """How the graph of an architecture is written.

    Raises:
        NotModelled: llama.cpp does not run it, or how it does is not known here.
    """
    if architecture in ROWS:
        return ROWS[architecture]
    if architecture in LIKE_LLAMA:
        return PLAIN
    raise NotModelled(f"The graph of {architecture} under llama.cpp is not modelled: use --runtime transformers.")
