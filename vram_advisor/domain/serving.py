"""How one program of one version runs a model that is not trained: a row per program and era.

A recipe of the same name runs by its row; every other recipe trains with today's transformers and generates with it.
"""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.quantization import Evidence


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Serving:
    """The habits of one program and version at inference."""

    name: str
    title: str
    versions: str
    evidence: Evidence
    source: str
    logits: Literal["last", "prompt"] = "last"
    """Logits of the last token alone, or of the whole prompt."""
    cache: Literal["grown", "rebuilt", "allocated"] = "grown"
    """grown: one layer at a time is copied into a longer one; rebuilt: the caches of all layers before and after a
    step are alive together (tuples); allocated: at full length before the prompt is read."""
    windows: bool = True
    """Layers with a sliding window keep only their window."""
    tables_per_layer: bool = False
    """Every layer keeps cosines and sines of all positions."""
    one_block: bool = True
    """Weights are cut from one block that is allocated before; otherwise each is an allocation of its own."""
    linear_experts: bool = False
    """Experts are ordinary linear layers that run one after the other."""
    fused_rows: int = 512
    """bitsandbytes multiplies up to this many rows without a 16-bit copy of a 4-bit weight."""
    dequantised_copies: int = 1
    """16-bit copies of one weight that are alive together when it is quantised or dequantised."""
    quantises_head: bool = False
    """The output layer is quantised too."""
    unties_head: bool = False
    """Embedding and output layer are two tensors whatever the model says."""
    scratch: tuple[str, ...] = ()
    """Formats whose kernels keep a buffer of the largest dequantised weight."""
    loads_head_twice: tuple[str, ...] = ()
    """Formats that load an output layer before it is tied to the embedding."""
    splits: Literal["layers", "tensors"] = "layers"
    """What several GPUs share: whole layers, or each linear layer of the blocks."""


_ROWS = (
    Serving(
        "transformers", "transformers generate()", "transformers 5.23, bitsandbytes 0.50", "traced",
        "transformers cache_utils.py, generation/utils.py (logits_to_keep=1), modeling_utils.py caching_allocator_warmup,"
        " integrations/moe.py",
    ),
    Serving(
        "transformers-4.46", "transformers of October 2024", "transformers 4.46, AutoGPTQ 0.7, AutoAWQ 0.2", "measured",
        "transformers cache_utils.py DynamicCache, generation/utils.py (num_logits_to_keep); AutoGPTQ"
        " nn_modules/qlinear/qlinear_exllamav2.py temp_dq_size; QwenLM speed_benchmark.rst",
        windows=False, one_block=False, linear_experts=True, fused_rows=1, scratch=("gptq_int4",),
        loads_head_twice=("awq_int4",),
    ),
    Serving(
        "transformers-4.38", "transformers of March 2024", "transformers 4.38, AutoGPTQ 0.7, AutoAWQ 0.2", "measured",
        "transformers models/qwen2/modeling_qwen2.py (legacy cache, rotary tables in every layer, logits.float());"
        " QwenLM speed_benchmark.rst",
        logits="prompt", cache="rebuilt", windows=False, tables_per_layer=True, one_block=False, linear_experts=True,
        fused_rows=1, scratch=("gptq_int4",),
    ),
    Serving(
        "litgpt", "LitGPT generate", "litgpt 0.2 to 0.5, lightning 2.5, bitsandbytes 0.42", "measured",
        "litgpt generate/base.py, generate/tp.py, model.py (lm_head of its own, KVCache); lightning"
        " fabric/plugins/precision/bitsandbytes.py (every linear layer, half precision state)",
        cache="allocated", windows=False, one_block=False, linear_experts=True, fused_rows=1, dequantised_copies=2,
        quantises_head=True, unties_head=True, splits="tensors",
    ),
)  # fmt: skip

SERVING: dict[str, Serving] = {row.name: row for row in _ROWS}


def serving(recipe_name: str) -> Serving:
    """How the program of a recipe generates."""
    return SERVING.get(recipe_name) or SERVING["transformers"]
