"""A model as a list of blocks: the dimensions that memory follows from.

Symbols of ``docs/nomenclature.md``: H = hidden_size, V = vocab_size, d = head_dim, I = intermediate_size.
"""

from dataclasses import dataclass, field
from typing import Literal

from vram_advisor.domain.llama_cpp import LoraAdapter
from vram_advisor.domain.projector import Projector
from vram_advisor.domain.stored_tensor import StoredTensor

NormKind = Literal[
    "rms",
    "rms_wide",
    "rms_plus_one",
    "layer",
    "layer_plus_one",
    "layer_no_bias",
    "layer_fp32",
    "none_parametric",
]
"""rms: one weight, times the normed input in 16 bit; rms_wide: times it in fp32 (OLMo 2, gpt-oss); rms_plus_one: 1 + weight
in fp32 (Gemma; Gemma 4 leaves out the 1); layer: weight and bias; layer_plus_one: 1 + weight and bias, not in fp32 under autocast (Nemotron);
layer_no_bias: LayerNorm without bias; layer_fp32: the same written out in fp32 (Cohere); none_parametric: no weights."""

WITH_BIAS = frozenset({"layer", "layer_plus_one"})
"""Norms that have a bias."""

Activation = Literal["silu", "gelu", "gelu_tanh", "gelu_new", "gelu_fast", "gelu_bloom", "relu", "relu2"]
"""gelu_tanh is one kernel; gelu_new and gelu_fast are the same function written out in Python, gelu_bloom is written
out in its own autograd function."""


Role = Literal[
    "embedding",
    "position",
    "head",
    "attention",
    "mlp",
    "expert",
    "router",
    "shared_expert",
    "norm",
    "bias",
    "state",
    "tower",
    "other",
]
"""What a tensor is for. bias: of a linear layer; the biases of stacked experts belong to the role expert."""

Kind = Literal["linear", "expert_stack", "embedding", "vector", "conv", "counted"]
"""linear: (out, in); expert_stack: (num_experts, out, in); counted: a block of weights known by their number alone."""


@dataclass(frozen=True, slots=True)
class ExtraTensor:
    """A weight that the four parts of a block do not cover (per-layer input gates, token type embeddings)."""

    name: str
    """State-dict name; inside a block relative to the layer."""
    shape: tuple[int, ...]
    role: Role = "other"
    kind: Kind = "linear"


@dataclass(frozen=True, slots=True)
class Attention:
    """Softmax attention of one layer, grouped-query or multi-head latent (MLA)."""

    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    """Width of one query and key head; for MLA qk_nope_head_dim + qk_rope_head_dim."""
    v_head_dim: int
    """Width of one value head; equals head_dim except for MLA."""
    kind: Literal["gqa", "mla"] = "gqa"
    modules: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj")
    """Module names of query, key, value and output; a fused projection repeats its name (``c_attn`` three times)."""
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: Literal["none", "head", "full", "weightless"] = "none"
    """head: one weight of head_dim for q and k each; full: as wide as the projections; weightless: no weights."""
    rotary_dim: int = 0
    """Width of the rotated part of a head; 0 where positions are learned or biased (ALiBi)."""
    sliding_window: int | None = None
    softcapping: bool = False
    """Attention scores pass tanh (Gemma 2): fused kernels are refused by transformers."""
    output_gate: bool = False
    """q_proj is twice as wide: the second half gates the output (Qwen3-Next)."""
    sinks: bool = False
    """One learned sink logit per head (gpt-oss)."""
    dropout: bool = False
    """Attention probabilities are dropped out in training."""
    kv_shared: bool = False
    """The layer reads the cache of an earlier one (Gemma 3n, Gemma 4); its own k and v are absent from the model."""
    k_is_v: bool = False
    q_lora_rank: int | None = None
    kv_lora_rank: int | None = None
    qk_rope_head_dim: int | None = None
    qk_nope_head_dim: int | None = None
    index_n_heads: int | None = None
    """DeepSeek sparse attention: heads of the indexer."""
    index_head_dim: int | None = None

    @property
    def query_size(self) -> int:
        """Width of all query heads [elements]."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Width of all key heads [elements]."""
        return self.num_key_value_heads * self.head_dim

    @property
    def value_size(self) -> int:
        """Width of all value heads [elements]."""
        return self.num_key_value_heads * self.v_head_dim

    @property
    def output_size(self) -> int:
        """Width of the attention output before the output projection [elements]."""
        return self.num_attention_heads * self.v_head_dim


