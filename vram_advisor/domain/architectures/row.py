"""One row of the table of architectures: what ``config.json`` does not say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vram_advisor.domain.architectures.fields import Fields
from vram_advisor.domain.model import Block, ExtraTensor, NormKind

Flag = bool | tuple[str, bool]
"""A fact of the architecture, or the field that says it and what is assumed where the field is left out."""

Width = int | str
"""A fact of the architecture, or the field that says it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Names:
    """Where the parts of a model sit in its state dict. Parts of a layer are relative to the layer."""

    layers: str = "model.layers.{layer}"
    embedding: str = "model.embed_tokens"
    embedding_norm: str = ""
    position: str = ""
    final_norm: str = "model.norm"
    head: str = "lm_head"
    project_in: str = ""
    project_out: str = ""
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    pair_of_norms: tuple[str, ...] = ()
    """The names where parallel attention and MLP have a norm each, if they differ (Falcon's second generation)."""
    attention: str = "self_attn"
    qk_norms: tuple[str, str] = ("q_norm", "k_norm")
    mlp: str = "mlp"
    router: str = "mlp.gate"
    experts: str = "mlp.experts"
    shared: str = "mlp.shared_experts"
    shared_modules: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    state: str = "linear_attn"
    state_inputs: tuple[str, ...] = ("in_proj",)
    """Input projections of the state: one fused, the two of Qwen3-Next or the four of Qwen3.5."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mixture:
    """Fields of a mixture of experts, and which layers have one."""

    num_experts: tuple[str, ...] = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    per_token: tuple[str, ...] = ("num_experts_per_tok", "moe_k", "moe_topk", "top_k_experts")
    width: tuple[str, ...] = ("moe_intermediate_size", "intermediate_size")
    shared_count: Width = 0
    """Experts of the same width that every token passes."""
    shared_width: Width = 0
    """Width of one such expert where it is not that of the others."""
    shared_gate: bool = False
    first_dense: str = ""
    """Field with the number of dense layers before the first mixture."""
    bias: bool = False
    router_bias: bool = False
    correction_bias: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Architecture:
    """What is known about one ``model_type`` beside its configuration."""

    model_type: str
    evidence: str
    """How the row was confirmed: traced, measured, read in source."""
    layers: "Layers"
    names: Names = Names()
    norm: NormKind = "rms"
    num_norms: int = 2
    embedding_norm: NormKind | None = None
    tied: bool = False
    """tie_word_embeddings where the configuration leaves it out."""
    causal: bool = True
    final_norm: Flag = True
    parallel: Flag = False
    multi_head: bool = False
    """Every query head has its own key head, whatever fields a file has."""
    attention_modules: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj")
    qkv_bias: Flag = False
    output_bias: Flag = False
    qk_norm: Literal["none", "head", "full", "weightless"] = "none"
    qk_norm_field: tuple[str, bool] | None = None
    """The field that switches qk_norm on, and what is assumed where it is left out."""
    mla: bool = False
    sinks: bool = False
    rotary: float = 1.0
    """Rotated share of a head where the configuration is silent; 0: learned positions, ALiBi or none."""
    window_period: int | None = None
    """Every n-th layer sees everything, the others a window; 0: all layers have the window; None: no windows."""
    window_switch: str = ""
    """The field that must be true for the window to count."""
    rotary_in_full: bool = True
    """False: layers that see everything have no positions (Cohere 2, Llama 4)."""
    unrotated_period: int = 0
    """Every n-th layer has no positions (SmolLM3) where no list says it; 0: none."""
    softcapping: str = ""
    """Field of the cap on attention scores."""
    gated: bool = True
    mlp_modules: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    mlp_bias: Flag = False
    intermediate: Callable[[Fields, int], int] | None = None
    """Width of the MLP from the hidden size where no field gives it plainly."""
    activation: str = "silu"
    """The activation where the configuration is silent."""
    mixture: Mixture | None = None
    head_bias: Flag = False
    attention_dropout: tuple[str, float] | None = ("attention_dropout", 0.0)
    """The field with the rate, and what the class assumes where it is left out; None: the code has no dropout here."""
    residual_dropout: tuple[str, float] | None = None
    """The same of the outputs of attention and MLP."""
    embedding_dropout: tuple[str, float] | None = None
    position_offset: int | None = None
    """Learned positions: rows beyond max_position_embeddings; None: none are learned."""
    extra: Callable[[Fields, int, int], Sequence[ExtraTensor]] | None = None
    """Weights outside the layers, from hidden size and number of layers."""
    unmodelled: Mapping[str, bool] = field(default_factory=dict)
    """Switches, with the setting that changes the weights in a way that has no formula here."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """What the configuration class of transformers assumes for fields that a file leaves out."""


Layers = Callable[[Fields, Architecture], Sequence[Block]]
"""The layers of a model in order; equal layers may be one object."""
