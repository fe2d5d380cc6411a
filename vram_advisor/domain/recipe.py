"""How one training stack runs a fine-tune: the same words mean different bytes in each.

A recipe is a row; a new one is added here and nowhere else. Every habit has its source.
"""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.quantization import Evidence
from vram_advisor.units.errors import BadInput


@dataclass(frozen=True, slots=True)
class Recipe:
    """The habits of one training stack and version."""

    name: str
    title: str
    versions: str
    evidence: Evidence
    source: str
    adapter_dtype: Literal["fp32", "base"] = "fp32"
    """dtype of adapters on a 16-bit base: PEFT upcasts them to fp32; ``base``: the dtype of the base."""
    quantised_adapter_dtype: Literal["fp32", "base"] = "fp32"
    """The same on a quantised base."""
    kbit_prepared: bool = False
    """On a bitsandbytes base every parameter that is not quantised is upcast to fp32."""
    autocast: bool = True
    """The forward pass runs under 16-bit autocast."""
    full_weights_dtype: Literal["fp32", "bf16"] = "bf16"
    """dtype of the weights in a full fine-tune."""
    loss: str = "standard"
    optimizer: str = "adamw_torch_fused"
    gradient_checkpointing: str = "full"
    attn_implementation: str = "sdpa"
    logits_form: Literal["v5", "4.46", "4.45"] = "v5"
    """v5: shifted labels, one fp32 copy; 4.46: fp32 copy, shifted copy; 4.45: fp32 logits are the outputs."""
    outputs_kept: bool = False
    """The training loop keeps the outputs through the backward pass."""
    outputs_in_fp32: bool = True
    """accelerate returns outputs in fp32 under mixed precision."""
    norm_kernel: Literal["framework", "fused"] = "framework"
    """fused: RMSNorm saves its input in 16 bit and one number per token (Liger, Unsloth)."""
    mlp_kernel: Literal["framework", "fused"] = "framework"
    """fused: the activation saves gate and up and recomputes their product (Liger SwiGLU)."""
    lora_kernel: Literal["framework", "fused"] = "framework"
    """fused: attention and MLP with their adapters are one autograd function (Unsloth)."""
    linear_experts: bool = False
    """Experts are ordinary linear layers that quantizers and adapters reach (transformers 4), not stacks."""
    clips_gradients: bool = True
    activation_sd: float = 0.01
    """Relative standard deviation of activations that the evidence leaves."""


_ROWS = (
    Recipe(
        "transformers-peft", "transformers + PEFT, Trainer", "transformers 5.23, peft 0.21", "traced",
        "transformers trainer.py; peft tuners/tuners_utils.py autocast_adapter_dtype; peft utils/other.py",
        kbit_prepared=True,
    ),
    Recipe(
        "trl", "TRL SFTTrainer", "trl 1.16", "traced",
        "trl trainer/sft_trainer.py: 16-bit adapters on a quantised base, no kbit preparation, fused output layer",
        quantised_adapter_dtype="base", loss="trl_fused_head",
    ),
)  # fmt: skip

RECIPES: dict[str, Recipe] = {row.name: row for row in _ROWS}
DEFAULT_RECIPE = "transformers-peft"


def recipe(name: str) -> Recipe:
    """The row of a recipe.

    Raises:
        BadInput: no such recipe.
    """
    if name not in RECIPES:
        raise BadInput(f"--recipe {name} is not known: use one of {', '.join(RECIPES)}.")
    return RECIPES[name]
