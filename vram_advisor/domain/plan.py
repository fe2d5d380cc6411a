"""What is asked (Workload) and what may be changed to make it fit (Plan).

A field is declared once here: it is the command-line option, the JSON key, the entry of the JSON Schema and the row of
a form. ``None`` in a plan means that the recipe decides; ``resolved`` fills it in. Annotations and ``metadata`` are the
rules that values are checked by (``units.record``), so annotations here are types, not text.
"""

from dataclasses import dataclass, field
from typing import Literal

from vram_advisor.units.record import check_options

Method = Literal["inference", "lora", "qlora", "dora", "full"]
Objective = Literal["sft", "dpo", "orpo", "kto"]
Checkpointing = Literal["none", "full", "selective", "offload"]
Sharding = Literal["none", "ddp", "fsdp_full", "fsdp_grad_op", "zero1", "zero2", "zero3"]
Runtime = Literal["transformers", "vllm", "llama.cpp", "ollama", "lm-studio"]
CacheType = Literal[
    "fp16", "bf16", "fp8", "int8", "int4", "f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"
]  # fmt: skip

COUNT = {"minimum": 1, "maximum": 2**40}
"""Bounds of tokens and sequences."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What the user asks for."""

    method: Method = "inference"
    """What is done with the model: inference, or a fine-tune by LoRA, QLoRA, DoRA or of all weights."""
    objective: Objective = "sft"
    """Training objective; dpo and orpo train on pairs of answers, kto on answers that are good or bad."""
    sequence_length: int = field(default=2048, metadata=COUNT)
    """Tokens of one training sequence."""
    micro_batch_size: int = field(default=1, metadata=COUNT)
    """Sequences per GPU in one forward pass."""
    gradient_accumulation_steps: int = field(default=1, metadata=COUNT)
    """Micro batches per optimizer step."""
    padding: Literal["none", "padded"] = "none"
    """none: sequences are packed or equally long; padded: a padding mask reaches the attention."""
    lengths: Literal["equal", "varied"] = "equal"
    """varied: sequences are not packed, so batches differ in length and the allocator keeps more in reserve."""
    context_length: int = field(default=4096, metadata=COUNT)
    """Tokens that the KV cache holds per sequence at inference."""
    prompt_length: int | None = field(default=None, metadata=COUNT)
    """Tokens of the context that are read at once before the first is generated; None: all of them."""
    num_sequences: int = field(default=1, metadata=COUNT)
    """Sequences served together at inference."""

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def trains(self) -> bool:
        """Whether the workload is a fine-tune."""
        return self.method != "inference"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The levers."""

    recipe: str = "transformers-peft"
    """Training stack whose habits apply; at inference the version of the program that serves."""
    quantization: str | None = None
    """How the base weights are stored; None: what people choose between is compared."""
    lora_r: int = field(default=16, metadata={"minimum": 1, "maximum": 2**20})
    """Rank of the adapters."""
    lora_alpha: float = 32
    """Scale of the adapters; no effect on memory."""
    lora_dropout: float = field(default=0.0, metadata={"minimum": 0.0, "exclusiveMaximum": 1.0})
    """Dropout in front of the adapters; above zero it keeps masks."""
    target_modules: tuple[str, ...] = ("all-linear",)
    """Modules that carry an adapter."""
    modules_to_save: tuple[str, ...] = ()
    """Modules trained in full beside the adapters, such as embed_tokens and lm_head."""
    use_rslora: bool = False
    """Rank-stabilised scaling; no effect on memory."""
    optimizer: str | None = None
    """Optimizer, by the names of transformers."""
    gradient_checkpointing: Checkpointing | None = None
    """Keep only layer inputs and compute the rest again; offload keeps them in host memory."""
    use_reentrant: bool | None = None
    """Reentrant checkpointing; None: as the recipe does, and always on an int8 base, whose layers keep their inputs
    where checkpointing is not reentrant."""
    attn_implementation: str | None = None
    """Attention kernel."""
    loss: str | None = None
    """How the loss is computed from the hidden states."""
    mixed_precision: Literal["none", "bf16", "fp16"] | None = None
    """16-bit autocast over the stored weights."""
    weights_dtype: Literal["fp32", "bf16", "fp16"] | None = None
    """dtype of the weights that are not quantised."""
    num_gpus: int = field(default=1, metadata={"minimum": 1, "maximum": 2**16})
    """GPUs of one kind that share the work."""
    sharding: Sharding = "none"
    """How the GPUs share it."""
    offload: Literal["none", "optimizer", "parameters"] = "none"
    """What rests in host memory: optimizer states, or parameters too."""
    expandable_segments: bool = False
    """PYTORCH_ALLOC_CONF=expandable_segments:True."""
    runtime: Runtime | None = None
    """Program that serves the model at inference; None: llama.cpp, or the one that runs what else is asked for."""
    cache_type_k: CacheType | None = None
    """Type of cached keys; None: that of the weights, f16 under llama.cpp."""
    cache_type_v: CacheType | None = None
    """Type of cached values."""
    cache_implementation: Literal["dynamic", "static"] = "dynamic"
    """transformers: grow the cache token by token, or allocate it at once."""
    gpu_memory_utilization: float = field(default=0.9, metadata={"exclusiveMinimum": 0.0, "maximum": 1.0})
    """vLLM: share of the card that it takes."""
    n_gpu_layers: int | None = field(default=None, metadata={"minimum": 0, "maximum": 2**20})
    """llama.cpp: layers on the GPUs from the last one on, the output layer counted as one; None: all."""
    n_cpu_moe: int = field(default=0, metadata={"minimum": 0, "maximum": 2**20})
    """llama.cpp: experts of the first so many layers stay in system memory."""
    cpu_moe: bool = False
    """llama.cpp: the experts of all layers stay in system memory."""
    override_tensor: tuple[str, ...] = ()
    """llama.cpp: weights by pattern of their name and the device they go to, such as exps=CPU."""
    split_mode: Literal["none", "layer", "row"] = "layer"
    """llama.cpp: what several GPUs share."""
    tensor_split: tuple[float, ...] = ()
    """llama.cpp: share of each GPU; empty: equal."""
    n_parallel: int | None = field(default=None, metadata=COUNT)
    """llama.cpp: slots of the server; None: as the program does."""
    kv_unified: bool = True
    """llama.cpp: slots share one cache."""
    n_batch: int | None = field(default=None, metadata=COUNT)
    """llama.cpp: tokens of one logical batch; None: as the program does."""
    n_ubatch: int | None = field(default=None, metadata=COUNT)
    """llama.cpp: tokens that are computed together; None: as the program does."""
    flash_attn: Literal["auto", "on", "off"] | None = None
    """llama.cpp: flash attention; None: auto."""
    kv_offload: bool = True
    """llama.cpp: the cache lies where its layers lie; otherwise in system memory."""
    model_draft: str | None = None
    """llama.cpp: draft model of speculative decoding, named like --model."""
    quantization_draft: str | None = None
    """llama.cpp: file type of the draft model where it is no file; None: that of the model."""
    n_gpu_layers_draft: int | None = field(default=None, metadata={"minimum": 0, "maximum": 2**20})
    """llama.cpp: layers of the draft model on the GPUs; None: all."""
    cache_type_k_draft: CacheType | None = None
    """llama.cpp: type of the draft model's keys; None: f16, whatever those of the model are."""
    cache_type_v_draft: CacheType | None = None
    """llama.cpp: type of the draft model's values."""
    spec_draft_n_max: int | None = field(default=None, metadata={"minimum": 0, "maximum": 2**20})
    """llama.cpp: tokens that are drafted at once; None: as the program does."""
    mmproj: str | None = None
    """llama.cpp: file of the vision or audio tower (mmproj)."""
    mmproj_offload: bool = True
    """llama.cpp: the tower lies on the GPU; otherwise in system memory."""
    lora: tuple[str, ...] = ()
    """llama.cpp: LoRA adapters applied at run time, each a GGUF file, or a number for one of that rank on target_modules."""
    swa_full: bool = False
    """llama.cpp, vLLM (--disable-hybrid-kv-cache-manager): layers with a sliding window keep the whole context."""

    def __post_init__(self) -> None:
        check_options(self)


