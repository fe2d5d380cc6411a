"""How llama.cpp writes the graph of one architecture where its dimensions do not say it.

Source: llama.cpp v0.5.0 ``src/models``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    positions: Literal["rotated", "learned", "biased"] = "rotated"
    fused_gate: bool = False
    """Gate and up are one matrix whose halves are multiplied."""
    gating: Literal["softmax", "sigmoid", "softmax_of_chosen"] = "softmax"
    normed_experts: bool = True
    """The weights of the chosen experts are divided by their sum."""
    scaled_experts: bool = False
    shared_gate: Literal["sigmoid", "silu"] = "sigmoid"
    expert_groups: int = 0
    positions_per_token: int = 1
    """4: positions in time, height, width and a spare (multimodal rotary embedding)."""
    stream_first: Literal["never", "feed_forward", "always"] = "never"
    """Where the residual stream is the first of the two that are added: which one is written over depends on it."""
    norm_first: bool = False
    """The norm of a layer is computed before the states of its part are read."""
    unrotated_windows: bool = False
    """Only layers with a window rotate queries and keys."""


ROWS: dict[str, Habits] = {
    "gemma": Habits(scales_embedding=True, scales_query=True),
    "gemma2": Habits(True, scales_embedding=True, scales_query=True, logits="capped", norms="around"),
    "gemma3_text": Habits(True, scales_embedding=True, scales_query=True, norms="around"),
    "gemma4_text": Habits(True, "normed", scales_embedding=True, logits="capped", norms="around"),
    "gpt_oss": Habits(True, "end", gating="softmax_of_chosen", normed_experts=False),
    "phi3": Habits(scales_query=True, fused_gate=True, stream_first="feed_forward"),
    "deepseek_v2": Habits(normed_experts=False),
    "qwen3_next": Habits(rows="normed", norm_first=True),
    "lfm2": Habits(stream_first="always"),
}
"""By ``model_type`` of the Hugging Face configuration; every other one is written like Llama."""

LIKE_LLAMA = Habits()


def habits_of(architecture: str) -> Habits:
    """How the graph of an architecture is written."""
    return ROWS.get(architecture, LIKE_LLAMA)