@dataclass(frozen=True, slots=True)
class StateSpace:
    """A layer whose memory of the past has a fixed size."""

    kind: Literal["mamba2", "gated_delta_net", "kda", "short_conv"]
    num_heads: int
    """Heads of the state (value heads of a gated delta net)."""
    head_dim: int
    """Width of one (value) head."""
    state_size: int
    """Mamba-2 state per head and channel; key head width of a delta net."""
    num_groups: int
    """Mamba-2 groups; key heads of a delta net."""
    conv_kernel: int
    conv_bias: bool = False

    @property
    def inner_size(self) -> int:
        """Width of all (value) heads [elements]."""
        return self.num_heads * self.head_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the short convolution [elements]."""
        if self.kind == "short_conv":
            return self.inner_size
        return self.inner_size + 2 * self.num_groups * self.state_size


@dataclass(frozen=True, slots=True)
class Mlp:
    """A dense feed-forward layer."""

    intermediate_size: int
    gated: bool = True
    bias: bool = False
    activation: Activation = "silu"
    modules: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    """Gate, up, down; without a gate up, down. A fused projection repeats its name (``gate_up_proj`` twice)."""


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts: a router, its experts, and experts that every token passes."""

    num_experts: int
    num_experts_per_tok: int
    moe_intermediate_size: int
    shared_expert_intermediate_size: int = 0
    """Total width of the experts that every token passes; 0: none."""
    shared_expert_gate: bool = False
    router_bias: bool = False
    correction_bias: bool = False
    """A vector of one score correction per expert: a buffer in transformers, a tensor in the checkpoint."""
    gated: bool = True
    bias: bool = False
    latent_size: int | None = None
    """The experts work on a projection of this width (Nemotron 3)."""
    activation: Activation = "silu"


@dataclass(frozen=True, slots=True)
class Block:
    """One kind of layer. A layer has at least one of the four parts."""

    attention: Attention | None = None
    state: StateSpace | None = None
    mlp: Mlp | None = None
    experts: Experts | None = None
    num_norms: int = 2
    """Norms of width hidden_size in the layer (4 where outputs are normed too)."""
    norm: NormKind = "rms"
    parallel: bool = False
    """Attention and MLP read the same input and are added together (GPT-J, Phi, Falcon)."""
    dropout: bool = False
    """The outputs of attention and MLP are dropped out in training."""
    extra: tuple[ExtraTensor, ...] = ()
    """Named weights that no other field covers (per-layer input gates, latent projections)."""
    extra_parameters: int = 0
    """Weights of one layer that are known by their number alone [elements]."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The dimensions of one model.

    ``tensors(model)`` of ``domain.tensors`` gives its list of tensors; every count of bytes is a fold over that list.
    """

    id: str
    architecture: str
    """``model_type`` of the Hugging Face configuration."""
    hidden_size: int
    vocab_size: int
    blocks: tuple[Block, ...]
    """The distinct kinds of layers."""
    layer_kinds: tuple[int, ...]
    """For each layer in order, the index of its kind in ``blocks``."""
    tie_word_embeddings: bool = False
    max_position_embeddings: int | None = None
    position_rows: int = 0
    """Rows of a learned position table; 0: none."""
    rope_tables: int = 0
    """Tables of factors for rotary frequencies that a GGUF file holds: 1 for Llama 3, 2 for long and short (Phi-3)."""
    embedding_size: int | None = None
    """Width of the token embedding where it differs from hidden_size (OPT-350m)."""
    embedding_norm: NormKind | None = None
    """A norm behind the embedding (BLOOM)."""
    embedding_dropout: bool = False
    """The embeddings are dropped out in training."""
    final_norm: NormKind | None = "rms"
    head_bias: bool = False
    causal: bool = True
    """False for encoders (BERT)."""
    logit_softcapping: bool = False
    tower_parameters: int = 0
    """Weights of a vision or audio tower, counted as one block."""
    extra: tuple[ExtraTensor, ...] = ()
    """Named weights outside the layers that no other field covers (per-layer embedding tables, poolers)."""
    extra_parameters: int = 0
    """Weights outside the layers that are known by their number alone [elements]."""
    native_dtype: str = "bf16"
    """dtype of the published weights: bf16, fp16, fp32, fp8, mxfp4 ..."""
    stored_bytes: tuple[tuple[str, int], ...] = ()
    """Bytes of the weights as a checkpoint stores them [B], by dtype, towers included; empty: none was read."""
    stored_tensors: tuple[StoredTensor, ...] = field(default=(), compare=False, repr=False)
    """Every tensor of a GGUF file that llama.cpp loads, under its name there; empty: no such file was read. Two models
    that differ in nothing else are equal."""
    parameters_published: int | None = None
    active_parameters: int | None = None
    """Parameters used per token as published; None: counted from the blocks."""
    source: str = "given"
    """Where the dimensions come from, in words for a person."""
    notes: tuple[str, ...] = ()
    draft: "ModelSpec | None" = None
    """The draft model of speculative decoding that runs beside it."""
    projector: Projector | None = None
    """The vision or audio tower that is loaded beside it (mmproj)."""
    adapters: tuple[LoraAdapter, ...] = ()
    """LoRA adapters that are applied at run time."""

    @property
    def num_hidden_layers(self) -> int:
        """Number of layers."""
        return len(self.layer_kinds)
