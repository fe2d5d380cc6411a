"""Axolotl's YAML.

``attn_implementation`` is the present spelling of attention; the older flags are read. Losses other than the plain one
come from plug-ins that the file names.
"""

from __future__ import annotations

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange import axolotl_names, deepspeed, trainer
from vram_advisor.exchange.keys import (
    ADAPTERS,
    TRAINING,
    UNSET,
    Choice,
    Document,
    Key,
    Prepared,
    Program,
    Row,
    combined,
    names,
)
from vram_advisor.exchange.trl import stored
from vram_advisor.units.errors import BadInput

METHOD: tuple[Row, ...] = (
    Row((None, None, None, None, UNSET), ("full", None)),
    Row(("lora", None, None, None, UNSET), ("lora", None)),
    Row(("qlora", True, None, None, UNSET), ("qlora", "nf4_double")),
    Row(("qlora", True, None, None, False), ("qlora", "nf4")),
    Row(("lora", None, True, None, UNSET), ("qlora", "int8")),
    Row(("lora", None, None, True, UNSET), ("dora", None)),
    Row(("lora", None, True, True, UNSET), ("dora", "int8")),
    Row(("qlora", True, None, True, UNSET), ("dora", "nf4_double")),
    Row(("qlora", True, None, True, False), ("dora", "nf4")),
    Row(("lora", True, None, None, UNSET), ("qlora", "nf4_double")),
    Row(("lora", True, None, True, UNSET), ("dora", "nf4_double")),
)
"""adapter, load_in_4bit, load_in_8bit, peft_use_dora, double quantization; method, storage of a quantised base."""
DTYPES: tuple[Row, ...] = (
    Row(("auto", None, None, None, None), ("bf16", "bf16")),
    Row((False, True, None, None, None), ("fp16", "fp16")),
    Row((False, None, True, None, None), ("bf16", "none")),
    Row((False, None, None, True, None), ("fp16", "none")),
    Row((False, None, None, None, True), ("fp32", "none")),
    Row((True, None, None, None, None), ("bf16", "bf16")),
    Row(("full", None, None, None, None), ("bf16", "bf16")),
    Row((False, None, None, None, None), ("fp32", "none")),
)
"""bf16, fp16, bfloat16, float16, float32; dtype of the weights, autocast (utils/config: torch_dtype)."""
LIGER = "axolotl.integrations.liger.LigerPlugin"
CUT = "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"
KERNELS = {"liger_rope": True, "liger_rms_norm": True, "liger_glu_activation": True}
LOSS: tuple[Row, ...] = (
    Row((None, None, None), ("standard",)),
    Row((True, None, None), ("liger",), {"plugins": (LIGER,), **KERNELS}),
    Row((None, True, None), ("cut_cross_entropy",), {"plugins": (CUT,)}),
    Row((None, None, True), ("chunked",)),
)
PADDING: tuple[Row, ...] = (
    Row((None, True, UNSET), ("sft", "none", "equal")),
    Row((None, None, UNSET), ("sft", "padded", "varied")),
    Row((None, None, True), ("sft", "padded", "equal")),
    Row((None, True, False), ("sft", "none", "varied")),
    Row((None, True, True), ("sft", "none", "equal")),
    Row((None, None, False), ("sft", "padded", "varied")),
    *(Row((name, None, UNSET), (name, "padded", "varied")) for name in ("dpo", "orpo")),
    Row(("kto", None, UNSET), ("kto", "padded", "varied"), {"remove_unused_columns": False}),
    # Pairs are padded to the longest of their batch, whatever is said of packed rows.
    *(Row((name, None, said), (name, "padded", "varied")) for name in ("dpo", "orpo", "kto") for said in (False, True)),
    Row(("ipo", None, UNSET), ("dpo", "padded", "varied")),
)
"""rl, sample_packing, pad_to_sequence_len; preferences are never packed."""
_RESHARD = "fsdp_config.reshard_after_forward"
FSDP: tuple[Row, ...] = (
    Row((2, True, None), ("fsdp_full", "none")),
    Row((2, False, None), ("fsdp_grad_op", "none")),
    Row((2, True, True), ("fsdp_full", "parameters")),
    Row((2, False, True), ("fsdp_grad_op", "parameters")),
    Row((2, UNSET, None), ("fsdp_full", "none")),
    Row((2, UNSET, True), ("fsdp_full", "parameters")),
    Row((1, UNSET, None), ("fsdp_full", "none")),
    Row((1, UNSET, True), ("fsdp_full", "parameters")),
)
"""fsdp_version, whether weights are freed after the forward pass, offload."""
FLAGS = {
    "flash_attention": "flash_attention_2", "sdp_attention": "sdpa", "eager_attention": "eager",
}  # fmt: skip
FREES = {"FULL_SHARD": True, "SHARD_GRAD_OP": False}
"""Strategies of FSDP1, and whether weights are freed after the forward pass."""
OLD_PREFIX = "fsdp_config.fsdp_"
NESTED = "bnb_config_kwargs.bnb_4bit_use_double_quant"


