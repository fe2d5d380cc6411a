"""An Ollama Modelfile. What its parameters do not reach is set in the environment of the server."""

from __future__ import annotations

import re
from dataclasses import replace

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.keys import Document, Key, Prepared, Program, Settled, names
from vram_advisor.exchange.llama_cpp import QUANTIZATION, TAG, split_quantization
from vram_advisor.units.errors import BadInput

MAX_LINES = 100_000
INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
PARAMETER = "parameter."
TAGGED = re.compile(r"^(?P<name>[^/:\s]+(?:/[^/:\s]+)?):(?P<tag>[^:\s]+)$")
INSTRUCTIONS = frozenset({"from", "parameter", "template", "system", "adapter", "license", "message", "requires"})
LIBRARY = "ollama:"
"""In front of the names of Ollama's own library."""


def parse_modelfile(text: str, where: str) -> Document:
    """Instructions of a Modelfile; parameters by their names below ``parameter.``.

    Raises:
        BadInput: an instruction that Ollama does not have, or no FROM.
    """
    found: Document = {}
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise BadInput(f"{where} has more than {MAX_LINES:,} lines, too many for a Modelfile.")
    quoted = False
    for number, line in enumerate(lines, 1):
        if quoted:
            quoted = line.count('"""') % 2 == 0
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = INSTRUCTION.match(line)
        name = match[1].lower() if match else line.strip().lower()
        if match is None or name not in INSTRUCTIONS:
            raise BadInput(f"{where} line {number}: {line.strip()[:40]} is no instruction of a Modelfile.")
        rest = match[2].strip()
        quoted = rest.count('"""') % 2 == 1
        if name == "parameter":
            key, _, value = rest.partition(" ")
            # stop and its like are there several times
            found.setdefault(f"{PARAMETER}{key.lower()}", value.strip().strip('"'))
        elif name == "adapter" and name in found:
            found[name] += "," + rest.strip('"')
        else:
            found.setdefault(name, rest.strip('"'))
    if not found.get("from"):
        raise BadInput(f"{where}: FROM is missing, which names the model.")
    return found


def _prepare(document: Document) -> Prepared:
    values, origin = dict(document), {}
    model = str(values.get("from", ""))
    if model.startswith(("hf.co/", "huggingface.co/")):
        model = model.partition("/")[2]
        values["from"] = model
        _, quantization = split_quantization(model)
        if quantization:
            values["(quantization)"], origin["(quantization)"] = quantization, "from"
    elif not model.startswith((".", "/", "~")) and not model.lower().endswith((".gguf", ".safetensors")):
        values["from"] = f"{LIBRARY}{model}"
        tag = TAGGED.match(model)
        for ending in sorted(QUANTIZATION, key=len, reverse=True) if tag else ():
            if tag and tag["tag"].lower().endswith(ending):
                values["(quantization)"], origin["(quantization)"] = QUANTIZATION[ending], "from"
                break
    layers = str(values.get(f"{PARAMETER}num_gpu", ""))
    if layers == "-1":
        del values[f"{PARAMETER}num_gpu"]
    return Prepared(values, origin)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = dict(document)
    quantization = made.pop("(quantization)", None)
    model, _ = split_quantization(str(made.get("from", "model.gguf")))
    tag = TAG.get(str(quantization).lower())
    if model.startswith(LIBRARY):
        made["from"] = model.removeprefix(LIBRARY)
    elif "/" in model and not model.startswith((".", "/", "~")) and not model.endswith(".gguf"):
        made["from"] = f"hf.co/{model}:{tag}" if tag else f"hf.co/{model}"
    elif not model.endswith(".gguf"):
        made["from"] = f"./{model}-{tag}.gguf" if tag else f"./{model}.gguf"
    return made


def _settle(workload: Workload, plan: Plan) -> Settled:
    """num_ctx is the context of one request; how many run at once is a setting of the server."""
    return workload, replace(plan, n_parallel=None) if plan.n_parallel == 1 and workload.num_sequences == 1 else plan


def write_modelfile(document: Document) -> str:
    """The instructions in their order."""
    lines = []
    for key, value in document.items():
        if key.startswith(PARAMETER):
            lines.append(f"PARAMETER {key.removeprefix(PARAMETER)} {value}")
        else:
            lines += [f"{key.upper()} {part}" for part in (str(value).split(",") if key == "adapter" else (value,))]
    return "\n".join(lines) + "\n"


def _head(workload: Workload, plan: Plan) -> tuple[str, ...]:
    return ("ollama create NAME -f Modelfile",)


PROGRAM = Program(
    name="ollama",
    title="Ollama",
    source="Ollama 0.30: parser/parser.go, api/types.go (Runner), envconfig/config.go",
    syntax="modelfile",
    runtime="ollama",
    method="inference",
    rows=(
        Key(key="from", field="model"),
        Key(key="(quantization)", field="quantization"),
        Key(key=f"{PARAMETER}num_ctx", field="context_length", default=4096),
        Key(key=f"{PARAMETER}num_gpu", field="n_gpu_layers"),
        Key(key=f"{PARAMETER}num_batch", field="n_batch"),
        Key(key="adapter", field="lora", separator=","),
    ),
    irrelevant=names(
        """
        template system license message requires parameter.temperature parameter.top_k parameter.top_p parameter.min_p
        parameter.seed parameter.stop parameter.num_predict parameter.repeat_penalty parameter.repeat_last_n
        parameter.presence_penalty parameter.frequency_penalty parameter.mirostat parameter.mirostat_eta
        parameter.mirostat_tau parameter.tfs_z parameter.typical_p parameter.num_keep parameter.num_thread
        parameter.penalize_newline parameter.use_mmap parameter.use_mlock parameter.numa
        """
    ),
    not_modelled=frozenset({"parameter.main_gpu", "parameter.low_vram", "parameter.draft_num_predict"}),
    prepare=_prepare,
    finish=_finish,
    settle=_settle,
    head=_head,
    elsewhere={
        "num_sequences": "the environment of the server, OLLAMA_NUM_PARALLEL",
        "n_parallel": "the environment of the server, OLLAMA_NUM_PARALLEL",
        "cache_type_k": "the environment of the server, OLLAMA_KV_CACHE_TYPE",
        "cache_type_v": "the environment of the server, OLLAMA_KV_CACHE_TYPE",
        "flash_attn": "the environment of the server, OLLAMA_FLASH_ATTENTION",
        "num_gpus": "the environment of the server, CUDA_VISIBLE_DEVICES",
    },
)
