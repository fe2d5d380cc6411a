"""vLLM's command line (``vllm serve``), and the YAML that its ``--config`` takes."""

from __future__ import annotations

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.command_lines import POSITIONAL
from vram_advisor.exchange.keys import SERVING, Choice, Document, Key, Prepared, Program, Row, names, same

STORAGE: tuple[Row, ...] = (
    Row((None, "bfloat16"), ("bf16", "bf16")),
    Row((None, "float16"), ("fp16", "fp16")),
    Row((None, "float32"), ("fp32", "fp32")),
    Row(("fp8", "bfloat16"), ("fp8", "bf16")),
    Row(("fp8", "float16"), ("fp8", "fp16")),
    Row(("awq", "float16"), ("awq_int4", "fp16")),
    Row(("awq", "bfloat16"), ("awq_int4", "bf16")),
    Row(("gptq", "float16"), ("gptq_int4", "fp16")),
    Row(("gptq", "bfloat16"), ("gptq_int4", "bf16")),
    Row(("bitsandbytes", "bfloat16"), ("nf4", "bf16")),
    Row(("bitsandbytes", "float16"), ("nf4", "fp16")),
    Row(("mxfp4", "bfloat16"), ("mxfp4", "bf16")),
    Row((None, "auto"), (None, None)),
    Row((None, "half"), ("fp16", "fp16")),
    Row((None, "float"), ("fp32", "fp32")),
    Row(("fp8", "auto"), ("fp8", None)),
    Row(("awq", "auto"), ("awq_int4", None)),
    Row(("awq_marlin", "auto"), ("awq_int4", None)),
    Row(("gptq", "auto"), ("gptq_int4", None)),
    Row(("gptq_marlin", "auto"), ("gptq_int4", None)),
    Row(("gptq-int4", "auto"), ("gptq_int4", None)),
    Row(("gptq-int8", "auto"), ("gptq_int8", None)),
    Row(("bitsandbytes", "auto"), ("nf4", None)),
    Row(("mxfp4", "auto"), ("mxfp4", None)),
)
"""--quantization, --dtype; storage, dtype of what is not quantised. ``auto`` follows the checkpoint."""
ENDINGS = ("awq", "gptq-int8", "gptq-int4", "gptq", "fp8")
"""Ends of the names of repositories whose weights are quantised; vLLM reads it in their configuration."""
GPUS = "--tensor-parallel-size"
CONTEXT = "--max-model-len"
UNITS = {"k": 1000, "m": 1_000_000, "K": 1024, "M": 1 << 20}


def _prepare(document: Document) -> Prepared:
    values, origin = dict(document), {}
    if "--model" not in values and POSITIONAL in values:
        values["--model"], origin["--model"] = values[POSITIONAL], POSITIONAL
    length = values.get(CONTEXT)
    if (
        isinstance(length, str)
        and length.isascii()
        and length[:-1].isdigit()
        and len(length) < 12
        and length[-1] in UNITS
    ):
        values[CONTEXT] = int(length[:-1]) * UNITS[length[-1]]
    if length in ("auto", -1, "-1"):
        del values[CONTEXT]
    name = str(values.get("--model", "")).lower()
    if values.get("--quantization") is None and values.get("--dtype", "auto") == "auto":
        ending = next((ending for ending in ENDINGS if name.endswith(f"-{ending}")), None)
        if ending is not None:
            values["--quantization"], origin["--quantization"] = ending, origin.get("--model", "--model")
    if "--kv-cache-dtype" in values and str(values["--kv-cache-dtype"]).startswith("fp8"):
        values["--kv-cache-dtype"] = "fp8"
    return Prepared(values, origin, model_context=CONTEXT not in values)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = dict(document)
    model = made.pop("--model", None)
    return {POSITIONAL: model or "MODEL", **made}


PROGRAM = Program(
    name="vllm",
    title="vLLM",
    source="vLLM 0.11 and newer: engine/arg_utils.py",
    syntax="command",
    runtime="vllm",
    method="inference",
    marks=names(
        """
        gpu-memory-utilization gpu_memory_utilization max-model-len max_model_len tensor-parallel-size
        tensor_parallel_size max-num-seqs max_num_seqs kv-cache-dtype kv_cache_dtype
        """
    ),
    rows=(
        Key(key="--model", field="model"),
        Choice(
            keys=("--quantization", "--dtype"),
            fields=("quantization", "weights_dtype"),
            rows=STORAGE,
            defaults={"--dtype": "auto"},
            methods=SERVING,
        ),
        Key(key=CONTEXT, field="context_length"),
        Key(key="--max-num-seqs", field="num_sequences"),
        Key(key=GPUS, field="num_gpus", default=1),
        Key(key="--gpu-memory-utilization", field="gpu_memory_utilization", default=0.9),
        Choice(
            keys=("--kv-cache-dtype",),
            fields=("cache_type_k", "cache_type_v"),
            rows=(
                Row((None,), (None, None)),
                Row(("fp8",), ("fp8", "fp8")),
                Row(("auto",), (None, None)),
                Row(("bfloat16",), ("bf16", "bf16")),
            ),
            methods=SERVING,
        ),
        Choice(
            keys=("--disable-hybrid-kv-cache-manager",),
            fields=("swa_full",),
            rows=(Row((None,), (False,)), Row((True,), (True,))),
            methods=SERVING,
        ),
    ),
    aliases={"-tp": GPUS, "-q": "--quantization"},
    irrelevant=names(
        """
        --host --port --served-model-name --api-key --tokenizer --tokenizer-mode --trust-remote-code --seed
        --uvicorn-log-level --chat-template --enable-auto-tool-choice --tool-call-parser --reasoning-parser
        --disable-log-requests --disable-log-stats --download-dir --load-format --revision --allowed-origins
        --enable-prefix-caching --no-enable-prefix-caching --max-log-len --generation-config --root-path --ssl-keyfile
        --ssl-certfile --config --enable-chunked-prefill --enable-log-requests --block-size
        --disable-custom-all-reduce --env.HF_TOKEN --response-role --chat-template-content-format
        --override-generation-config --distributed-executor-backend --enforce-eager-log --scheduling-policy
        --max-logprobs --quiet (first) env.CUDA_VISIBLE_DEVICES
        """
    ),
    not_modelled=names(
        """
        --enforce-eager --max-num-batched-tokens --pipeline-parallel-size --data-parallel-size
        --enable-expert-parallel --cpu-offload-gb --swap-space --speculative-config --enable-lora --max-loras
        --max-lora-rank --kv-cache-memory --limit-mm-per-prompt --compilation-config --num-gpu-blocks-override
        --hf-overrides --rope-scaling --kv-transfer-config --no-enable-chunked-prefill -O0 -O1 -O2 -O3 --optimization-level --cuda-graph-sizes --max-seq-len-to-capture
        """
    ),
    command=("vllm", "serve"),
    prepare=_prepare,
    finish=_finish,
    settle=same,
    elsewhere={"prompt_length": "the requests"},
)
