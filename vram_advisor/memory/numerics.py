"""What decides the bytes of a layer besides its shape: dtypes, adapters, kernels."""

from dataclasses import dataclass

from vram_advisor.domain.kernels import FusedAttention


@dataclass(frozen=True, slots=True)
class Numerics:
    """What decides the bytes of a layer besides its shape: dtypes, adapters, kernels."""

    stream: int = 2
    """Item size of the residual stream [B]: 4 for fp32 weights and after kbit preparation."""
    weight: int = 2
    """Item size of weights that are not quantised [B]."""
    norm_weight: int = 2
    """Item size of norm weights [B]: 4 after kbit preparation."""
    autocast: int | None = None
    """Item size that autocast computes in [B]; None: no autocast."""
    adapter: int = 4
    train_base: bool = False
    lora_r: int = 0
    lora_dropout: float = 0.0
    targets: frozenset[str] = frozenset()
    """Module names that carry an adapter; ``all-linear`` means every linear layer of a block."""
    quantization: str = "none"
    """Kernel family of the frozen base: none, bnb_4bit, bnb_8bit, gptq."""
    attention: str = "flash"
    """flash, efficient, math or eager."""
    sdpa: bool = False
    """The kernel is chosen by scaled_dot_product_attention."""
    fused_attention: FusedAttention = "flash"
    """The best kernel that scaled_dot_product_attention has on the device for what the step computes in."""
    grouped_sdpa: bool = True
    """transformers hands grouped heads to scaled_dot_product_attention as they are where there is no mask."""
    padded: bool = False
    """A padding mask reaches the attention."""
    one_sequence: bool = False
    """A micro batch is one sequence: heads and sequences are one dimension of products without a copy."""
    windowed: bool = False
    """Sequences are longer than the window of windowed layers: scaled_dot_product_attention gets a mask."""
    dequantize: bool = True
    """The 4-bit forward pass makes a 16-bit copy of the weight (more than 512 rows)."""
    repeats_kv: bool = False
    """Keys and values are expanded to all query heads before flash attention."""
    softmax_keeps_input: bool = False
    """The backward pass of softmax keeps its input beside its output (PyTorch before 1.11)."""
    dora: bool = False
    norm_kernel: str = "framework"
    mlp_kernel: str = "framework"
    lora_kernel: str = "framework"
    linear_experts: bool = False

    def targeted(self, module: str) -> bool:
        """Whether a module carries an adapter."""
        return self.lora_r > 0 and (module in self.targets or "all-linear" in self.targets)