TRAINING_ONLY = frozenset(
    {
        "objective",
        "sequence_length",
        "micro_batch_size",
        "gradient_accumulation_steps",
        "padding",
        "lengths",
        "lora_r",
        "target_modules",
        "modules_to_save",
        "optimizer",
        "gradient_checkpointing",
        "loss",
        "mixed_precision",
    }
)
"""Fields without effect on inference."""
INFERENCE_ONLY = frozenset(
    {
        "context_length",
        "prompt_length",
        "num_sequences",
        "cache_type_k",
        "cache_type_v",
        "cache_implementation",
        "gpu_memory_utilization",
        "swa_full",
    }
)
"""Fields without effect on a fine-tune."""
LLAMA_CPP_ONLY = frozenset(
    {
        "n_gpu_layers",
        "n_cpu_moe",
        "cpu_moe",
        "override_tensor",
        "split_mode",
        "tensor_split",
        "n_parallel",
        "kv_unified",
        "n_batch",
        "n_ubatch",
        "flash_attn",
        "kv_offload",
        "model_draft",
        "quantization_draft",
        "n_gpu_layers_draft",
        "cache_type_k_draft",
        "cache_type_v_draft",
        "spec_draft_n_max",
        "mmproj",
        "mmproj_offload",
        "lora",
    }
)
"""Fields of llama.cpp and the programs that run it."""
