"""Bytes that move between the products of a training step: elements of a layer, adapters, weights, the update.

All are per token or per weight; the step multiplies them.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.optimizer import Optimizer
from vram_advisor.domain.quantization import Quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.throughput.work import Work


@dataclass(frozen=True, slots=True)
class Elements:
    """Bytes that the kernels between the products read and write in one pass, per token."""

    hidden: int
    """Per element of the residual stream and layer: two norms, two additions, sums of gradients."""
    inner: int
    """Per element inside the feed-forward layer: activation and product."""
    rotated: int
    """Per element of queries and keys: rotary embedding."""
    normed: int
    """Per element of queries and keys that are normed."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Elements of a layer whose own weights are frozen, pass by pass."""

    forward: Elements
    backward: Elements
    gain: int
    """Further bytes of a backward pass per normed element where the gain of the norm is trained."""


FRAMEWORK = Traffic(Elements(84, 10, 20, 36), Elements(198, 18, 32, 85), 8)
"""One kernel per operation, each element read and written by each, as PyTorch dispatches a layer of transformers
(models/llama/modeling_llama.py; tests/throughput/test_element_bytes.py counts them). Forward: a norm 36 B in six passes, an
addition 6 B; SiLU 4 B and product 6 B; a rotation 6 B for the turned half, 8 B for two products, 6 B for their sum."""
FRAMEWORK_FP32 = Traffic(Elements(80, 20, 40, 28), Elements(212, 36, 64, 82), 16)
"""The same in fp32 without autocast."""
FRAMEWORK_CAST = Traffic(Elements(106, 10, 36, 30), Elements(254, 18, 58, 84), 16)
"""The same where weights are fp32 under 16-bit autocast: the residual stream is fp32, each product takes a copy."""
FUSED = Traffic(Elements(20, 6, 4, 4), Elements(42, 10, 4, 6), 0)
"""One kernel per norm, activation and rotation (Liger, Unsloth, torch.compile): each reads its inputs once and writes its
output once; additions to the residual stream and sums of gradients stay."""
UPCAST_STREAM = (38, 76)
"""Further bytes per element of a residual stream in fp32 (kbit preparation), forward and backward: norms 8 B less each,
additions 6 B more each, seven copies of inputs and outputs of the linear layers 6 B each (peft utils/other.py,
bitsandbytes nn/modules.py); backward assumed twice that."""


@dataclass(frozen=True, slots=True)
class AdapterTraffic:
    """Bytes per input or output of an adapted module, per token, on average of both."""

    forward: int
    backward: int


ADAPTER_16_BIT = AdapterTraffic(7, 9)
"""Products with A and B, scaling, addition: forward 2 B per input, 12 B per output; backward 10 and 8 B (peft
tuners/lora/layer.py)."""
ADAPTER_AUTOCAST = AdapterTraffic(13, 15)
"""An fp32 adapter under autocast: the input is copied to fp32 and back to 16 bit, 12 B per input and pass."""
ADAPTER_FP32 = AdapterTraffic(19, 24)
"""An fp32 adapter on a 16-bit base without autocast: 10 B per input, 28 B per output; backward 20 and 28 B."""
ADAPTER_FP32_BASE = AdapterTraffic(14, 18)
"""An fp32 adapter on an fp32 base without autocast: 4 and 24 B; backward 20 and 16 B."""
ADAPTER_FUSED = AdapterTraffic(5, 10)
"""One function per adapted module (Unsloth): products that add to their result; copies of an fp32 adapter."""
ADAPTER_FUSED_16_BIT = AdapterTraffic(3, 6)
BACKWARD = 2
"""Scores of attention written out: the backward pass reads and writes about twice as much as the forward pass."""
LOGITS = 40
"""Bytes per logit: 16-bit product, fp32 copy, softmax and its gradient, copy, product (transformers
loss/loss_utils.py, torch nn/functional.py cross_entropy)."""
LOGITS_FUSED = 10
"""The same where loss or output layer are fused: product, one pass that writes the gradient in place, product."""
SCORES = 24
"""Bytes per score of attention that is written out: product, scaling, mask, fp32 softmax, copy, product (transformers
models/llama/modeling_llama.py eager_attention_forward)."""


def layer_traffic(recipe: Recipe, loss: str, compiled: bool, fp32: bool, cast: bool) -> Traffic:
    """How the elements of layers are run.

    Args:
        fp32: the weights of norms and layers are stored in fp32.
        cast: the products take 16-bit copies of them.
    """
    liger = loss == "liger" and recipe.liger_patches
    if compiled or liger or recipe.norm_kernel == "fused":
        return FUSED
    if fp32:
        return FRAMEWORK_CAST if cast else FRAMEWORK_FP32
    return FRAMEWORK


def adapter_traffic(recipe: Recipe, itemsize: int, compiled: bool, fp32: bool, cast: bool) -> AdapterTraffic:
    """How adapters with elements of a size are run."""
    if compiled or recipe.lora_kernel == "fused":
        return ADAPTER_FUSED if itemsize == 4 else ADAPTER_FUSED_16_BIT
    if itemsize == 2:
        return ADAPTER_16_BIT
    if cast:
        return ADAPTER_AUTOCAST
    return ADAPTER_FP32_BASE if fp32 else ADAPTER_FP32


def layer_bytes(counts: Work, elements: Elements) -> int:
    """Between the products of all layers, per token of one pass [B]."""
    return (
        counts.hidden * elements.hidden
        + counts.inner * elements.inner
        + counts.rotated * elements.rotated
        + counts.normed * elements.normed
    )


def gain_bytes(counts: Work, traffic: Traffic) -> int:
    """Of trained norms in a backward pass, per token [B]: two of the residual stream per layer."""
    return (2 * counts.hidden + counts.normed) * traffic.gain


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
