"""Bytes that move between the products of a training step: elements of a layer, adapters, weights, the update.

All are per token or per weight; the step multiplies them.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.optimizer import Optimizer
from vram_advisor.domain.quantization import Quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.throughput.work import Adapted, Work


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that kernels of one kind read and write in the forward pass, per token."""

    hidden: int
    """Per element of the residual stream and layer: two norms and two additions."""
    inner: int
    """Per element inside the feed-forward layer: activation and product."""
    rotated: int
    """Per element of queries and keys: rotary embedding."""
    adapter_in: int
    """Per input of an adapted module: copy to the dtype of the adapter, product with A."""
    adapter_out: int
    """Per output of an adapted module: product with B, scaling, addition."""


FRAMEWORK = Traffic(hidden=84, inner=10, rotated=18, adapter_in=8, adapter_out=12)
"""One kernel per operation: a norm reads and writes six times (transformers models/llama/modeling_llama.py
LlamaRMSNorm: 36 B per element), an addition 6 B, SiLU and product 10 B, rotation 18 B; an adapter in fp32
(peft tuners/lora/layer.py)."""
FUSED = Traffic(hidden=38, inner=5, rotated=8, adapter_in=4, adapter_out=5)
"""One kernel per norm, activation, rotation and adapter (Liger, Unsloth, torch.compile)."""
UPCAST_STREAM = 40
"""Further bytes per element of a residual stream in fp32 (kbit preparation)."""
BACKWARD = 2
"""The backward pass reads and writes about twice as much as the forward pass."""
LOGITS = 30
"""Bytes per logit: 16-bit product, fp32 copy, softmax and its gradient (transformers loss/loss_utils.py)."""
LOGITS_FUSED = 12
"""The same where loss or output layer are fused."""
SCORES = 16
"""Bytes per score of attention that is written out: product, mask, fp32 softmax, copy, product."""


def kernels(recipe: Recipe, loss: str, compiled: bool) -> tuple[Traffic, Traffic]:
    """How elements of layers, and adapters, are run."""
    liger = loss == "liger" and recipe.liger_patches
    norms = FUSED if compiled or liger or recipe.norm_kernel == "fused" else FRAMEWORK
    return norms, FUSED if compiled or recipe.lora_kernel == "fused" else FRAMEWORK


def layer_bytes(counts: Work, traffic: Traffic, upcast: bool) -> int:
    """Between the products of all layers, per token of a forward pass [B]."""
    stream = counts.hidden * (traffic.hidden + (UPCAST_STREAM if upcast else 0))
    return stream + counts.inner * traffic.inner + counts.rotated * traffic.rotated


def adapter_bytes(found: Adapted, traffic: Traffic) -> int:
    """Of all adapters, per token of a forward pass [B]."""
    return found.width * (traffic.adapter_in + traffic.adapter_out) // 2


def logit_bytes(model_vocabulary: int, loss: str) -> int:
    """Of logits and loss in both passes, per token [B]."""
    return model_vocabulary * (LOGITS if loss in ("standard", "orpo") else LOGITS_FUSED)


def state_bytes(row: Optimizer, itemsize: int) -> float:
    """States per trained parameter [B]."""
    if row.bits:
        return row.buffers * row.bits / 8
    return row.buffers * (4 if row.state_fp32 else itemsize)


ONE_BY_ONE = 2.2
"""An update of separate kernels reads and writes so many times what a fused one does (torch optim/adamw.py:
decay, two moments, root, division, addition)."""
CLIP = 3
"""Gradients are read for their norm, read and written to be scaled."""


def update_bytes(row: Optimizer, itemsize: int, clips: bool) -> float:
    """That an optimizer step reads and writes per trained parameter [B]."""
    update = 3 * itemsize + 2 * state_bytes(row, itemsize)
    separate = row.copies or row.largest_copies or row.largest_fp32_copies
    return update * (ONE_BY_ONE if separate else 1) + (CLIP if clips else 0) * itemsize + itemsize


def stored_bytes(fmt: Quantization) -> float:
    """Of one weight of a linear layer as it is stored [B]."""
    scales = fmt.scale_bytes / fmt.block if fmt.block and not fmt.nested_block else 0.0
    nested = 1 / fmt.block if fmt.block and fmt.nested_block else 0.0
    return fmt.bits / 8 + scales + nested