def _named(key: str) -> str:
    """Keys of FSDP without the prefix that older files have (utils/schemas/validation.py)."""
    if key.startswith(OLD_PREFIX) and key != f"{OLD_PREFIX}version":
        return f"fsdp_config.{key.removeprefix(OLD_PREFIX)}"
    return key


def _sharded() -> Choice:
    zero_keys, zero = deepspeed.inside("deepspeed.", deepspeed.ZERO)
    nothing: tuple[None, ...] = (None, None, None)
    return Choice(
        keys=(*zero_keys, "fsdp_version", _RESHARD, "fsdp_config.offload_params"),
        fields=("sharding", "offload"),
        rows=(
            Row((*nothing, None, UNSET, None), ("none", "none")),
            *(Row((*row.written, None, UNSET, None), row.meant) for row in zero),
            *(Row((*nothing, *row.written), row.meant) for row in FSDP),
        ),
        defaults={_RESHARD: UNSET},
        methods=TRAINING,
    )


def _checkpointing() -> Choice:
    """gradient_checkpointing also takes ``offload``."""
    rows = trainer.checkpointing(default=False).rows
    offload = (
        Row(("offload", UNSET), ("offload", None)),
        Row(("offload", True), ("offload", True)),
        Row(("offload", False), ("offload", False)),
    )
    return Choice(
        keys=("gradient_checkpointing", trainer.REENTRANT),
        fields=("gradient_checkpointing", "use_reentrant"),
        rows=(*rows, *offload),
        defaults={trainer.REENTRANT: UNSET, "gradient_checkpointing": False},
        methods=TRAINING,
    )


def _prepare(document: Document) -> Prepared:
    prepared = deepspeed.named_file(document)
    values, origin = dict(prepared.values), dict(prepared.origin)
    strategy = str(values.get("fsdp_config.sharding_strategy", "")).upper()
    if strategy in FREES and _RESHARD not in values:
        values[_RESHARD], origin[_RESHARD] = FREES[strategy], "fsdp_config.sharding_strategy"
    if values.get("fsdp_config.activation_checkpointing") is True and "gradient_checkpointing" not in values:
        values["gradient_checkpointing"] = True
        origin["gradient_checkpointing"] = "fsdp_config.activation_checkpointing"
    for flag, name in FLAGS.items():
        if values.get(flag) is True and "attn_implementation" not in values:
            values["attn_implementation"] = name
            origin["attn_implementation"] = flag
    for one in ("fp16", "bfloat16", "float16", "float32"):
        if values.get(one) is True and "bf16" not in values:
            values["bf16"] = False
    version = values.get("fsdp_config.fsdp_version", values.get("fsdp_config.version"))
    if version is not None and "fsdp_version" not in values:
        values["fsdp_version"] = version
        origin["fsdp_version"] = (
            "fsdp_config.fsdp_version" if "fsdp_config.fsdp_version" in values else "fsdp_config.version"
        )
    fsdp = values.get("fsdp")
    if fsdp and "fsdp_version" not in values:
        values["fsdp_version"] = 1
        origin["fsdp_version"] = "fsdp"
        if isinstance(fsdp, list) and "offload" in fsdp:
            values["fsdp_config.offload_params"] = True
            origin["fsdp_config.offload_params"] = "fsdp"
    if values.get(NESTED) is True:
        del values[NESTED]
    if values.get("lora_target_linear") is True:
        values["lora_target_modules"] = ["all-linear"]
        origin["lora_target_modules"] = "lora_target_linear"
    elif values.get("adapter") and "lora_target_modules" not in values:
        raise BadInput("adapter: neither lora_target_linear nor lora_target_modules says where the adapters go.")
    return Prepared(values, origin)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = dict(document)
    if made.get("lora_target_modules") == ("all-linear",):
        del made["lora_target_modules"]
        made["lora_target_linear"] = True
    if "fsdp_version" in made:
        made["fsdp_config.auto_wrap_policy"] = "TRANSFORMER_BASED_WRAP"
    return made


