"""Every architecture that is modelled, every wrapper that is read as its text model, every one refused by name."""

import difflib

from vram_advisor.domain.architectures.classic import CLASSIC
from vram_advisor.domain.architectures.encoders import ENCODERS
from vram_advisor.domain.architectures.falcon_era import FALCON_ERA
from vram_advisor.domain.architectures.gemma import GEMMA
from vram_advisor.domain.architectures.hybrids import HYBRIDS
from vram_advisor.domain.architectures.llama_like import LLAMA_LIKE
from vram_advisor.domain.architectures.llama_variants import LLAMA_VARIANTS
from vram_advisor.domain.architectures.mixtures import MIXTURES
from vram_advisor.domain.architectures.nemotron_h import NEMOTRON_H
from vram_advisor.domain.architectures.row import Architecture, Names
from vram_advisor.units.errors import NotModelled

ARCHITECTURES: dict[str, Architecture] = {
    row.model_type: row
    for row in (*LLAMA_LIKE, *LLAMA_VARIANTS, *CLASSIC, *FALCON_ERA, *ENCODERS, *MIXTURES, *GEMMA, *HYBRIDS, NEMOTRON_H)
}
"""One row per ``model_type`` of a text model."""

WRAPPERS: dict[str, str] = {
    "mistral3": "mistral",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "llama4": "llama4_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "kimi_k25": "kimi_k2",
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "llava": "llama",
    "llava_next": "llama",
}
"""Multimodal ``model_type`` and the text model it holds where its own ``text_config`` does not say."""

REFUSED: dict[str, str] = {
    "deepseek_v4": "the weights and the cache of its compressed attention have no formula here",
    "kimi_k3": "the weights and the state of its KDA layers and its latent experts have no formula here",
    "t5": "encoder-decoder models have no formula here",
    "whisper": "encoder-decoder models have no formula here",
    "bart": "encoder-decoder models have no formula here",
    "mllama": "its cross-attention layers have no formula here",
    "mamba": "Mamba-1 has no formula here, only Mamba-2 inside hybrids",
}
"""``model_type`` that is known and not modelled, and what is missing."""

DEFAULT_NAMES = Names()


def names_of(model_type: str) -> Names:
    """Module names of an architecture; Llama's for one that has no row."""
    row = ARCHITECTURES.get(model_type) or ARCHITECTURES.get(WRAPPERS.get(model_type) or "")
    return row.names if row else DEFAULT_NAMES


def architecture(model_type: str, where: str = "config") -> Architecture:
    """The row of a text ``model_type``.

    Raises NotModelled, with what is missing or the nearest modelled names.
    """
    row = ARCHITECTURES.get(model_type)
    if row is not None:
        return row
    if model_type in REFUSED:
        raise NotModelled(f"{where}: the architecture {model_type} is not modelled: {REFUSED[model_type]}")
    near = difflib.get_close_matches(model_type[:80], sorted((*ARCHITECTURES, *WRAPPERS)), n=3, cutoff=0.4)
    nearest = f"; the nearest that are: {', '.join(near)}" if near else ""
    raise NotModelled(f"{where}: model_type {model_type[:80]!r} is not a modelled architecture{nearest}")
