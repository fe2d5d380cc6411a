"""How one program of one version runs a model that is not trained: a row per program and era.

A recipe of the same name runs by its row; every other recipe trains with today's transformers and generates with it.
"""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES, UNWRITTEN_GRAPHS
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import LLAMA_CPP_ONLY, Plan, Runtime, Workload
from vram_advisor.domain.quantization import QUANTIZATIONS, Evidence


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GgufServing:
    """The habits of one program and version that runs llama.cpp."""

    name: str
    runtime: Runtime
    title: str
    versions: str
    evidence: Evidence
    source: str
    slots: int = 1
    """Slots that it opens where one sequence is asked for."""
    unified: bool = True
    """Slots can share one cache; False: each has its part."""
    n_batch: int = 2048
    n_ubatch: int = 512
    outputs: Literal["slots", "batch"] = "slots"
    """Rows of logits that are reserved: one per slot, or a whole batch."""
    batch_by_context: bool = False
    """The batch is chosen by context and free memory, and computed at once (Ollama)."""
    swa_full: bool = False
    """Layers with a sliding window keep the whole context."""
    graph: Literal["2026", "2025"] = "2026"
    """As ``LlamaCppOptions.graph``."""


_GGUF_ROWS = (
    GgufServing(
        "llama.cpp", "llama.cpp", "llama-server", "llama.cpp v0.5.0 (since June 2026)", "measured",
        "llama.cpp common/common.h, tools/server/server-context.cpp (n_parallel 4, unified cache; n_outputs_max)", slots=4,
    ),
    GgufServing(
        "llama-cli", "llama.cpp", "llama-cli", "llama.cpp v0.5.0", "read in source",
        "llama.cpp tools/cli/cli-server.h (runs llama-server, with one slot: common/common.h)",
    ),
    GgufServing(
        "llama.cpp-2025", "llama.cpp", "llama-server of 2025", "llama.cpp b3000 to b9300", "measured",
        "llama.cpp src/llama-context.cpp before pull request 23861 (logits of a whole batch), one slot", outputs="batch",
        graph="2025",
    ),
    GgufServing(
        "llama-cli-2025", "llama.cpp", "llama-cli of 2025", "llama.cpp b3000 to b9300", "read in source",
        "llama.cpp tools/completion, which llama-cli was: one sequence, logits of a whole batch", outputs="batch",
        graph="2025",
    ),
    GgufServing(
        "ollama", "ollama", "Ollama", "Ollama 0.30 and newer (runs llama-server)", "read in source",
        "ollama llm/llama_server.go, server/sched.go, envconfig/config.go", n_batch=512, batch_by_context=True, unified=False,
    ),
    GgufServing(
        "lm-studio", "lm-studio", "LM Studio", "LM Studio 0.4, llama.cpp runtime 2", "read in source",
        "lmstudio SDK 2.0 LLMLoadModelConfig (evalBatchSize 512, useUnifiedKvCache, maxParallelPredictions 4)",
        slots=4, n_batch=512,
    ),
)  # fmt: skip

GGUF_SERVING: dict[str, GgufServing] = {row.name: row for row in _GGUF_ROWS}
GGUF_RUNTIMES = frozenset(row.runtime for row in _GGUF_ROWS)
"""Values of ``Plan.runtime`` that run llama.cpp."""


INFERENCE_RUNTIME: Runtime = "llama.cpp"
"""What serves a model where nothing else is asked for, and where it runs the model."""
TORCH_FORMATS = frozenset(("fp8", "int8", "int4"))
"""Cache types of programs on PyTorch."""
GGML_CACHES = frozenset(("f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"))
"""Cache types that only llama.cpp has."""
TORCH_KERNELS = frozenset(("gptq", "bnb_4bit", "bnb_8bit"))
"""Of checkpoints that are quantised for PyTorch; others are converted from their 16-bit weights."""


def runtime_of(workload: Workload, plan: Plan, storage: str | None = None, model: ModelSpec | None = None) -> Runtime:
    """The program that is meant: the one that was named, else one that knows what else was asked for.

    Args:
        storage: the storage format that was asked for, as a person wrote it; None: that of the plan.
        model: where llama.cpp does not run it and no option of llama.cpp is set, transformers is meant.
    """
    if plan.runtime is not None or workload.trains:
        return plan.runtime or "transformers"
    if plan.recipe in GGUF_SERVING:
        return GGUF_SERVING[plan.recipe].runtime
    stored = QUANTIZATIONS.get((storage or plan.quantization or "").lower().replace("-", "_"))
    if stored is not None and stored.kernel == "gguf":
        return "llama.cpp"
    torch = (
        (stored is not None and stored.is_quantised and stored.name != "mxfp4")
        or plan.recipe in SERVING
        or {plan.cache_type_k, plan.cache_type_v} & TORCH_FORMATS
        or plan.attn_implementation is not None
        or plan.cache_implementation == "static"
    )
    if torch or (model is not None and not asks_for_llama_cpp(plan) and not has_gguf(model)):
        return "transformers"
    return INFERENCE_RUNTIME


def asks_for_llama_cpp(plan: Plan) -> bool:
    """Whether an option is set that only llama.cpp has."""
    unset = Plan()
    return bool({plan.cache_type_k, plan.cache_type_v} & GGML_CACHES) or any(
        getattr(plan, name) != getattr(unset, name) for name in LLAMA_CPP_ONLY
    )


def has_gguf(model: ModelSpec) -> bool:
    """Whether a model is a GGUF file or is published as one: llama.cpp runs its architecture and its weights were not
    quantised for programs on PyTorch."""
    if model.stored_tensors:
        return True
    published = QUANTIZATIONS.get(model.native_dtype)
    for_torch = published is not None and published.kernel in TORCH_KERNELS
    return model.architecture in GGUF_ARCHITECTURES and model.architecture not in UNWRITTEN_GRAPHS and not for_torch


def gguf_serving(recipe_name: str, runtime: str | None) -> GgufServing:
    """The row of a recipe of that name, else the present version of a runtime."""
    return GGUF_SERVING.get(recipe_name) or GGUF_SERVING[runtime or "llama.cpp"]
