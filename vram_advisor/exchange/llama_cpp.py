"""The command lines of llama-server and llama-cli.

``--ctx-size`` is the context of all slots together; Workload has that of one sequence.
"""

from __future__ import annotations

import re
from dataclasses import replace

from vram_advisor.domain.gguf_file_types import BASE
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.command_lines import ENVIRONMENT
from vram_advisor.exchange.keys import (
    SERVING,
    UNSET,
    Choice,
    Document,
    Key,
    Prepared,
    Program,
    Row,
    Settled,
    TableRow,
)
from vram_advisor.exchange.llama_cpp_adapters import LORA, SCALED, adapter_files
from vram_advisor.exchange.llama_cpp_flags import IRRELEVANT, NOT_MODELLED, TURNED_OFF, VARIABLE, flag_of
from vram_advisor.exchange.values import TRUTHS
from vram_advisor.units.errors import BadInput

DEVICES = re.compile(r"CUDA_VISIBLE_DEVICES|HIP_VISIBLE_DEVICES")
CACHE_TYPES = ("f16", "bf16", "f32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
CONTEXT, SLOTS, DRAFT = "--ctx-size", "--parallel", "--model-draft"
_PLAIN = {"F16": "fp16", "F32": "fp32"}
QUANTIZATION = {name.lower(): _PLAIN.get(name, name.lower()) for name in BASE}
"""Tags of files in lower case, and what the storage format is called here."""
TAG = {name: tag.upper() for tag, name in QUANTIZATION.items()}
GPUS = "env.CUDA_VISIBLE_DEVICES"


def _types(key: str, field: str) -> Choice:
    return Choice(
        keys=(key,),
        fields=(field,),
        rows=(Row((None,), (None,)), *(Row((name,), (name,)) for name in CACHE_TYPES)),
        methods=SERVING,
    )


ROWS: tuple[TableRow, ...] = (
    Key(key="--model", field="model"),
    Key(key="--quantization", field="quantization"),
    Key(key="--sequences", field="num_sequences"),
    Key(key=CONTEXT, field="context_length"),
    Key(key=SLOTS, field="n_parallel"),
    Choice(
        keys=("--kv-unified", "--no-kv-unified"),
        fields=("kv_unified",),
        rows=(Row((None, None), (True,)), Row((None, True), (False,)), Row((True, None), (True,))),
        methods=SERVING,
    ),
    Key(key="--n-gpu-layers", field="n_gpu_layers"),
    Key(key="--n-cpu-moe", field="n_cpu_moe"),
    Choice(
        keys=("--cpu-moe",),
        fields=("cpu_moe",),
        rows=(Row((None,), (False,)), Row((True,), (True,))),
        methods=SERVING,
    ),
    Key(key="--override-tensor", field="override_tensor", separator=","),
    Key(key="--split-mode", field="split_mode"),
    Key(key="--tensor-split", field="tensor_split", separator=","),
    Key(key=GPUS, field="num_gpus"),
    Key(key="--batch-size", field="n_batch"),
    Key(key="--ubatch-size", field="n_ubatch"),
    Choice(
        keys=("--flash-attn",),
        fields=("flash_attn",),
        rows=(
            Row((UNSET,), (None,)),
            Row(("on",), ("on",)),
            Row(("off",), ("off",)),
            Row(("auto",), ("auto",)),
            Row((True,), ("on",)),
            Row(("1",), ("on",)),
            Row(("0",), ("off",)),
        ),
        defaults={"--flash-attn": UNSET},
        methods=SERVING,
    ),
    _types("--cache-type-k", "cache_type_k"),
    _types("--cache-type-v", "cache_type_v"),
    Choice(
        keys=("--no-kv-offload",),
        fields=("kv_offload",),
        rows=(Row((None,), (True,)), Row((True,), (False,))),
        methods=SERVING,
    ),
    Choice(
        keys=("--swa-full",),
        fields=("swa_full",),
        rows=(Row((None,), (False,)), Row((True,), (True,))),
        methods=SERVING,
    ),
    Key(key=DRAFT, field="model_draft"),
    Key(key="--quantization-draft", field="quantization_draft"),
    Key(key="--n-gpu-layers-draft", field="n_gpu_layers_draft"),
    _types("--cache-type-k-draft", "cache_type_k_draft"),
    _types("--cache-type-v-draft", "cache_type_v_draft"),
    Key(key="--spec-draft-n-max", field="spec_draft_n_max"),
    Key(key="--mmproj", field="mmproj"),
    Choice(
        keys=("--no-mmproj-offload",),
        fields=("mmproj_offload",),
        rows=(Row((None,), (True,)), Row((True,), (False,))),
        methods=SERVING,
    ),
    Key(key=LORA, field="lora", separator=","),
    Key(key=SCALED, field="lora", separator=",", read_only=True),
)


def visible(value: object) -> int | None:
    """How many devices a variable such as CUDA_VISIBLE_DEVICES leaves."""
    listed = [part for part in str(value).split(",") if part.strip()]
    return len(listed) or None


def split_quantization(name: str) -> tuple[str, str | None]:
    """``owner/name:Q4_K_M`` as name and quantization."""
    left, colon, tag = name.rpartition(":")
    if colon and tag.lower() in QUANTIZATION and "/" in left:
        return left, QUANTIZATION[tag.lower()]
    return name, None


def quantization_of(file: str) -> str | None:
    """The storage format that a file has by its name.

    >>> quantization_of("models/Llama-3.1-8B-Instruct-Q4_K_M.gguf"), quantization_of("model.gguf")
    ('q4_k_m', None)
    """
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", file, flags=re.IGNORECASE)
    return QUANTIZATION.get(re.split(r"[-./\\]", stem)[-1].lower()) if stem != file else None


def _whole(values: Document, key: str) -> int | None:
    value = values.get(key)
    if value is None:
        return None
    if not re.fullmatch(r"-?\d{1,15}", str(value)):
        raise BadInput(f"{key}: {str(value)[:60]} should be a whole number.")
    return int(str(value))


def _named(key: str) -> str:
    """The flag behind a variable."""
    return flag_of(key.removeprefix(ENVIRONMENT)) if key.startswith(f"{ENVIRONMENT}{VARIABLE}") else key


def prepare(document: Document) -> Prepared:
    """Contexts per sequence, names of files, counts of devices."""
    values, origin = dict(document), {}
    for key in TURNED_OFF:
        if isinstance(values.get(key), str):
            off = f"--no-{key[2:]}"
            turned = TRUTHS.get(values[key].lower())
            if turned is False:
                values[off], origin[off] = True, key
            del values[key]
            origin.setdefault(f"({key})", key)
    if GPUS in values:
        values[GPUS] = visible(values[GPUS])
    for key in ("--hf-repo", "--model-url"):
        if "--model" not in values and isinstance(values.get(key), str):
            values["--model"], origin["--model"] = values[key], key
    if isinstance(values.get("--model"), str):
        _, quantization = split_quantization(values["--model"])
        if quantization:
            values["--quantization"] = quantization
            origin["--quantization"] = origin.get("--model", "--model")
    if DRAFT not in values and isinstance(values.get("--hf-repo-draft"), str):
        values[DRAFT], origin[DRAFT] = values["--hf-repo-draft"], "--hf-repo-draft"
    if isinstance(values.get(DRAFT), str):
        _, quantization = split_quantization(values[DRAFT])
        if quantization:
            values["--quantization-draft"] = quantization
            origin["--quantization-draft"] = origin.get(DRAFT, DRAFT)
    values |= adapter_files(values)
    for key in ("--n-gpu-layers", "--n-gpu-layers-draft"):
        if str(values.get(key, "")).lower() in ("all", "auto", "-1"):
            del values[key]
            origin[f"({key})"] = key
    context, slots = _whole(values, CONTEXT), _whole(values, SLOTS)
    if slots is not None and slots < 1:
        del values[SLOTS]
        slots = None
    if context == 0:
        del values[CONTEXT]
    if slots and context and context % slots == 0:
        values["--sequences"], values[CONTEXT] = slots, context // slots
        origin["--sequences"] = SLOTS
    return Prepared(values, origin, model_context=not context)


def finish(document: Document, workload: Workload, plan: Plan) -> Document:
    """The context of all slots together, and the file of the model."""
    made = dict(document)
    quantization = made.pop("--quantization", None)
    made.pop("--sequences", None)
    gpus = made.pop(GPUS, None)
    made[CONTEXT] = workload.context_length * workload.num_sequences
    named = _file_or_repository("--model", "--hf-repo", str(made.pop("--model", "model.gguf")), quantization)
    stored = made.pop("--quantization-draft", None) or quantization
    if made.get(DRAFT):
        made |= _file_or_repository(DRAFT, "--hf-repo-draft", str(made.pop(DRAFT)), stored)
    if made.get(LORA):
        files = str(made[LORA]).split(",")
        made[LORA] = ",".join(f"adapter-r{name}.gguf" if name.isdigit() else name for name in files)
    if gpus not in (None, 1):
        made = {GPUS: ",".join(str(i) for i in range(int(gpus))), **made}
    if made.get("--n-cpu-moe") == 0:
        del made["--n-cpu-moe"]
    if made.get("--split-mode") == "layer":
        del made["--split-mode"]
    return {**named, **made}


def _file_or_repository(file: str, repository: str, name: str, quantization: object) -> Document:
    """The flag that names a model: a file, or a repository with its file type."""
    model, _ = split_quantization(name)
    tag = TAG.get(str(quantization).lower())
    if "/" in model and not model.endswith(".gguf") and not model.startswith((".", "/", "~")):
        return {repository: f"{model}:{tag}" if tag else model}
    return {file: model if model.endswith(".gguf") or not tag else f"{model}-{tag}.gguf"}


def _with_draft(plan: Plan) -> Plan:
    """The draft model with its file type, by which a repository is named."""
    if plan.model_draft is None:
        return replace(plan, quantization_draft=None)
    stored = plan.quantization_draft or plan.quantization
    named = _file_or_repository("file", "repository", plan.model_draft, stored)
    return replace(plan, model_draft=named.get("repository", plan.model_draft), quantization_draft=stored)


def settle(workload: Workload, plan: Plan) -> Settled:
    """Slots in the one form that the flags have for them: as many as sequences, or the program's own number for one.

    The cells of the cache, and so the estimate, stay what they are. A draft model has its file type by its name.
    """
    plan = _with_draft(plan)
    if plan.n_parallel == workload.num_sequences or (plan.n_parallel is None and workload.num_sequences == 1):
        return workload, plan
    cells = workload.context_length * workload.num_sequences
    slots = plan.n_parallel or max(workload.num_sequences, 4)
    if cells % slots == 0:
        return replace(workload, num_sequences=slots, context_length=cells // slots), replace(plan, n_parallel=slots)
    return replace(workload, num_sequences=1, context_length=cells), replace(plan, n_parallel=slots)


ELSEWHERE = {"prompt_length": "the prompt"}

SERVER = Program(
    name="llama-server",
    title="llama-server",
    source="llama.cpp v0.5.0: common/arg.cpp, tools/server",
    syntax="command",
    runtime="llama.cpp",
    method="inference",
    marks=frozenset({"--ctx-size", "--n-gpu-layers"}),
    rows=ROWS,
    irrelevant=IRRELEVANT,
    not_modelled=NOT_MODELLED,
    variables=VARIABLE,
    named=_named,
    command=("llama-server",),
    prepare=prepare,
    finish=finish,
    settle=settle,
    elsewhere=ELSEWHERE,
)


def _one_slot(workload: Workload, plan: Plan) -> Settled:
    """llama-cli talks with one person: one sequence holds all cells of the cache."""
    cells = workload.context_length * workload.num_sequences
    plan = _with_draft(plan)
    return replace(workload, num_sequences=1, context_length=cells), replace(plan, n_parallel=1)


def _without_slots(document: Document, workload: Workload, plan: Plan) -> Document:
    return {key: value for key, value in finish(document, workload, plan).items() if key != SLOTS}


CLI = replace(
    SERVER,
    name="llama-cli",
    title="llama-cli",
    source="llama.cpp v0.5.0: common/arg.cpp, tools/cli",
    recipe="llama-cli",
    command=("llama-cli",),
    finish=_without_slots,
    settle=_one_slot,
)
