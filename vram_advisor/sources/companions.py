"""What llama.cpp loads beside a model: a draft model, a vision or audio tower, LoRA adapters."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vram_advisor.domain.llama_cpp import LoraAdapter
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.sources.lora_file import read_adapter
from vram_advisor.sources.models import resolve_model
from vram_advisor.sources.projector import read_projector
from vram_advisor.units.errors import BadInput

ALL_LINEAR = "all-linear"
STEMS: dict[str, tuple[str, ...]] = {
    "q_proj": ("attn_q",), "k_proj": ("attn_k",), "v_proj": ("attn_v",), "o_proj": ("attn_output",),
    "qkv_proj": ("attn_qkv",), "gate_proj": ("ffn_gate",), "up_proj": ("ffn_up",), "down_proj": ("ffn_down",),
    "gate_up_proj": ("ffn_up",),
}  # fmt: skip
"""Targets by the names of transformers, and the weights that they are in a GGUF file."""
LINEAR = tuple(dict.fromkeys(stem for stems in STEMS.values() for stem in stems))
MOST_RANK = 1 << 16


def with_companions(model: ModelSpec, plan: Plan) -> ModelSpec:
    """The model with what the plan loads beside it.

    Raises:
        BadInput: a file is not what it should be, or an adapter is of another model.
        Missing, NotModelled: as for a model.
    """
    draft = model.draft if plan.model_draft is None else resolve_model(plan.model_draft)
    projector = model.projector if plan.mmproj is None else read_projector(plan.mmproj)
    adapters = (*model.adapters, *(adapter(name, plan, model) for name in plan.lora))
    if (draft, projector, adapters) == (model.draft, model.projector, model.adapters):
        return model
    return replace(model, draft=draft, projector=projector, adapters=adapters)


def adapter(name: str, plan: Plan, model: ModelSpec) -> LoraAdapter:
    """An adapter by the name of its file, or by its rank alone. Raises BadInput."""
    if name.isascii() and name.isdigit():
        rank = int(name[:9])
        if not 0 < rank <= MOST_RANK:
            raise BadInput(f"--lora {name[:20]}: a rank is between 1 and {MOST_RANK:,}.")
        return LoraAdapter(r=rank, target_modules=stems(plan.target_modules), type="F32")
    place = Path(os.path.expanduser(name))
    if not place.is_file():
        raise BadInput(f"--lora {name} is not there: give a GGUF file, or a number for an adapter of that rank.")
    return read_adapter(place, model)


def stems(targets: Iterable[str]) -> tuple[str, ...]:
    """Names of weights in a GGUF file for targets as PEFT names them. Raises BadInput."""
    found: list[str] = []
    for name in targets:
        if name != ALL_LINEAR and name not in STEMS and name not in LINEAR:
            raise BadInput(f"--target-modules {name}: a GGUF adapter is for one of {', '.join(STEMS)} or {ALL_LINEAR}.")
        found += LINEAR if name == ALL_LINEAR else STEMS.get(name, (name,))
    return tuple(dict.fromkeys(found))
