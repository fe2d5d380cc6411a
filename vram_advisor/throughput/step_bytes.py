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
    adapter: int
    """Per input or output of an adapted module with an adapter in 32 bit, on average of both: copy to the dtype of the
    adapter, products with A and B, scaling, addition."""
    adapter_16_bit: int
    """The same with an adapter in 16 bit, which needs no copies."""


FRAMEWORK = Traffic(hidden=84, inner=10, rotated=20, adapter=19, adapter_16_bit=7)
"""One kernel per operation, each element read and written by each (transformers models/llama/modeling_llama.py, peft
tuners/lora/layer.py): a norm 36 B in six passes, an addition 6 B; SiLU 4 B and product 6 B; a rotation 6 B for the
turned half, 8 B for two products, 6 B for their sum. An fp32 adapter takes 10 B per input (copy, product with A) and 28 B
per output (product with B, scaling, addition, copy), a 16-bit one 2 B and 12 B."""
FUSED = Traffic(hidden=20, inner=6, rotated=4, adapter=5, adapter_16_bit=3)
"""One kernel per norm, activation, rotation and adapter (Liger, Unsloth, torch.compile): each reads its inputs once and
writes its output once; additions to the residual stream stay."""
UPCAST_STREAM = 38
"""Further bytes per element of a residual stream in fp32 (kbit preparation): norms 8 B less each, additions 6 B more each,
seven copies of inputs and outputs of the linear layers 6 B each (peft utils/other.py, bitsandbytes nn/modules.py)."""
BACKWARD = 2
"""The backward pass reads and writes about twice as much as the forward pass."""
LOGITS = 40
"""Bytes per logit: 16-bit product, fp32 copy, softmax and its gradient, copy, product (transformers
loss/loss_utils.py, torch nn/functional.py cross_entropy)."""
LOGITS_FUSED = 10
"""The same where loss or output layer are fused: product, one pass that writes the gradient in place, product."""
SCORES = 24
"""Bytes per score of attention that is written out: product, scaling, mask, fp32 softmax, copy, product (transformers
models/llama/modeling_llama.py eager_attention_forward)."""


def kernels(recipe: Recipe, loss: str, compiled: bool) -> tuple[Traffic, Traffic]:
    """How elements of layers, and adapters, are run."""
    liger = loss == "liger" and recipe.liger_patches
    norms = FUSED if compiled or liger or recipe.norm_kernel == "fused" else FRAMEWORK
    return norms, FUSED if compiled or recipe.lora_kernel == "fused" else FRAMEWORK


def layer_bytes(counts: Work, traffic: Traffic, upcast: bool) -> int:
    """Between the products of all layers, per token of a forward pass [B]."""
    stream = counts.hidden * (traffic.hidden + (UPCAST_STREAM if upcast else 0))
    return stream + counts.inner * traffic.inner + counts.rotated * traffic.rotated


def adapter_bytes(found: Adapted, traffic: Traffic, itemsize: int) -> int:
    """Of all adapters with elements of a size, per token of a forward pass [B]."""
    return found.width * (traffic.adapter if itemsize == 4 else traffic.adapter_16_bit)


def logit_bytes(model_vocabulary: int, loss: str) -> int:
    """Of logits and loss in both passes, per token [B]."""
    return model_vocabulary * (LOGITS if loss in ("standard", "orpo") else LOGITS_FUSED)


def state_bytes(row: Optimizer, itemsize: int) -> float:
    """States per trained parameter [B]."""
    if row.bits:
        return row.buffers * row.bits / 8
    return row.buffers * (4 if row.state_fp32 else itemsize)


ONE_BY_ONE = 2.9
"""An update of separate kernels reads and writes so many times what a fused one does: 20 elements against 7 (torch
optim/adam.py: decay 2, first moment 3, second moment 5, root 2, division 2, addition 2, step 4)."""
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
