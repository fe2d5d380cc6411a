"""Attention implementations and ways to compute the loss: one row each, with what is known about it."""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.quantization import Evidence
from vram_advisor.units.errors import BadInput


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AttentionKernel:
    """An attention implementation by the name transformers uses."""

    name: str
    kernel: str
    """flash, efficient, math or eager: what the memory model plays."""
    evidence: Evidence
    source: str


FusedAttention = Literal["flash", "efficient", "math"]
"""The kernels of scaled_dot_product_attention, each a fallback of the one before."""


def fused_attention(compute_capability: str | None, system: str, dtype: str) -> FusedAttention:
    """The best kernel that scaled_dot_product_attention has for 16-bit tensors on an NVIDIA card.

    Flash attention needs compute capability 8.0 and is not built for Windows; memory-efficient attention takes bf16 from
    8.0 on, and fp16 and fp32 from 5.0 on.

    Source: torch ``aten/src/ATen/native/transformers/cuda/sdp_utils.cpp`` check_flash_attention_hardware_support,
    can_use_mem_efficient_attention; ``CMakeLists.txt`` USE_FLASH_ATTENTION.

    Args:
        compute_capability: as the driver says it, 7.5; None: not known, or no NVIDIA card.
        system: linux, windows, wsl.
        dtype: what the step computes in: bf16, fp16 or fp32.
    """
    if compute_capability is None:
        return "flash"
    if float(compute_capability) >= 8.0:
        return "efficient" if system == "windows" else "flash"
    return "math" if dtype == "bf16" else "efficient"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LossKernel:
    """A way from hidden states to the loss."""

    name: str
    title: str
    evidence: Evidence
    source: str
    form: str = "logits"
    """logits: all logits at once; fused: the same, the gradient written over them; chunked: some rows at a time, again
    in the backward pass; liger: some rows at a time with their gradient; tiles: the output layer fused with the loss;
    pieces: logits in pieces, of which some outlive their turn."""
    alive: float = 0.0
    """pieces: bytes per logit at the largest moment of the forward pass."""
    saved: float = 0.0
    """pieces: bytes per logit between the passes."""
    gradient: float = 0.0
    """pieces: bytes per logit that the backward pass adds."""


ATTENTION: dict[str, AttentionKernel] = {
    row.name: row
    for row in (
        AttentionKernel(
            "sdpa", "flash", "measured", "transformers integrations/sdpa_attention.py: flash where there is no mask"
        ),
        AttentionKernel("flash_attention_2", "flash", "traced", "flash-attn csrc/flash_attn/flash_api.cpp"),
        AttentionKernel("sdpa_efficient", "efficient", "traced", "ATen native/transformers/cuda/attention.cu"),
        AttentionKernel("sdpa_math", "math", "traced", "ATen native/transformers/attention.cpp"),
        AttentionKernel(
            "eager", "eager", "traced", "transformers models/llama/modeling_llama.py eager_attention_forward"
        ),
    )
}

LOSSES: dict[str, LossKernel] = {
    row.name: row
    for row in (
        LossKernel("standard", "cross entropy over all logits", "traced", "transformers loss/loss_utils.py"),
        LossKernel(
            "chunked",
            "cross entropy in chunks of rows",
            "measured",
            "output layer and loss per chunk of 512 tokens",
            "chunked",
        ),
        LossKernel(
            "liger",
            "Liger fused linear cross entropy",
            "measured",
            "liger_kernel ops/fused_linear_cross_entropy.py",
            "liger",
        ),
        LossKernel(
            "unsloth",
            "fused cross entropy over 16-bit logits",
            "measured",
            "unsloth kernels/cross_entropy_loss.py",
            "fused",
        ),
        LossKernel(
            "unsloth_fused",
            "Unsloth fused loss in chunks",
            "read in source",
            "unsloth_zoo fused_losses/cross_entropy_loss.py: chunks from free memory, 4 GiB at 16 B per logit",
            "liger",
        ),
        LossKernel(
            "torchtune_chunked",
            "torchtune chunked cross entropy",
            "read in source",
            "torchtune modules/loss/ce_chunked_output_loss.py: 8 chunks, all logits alive",
            "pieces",
            6.5,
            4.0,
            1.25,
        ),
        LossKernel(
            "litgpt_chunked",
            "LitGPT chunked cross entropy",
            "read in source",
            "litgpt chunked_cross_entropy, Fabric convert_output: logits stay in fp32",
            "pieces",
            8.0,
            8.0,
            0.5,
        ),
        LossKernel(
            "orpo",
            "ORPO over full logits",
            "traced",
            "trl ORPOTrainer.get_batch_loss_metrics: log-softmax of all answers",
            "pieces",
            6.0,
            6.0,
            12.0,
        ),
        LossKernel("trl_fused_head", "TRL fused output layer", "traced", "trl kernels/chunked_logprob.py", "tiles"),
        LossKernel(
            "cut_cross_entropy",
            "cut cross entropy",
            "read in source",
            "cut_cross_entropy: no logits are stored",
            "tiles",
        ),
    )
}


def loss_kernel(name: str) -> LossKernel:
    """The row of a loss.

    Raises:
        BadInput: no such loss.
    """
    if name not in LOSSES:
        raise BadInput(f"--loss {name} is not known: use one of {', '.join(LOSSES)}.")
    return LOSSES[name]


def attention_kernel(name: str) -> AttentionKernel:
    """The row of an attention implementation.

    Raises:
        BadInput: no such implementation.
    """
    if name not in ATTENTION:
        raise BadInput(f"--attn-implementation {name} is not known: use one of {', '.join(ATTENTION)}.")
    return ATTENTION[name]
