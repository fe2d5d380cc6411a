"""What has to be downloaded for a model to run as it was asked for, and how much disk it takes."""

from __future__ import annotations

from vram_advisor.domain.answer import Download
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.quantization import QUANTIZATIONS, quantization
from vram_advisor.domain.serving import GGUF_RUNTIMES
from vram_advisor.memory.weights import weight_bytes
from vram_advisor.sources.hub_folders import is_cached

MADE_AT_LOAD = frozenset({"none", "bnb_4bit", "bnb_8bit"})
"""Kernels whose weights are made of the published ones while they are loaded."""


def download_of(model: ModelSpec, repository: str, plan: Plan) -> Download:
    """The files that a plan needs.

    Args:
        repository: of the published weights.
        plan: with every choice made.
    """
    if plan.runtime in GGUF_RUNTIMES:
        from vram_advisor.memory.llama_cpp.start import file_type, weights_of

        stored = sum(tensor.nbytes for tensor in weights_of(model, plan))
        return Download(f"{model.id} as GGUF, {file_type(plan)}", stored, present=False)
    row = quantization(plan.quantization)
    if row.kernel not in MADE_AT_LOAD and row.name != model.native_dtype:
        return Download(f"{model.id} in {row.title}", weight_bytes(model, row).total, present=False)
    published = QUANTIZATIONS.get(model.native_dtype)
    nbytes = None if published is None else weight_bytes(model, published).total
    return Download(repository, nbytes, is_cached(repository))