def _head(workload: Workload, plan: Plan) -> tuple[str, ...]:
    many = f" --num-processes {plan.num_gpus}" if plan.num_gpus > 1 else ""
    said = [f"axolotl train FILE{many}", "datasets and learning_rate are examples: put your own in their place"]
    if plan.sharding in ("fsdp_full", "fsdp_grad_op") and plan.optimizer == "adamw_bnb_8bit":
        # utils/schemas/validation.py check_fsdp2_w_8bit_optimizer
        said.append("Axolotl does not start FSDP2 with this optimizer: check --optimizer adamw_torch_8bit in its place")
    return tuple(said)


PROGRAM = Program(
    name="axolotl",
    title="Axolotl",
    source="axolotl 0.19: utils/schemas/config.py, model.py, peft.py, training.py, fsdp.py, validation.py",
    syntax="yaml",
    recipe="axolotl",
    method="full",
    marks=names(
        """
        base_model sequence_len micro_batch_size adapter datasets sample_packing lora_target_linear num_epochs
        val_set_size dataset_prepared_path flash_attention pad_to_sequence_len
        """
    ),
    rows=(
        Key(key="base_model", field="model"),
        Choice(
            keys=(
                "adapter",
                "load_in_4bit",
                "load_in_8bit",
                "peft_use_dora",
                NESTED,
                "bf16",
                "fp16",
                "bfloat16",
                "float16",
                "float32",
            ),
            fields=("method", "quantization", "weights_dtype", "mixed_precision"),
            rows=stored(combined(METHOD, DTYPES)),
            defaults={NESTED: UNSET, "bf16": "auto"},
            methods=TRAINING,
        ),
        Key(key="sequence_len", field="sequence_length", default=512, methods=TRAINING),
        Key(key="micro_batch_size", field="micro_batch_size", default=1, methods=TRAINING),
        Key(key="gradient_accumulation_steps", field="gradient_accumulation_steps", default=1, methods=TRAINING),
        Choice(
            keys=("rl", "sample_packing", "pad_to_sequence_len"),
            fields=("objective", "padding", "lengths"),
            rows=PADDING,
            defaults={"pad_to_sequence_len": UNSET},
            methods=TRAINING,
        ),
        Key(key="lora_r", field="lora_r", default=8, methods=ADAPTERS),
        Key(key="lora_alpha", field="lora_alpha", methods=ADAPTERS),
        Key(key="lora_dropout", field="lora_dropout", default=0.0, methods=ADAPTERS),
        Key(key="lora_target_modules", field="target_modules", methods=ADAPTERS),
        Key(key="lora_modules_to_save", field="modules_to_save", methods=ADAPTERS),
        Key(key="peft_use_rslora", field="use_rslora", methods=ADAPTERS),
        Choice(
            keys=("optimizer",),
            fields=("optimizer",),
            rows=trainer.optimizers(
                ("muon", "muon"),
                ("ao_adamw_8bit", "adamw_torch_8bit"),
                ("ao_adamw_4bit", "adamw_torch_4bit"),
                linear="all_linear",
            ),
            defaults={"optimizer": "adamw_torch_fused"},
            methods=TRAINING,
        ),
        _checkpointing(),
        Choice(
            keys=("attn_implementation",),
            fields=("attn_implementation",),
            rows=(
                *(Row((name,), (name,)) for name in ("sdpa", "flash_attention_2", "eager")),
                Row((None,), ("sdpa",)),
                Row(("flash_attention_3",), ("flash_attention_2",)),
                Row(("flash_attention_4",), ("flash_attention_2",)),
            ),
            methods=TRAINING,
        ),
        Choice(
            keys=("liger_fused_linear_cross_entropy", "cut_cross_entropy", "chunked_cross_entropy"),
            fields=("loss",),
            rows=LOSS,
            methods=TRAINING,
        ),
        _sharded(),
    ),
    irrelevant=axolotl_names.IRRELEVANT,
    not_modelled=axolotl_names.NOT_MODELLED,
    usual=frozenset({"lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel"}),
    refused={
        "relora": "merging adapters while training is not modelled",
        "reward_model": "training a reward model is not modelled",
        "process_reward_model": "training a reward model is not modelled",
        "lisa_n_layers": "training some layers at a time is not modelled",
        "gptq": "training on a GPTQ base with Axolotl is not modelled",
        "use_ray": "a run over several machines by Ray is not modelled",
    },
    named=_named,
    prepare=_prepare,
    finish=_finish,
    head=_head,
    constants={
        "datasets": [{"path": "tatsu-lab/alpaca", "type": "alpaca"}],
        "learning_rate": 0.0002,
        "output_dir": "./outputs",
    },
    elsewhere={
        "num_gpus": "axolotl train --num-processes",
        "expandable_segments": "the environment, PYTORCH_ALLOC_CONF=expandable_segments:True",
    },
)
