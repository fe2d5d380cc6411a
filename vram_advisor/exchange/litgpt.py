"""LitGPT's YAML, as ``litgpt finetune_lora --config`` and ``litgpt finetune_full --config`` take it.

Batches are given as a total over devices and accumulation; the file of a full fine-tune is the one without a rank.
"""

from __future__ import annotations

import re

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.keys import (
    ADAPTERS,
    TRAINING,
    Choice,
    Document,
    Key,
    Prepared,
    Program,
    Row,
    Switch,
    Switches,
    combined,
    names,
)
from vram_advisor.units.errors import BadInput

GLOBAL = "train.global_batch_size"
MICRO = "train.micro_batch_size"
RANK = "lora_r"
COMMAND = "(finetune)"
"""Which of the two scripts the file is for; it follows from the keys."""
TARGETS = (
    Switch("lora_query", ("q_proj",), default=True),
    Switch("lora_key", ("k_proj",)),
    Switch("lora_value", ("v_proj",), default=True),
    Switch("lora_projection", ("o_proj",)),
    Switch("lora_mlp", ("gate_proj", "up_proj", "down_proj")),
    Switch("lora_head", ("lm_head",)),
)
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PLAIN: tuple[Row, ...] = (
    Row(("bf16-mixed",), ("fp32", "bf16")),
    Row(("bf16-true",), ("bf16", "none")),
    Row(("32-true",), ("fp32", "none")),
    Row(("16-mixed",), ("fp32", "fp16")),
)
"""precision; dtype of the weights, autocast."""
QUANTISED: tuple[Row, ...] = (
    Row(("bnb.nf4",), ("nf4",)), Row(("bnb.nf4-dq",), ("nf4_double",)), Row(("bnb.fp4",), ("fp4",)),
    Row(("bnb.fp4-dq",), ("fp4_double",)), Row(("bnb.int8-training",), ("int8",)),
)  # fmt: skip


def _method_rows() -> tuple[Row, ...]:
    """finetune, quantize, precision; method, quantization, weights_dtype, mixed_precision."""
    rows = []
    for command in ("full", "lora"):
        for row in PLAIN:
            rows.append(Row((command, None, *row.written), (command, row.meant[0], *row.meant)))
    for row in combined(QUANTISED, PLAIN[1:2]):
        rows.append(Row(("lora", *row.written), ("qlora", *row.meant)))
    return tuple(rows)


def _whole(value: object, key: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadInput(f"{key}: {str(value)[:60]} should be a whole number from 1.")
    return value


def _prepare(document: Document) -> Prepared:
    values = dict(document)
    adapter = any(key.startswith("lora_") for key in values) or values.get("quantize") is not None
    model = values.get("checkpoint_dir")
    if isinstance(model, str) and re.fullmatch(r"checkpoints/[^/]+/[^/]+/?", model):
        # litgpt download puts a repository there
        values["checkpoint_dir"] = model.removeprefix("checkpoints/").rstrip("/")
    values[COMMAND] = "lora" if adapter else "full"
    micro = _whole(values.get(MICRO, 1), MICRO)
    devices = values.get("devices", 1)
    devices = 1 if devices == "auto" else _whole(devices, "devices")
    total = _whole(values.get(GLOBAL, 16), GLOBAL)
    if total // devices < micro:
        raise BadInput(f"{GLOBAL}: {total} on {devices} devices is less than {MICRO} {micro}.")
    values[GLOBAL] = total // devices // micro
    return Prepared(values)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = {key: value for key, value in document.items() if key != COMMAND}
    made[GLOBAL] = plan.num_gpus * workload.micro_batch_size * workload.gradient_accumulation_steps
    return made


def _head(workload: Workload, plan: Plan) -> tuple[str, ...]:
    script = "finetune_full" if workload.method == "full" else "finetune_lora"
    return (f"litgpt {script} --config FILE",)


PROGRAM = Program(
    name="litgpt",
    title="LitGPT",
    source="litgpt 0.5.13: finetune/lora.py, finetune/full.py, args.py, utils.py",
    syntax="yaml",
    recipe="litgpt",
    method="full",
    marks=frozenset(
        {
            "checkpoint_dir",
            "precision",
            "quantize",
            "devices",
            "lora_query",
            "lora_projection",
            "lora_mlp",
            MICRO,
            GLOBAL,
            "train.max_seq_length",
            "out_dir",
            "logger_name",
            "data.class_path",
        }
    ),
    rows=(
        Key(key="checkpoint_dir", field="model"),
        Choice(
            keys=(COMMAND, "quantize", "precision"),
            fields=("method", "quantization", "weights_dtype", "mixed_precision"),
            rows=_method_rows(),
            defaults={"precision": "bf16-mixed"},
            methods=TRAINING,
        ),
        Key(key="train.max_seq_length", field="sequence_length", methods=TRAINING),
        Key(key=MICRO, field="micro_batch_size", default=1, methods=TRAINING),
        Key(key=GLOBAL, field="gradient_accumulation_steps", default=16, methods=TRAINING),
        Key(key="devices", field="num_gpus", default=1, words=(("auto", 1),)),
        Key(key=RANK, field="lora_r", default=8, methods=ADAPTERS),
        Key(key="lora_alpha", field="lora_alpha", default=16, methods=ADAPTERS),
        Key(key="lora_dropout", field="lora_dropout", default=0.05, methods=ADAPTERS),
        Switches(field="target_modules", switches=TARGETS, whole=LINEAR),
        Choice(
            keys=("optimizer",),
            fields=("optimizer",),
            rows=(
                Row(("AdamW",), ("adamw_torch",)),
                Row(("bitsandbytes.optim.AdamW8bit",), ("adamw_bnb_8bit",)),
                Row(("bitsandbytes.optim.PagedAdamW",), ("paged_adamw_32bit",)),
                Row(("bitsandbytes.optim.PagedAdamW8bit",), ("paged_adamw_8bit",)),
                Row(("SGD",), ("sgd",)),
                Row(("torch.optim.AdamW",), ("adamw_torch",)),
            ),
            defaults={"optimizer": "AdamW"},
            methods=TRAINING,
        ),
    ),
    aliases={"optimizer.class_path": "optimizer"},
    irrelevant=names(
        """
        out_dir num_nodes data train.save_interval train.log_interval train.lr_warmup_steps train.lr_warmup_fraction
        train.epochs train.max_tokens train.max_steps train.max_time train.tie_embeddings train.min_lr eval log seed
        access_token logger_name resume optimizer.init_args lora_alpha train.max_norm
        """
    ),
    prepare=_prepare,
    finish=_finish,
    head=_head,
    elsewhere={"expandable_segments": "the environment, PYTORCH_ALLOC_CONF=expandable_segments:True"},
)
