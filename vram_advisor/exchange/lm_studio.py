"""The command that loads a model in LM Studio (``lms load``); the rest is set in its window."""

from __future__ import annotations

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.command_lines import POSITIONAL
from vram_advisor.exchange.keys import SERVING, Choice, Document, Key, Prepared, Program, Row, same

CONTEXT = "--context-length"
SHARE = "--gpu"


def _prepare(document: Document) -> Prepared:
    values, origin = dict(document), {}
    if POSITIONAL in values:
        values["--model"], origin["--model"] = f"lm-studio:{values[POSITIONAL]}", POSITIONAL
    return Prepared(values, origin, model_context=CONTEXT not in values)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = dict(document)
    model = str(made.pop("--model", "MODEL")).removeprefix("lm-studio:")
    return {POSITIONAL: model, **made}


PROGRAM = Program(
    name="lm-studio",
    title="LM Studio",
    source="LM Studio 0.4, lms load: --gpu, --context-length, --parallel",
    syntax="command",
    runtime="lm-studio",
    method="inference",
    rows=(
        Key(key="--model", field="model"),
        Key(key=CONTEXT, field="context_length"),
        Key(key="--parallel", field="n_parallel"),
        Choice(
            keys=(SHARE,),
            fields=("n_gpu_layers",),
            rows=(
                Row(("max",), (None,)),
                Row(("off",), (0,)),
                Row((None,), (None,)),
                Row(("1",), (None,)),
                Row(("1.0",), (None,)),
                Row(("0",), (0,)),
            ),
            methods=SERVING,
        ),
    ),
    irrelevant=frozenset({"--identifier", "--ttl", "--yes", "-y", "--host", "--port", "--exact", "--quiet", SHARE}),
    not_modelled=frozenset({"--estimate-only"}),
    command=("lms", "load"),
    prepare=_prepare,
    finish=_finish,
    settle=same,
    elsewhere={
        "quantization": "the file that is loaded",
        "cache_type_k": "the load settings of the model, K Cache Quantization Type",
        "cache_type_v": "the load settings of the model, V Cache Quantization Type",
        "flash_attn": "the load settings of the model, Flash Attention",
        "n_gpu_layers": "the load settings of the model, GPU Offload",
        "model_draft": "the settings of the chat, Speculative Decoding",
        "mmproj": "the folder of the model",
    },
)
