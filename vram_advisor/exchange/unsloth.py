"""Unsloth's arguments: the keywords of from_pretrained, get_peft_model and the trainer's configuration in one table.

Read as calls in a script (whose text is parsed, never run) or as a mapping in JSON or YAML; written as calls.
"""

from __future__ import annotations

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange import trainer
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
from vram_advisor.exchange.trl import IRRELEVANT as TRL_IRRELEVANT
from vram_advisor.exchange.trl import NOT_MODELLED as TRL_NOT_MODELLED
from vram_advisor.exchange.trl import stored

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""What get_peft_model takes where target_modules is not given."""
METHOD: tuple[Row, ...] = (
    Row((True, None, None, None), ("qlora", "nf4_double")),
    Row((False, None, None, None), ("lora", None)),
    Row((False, True, None, None), ("qlora", "int8")),
    Row((False, None, True, None), ("full", None)),
    Row((False, None, None, True), ("dora", None)),
    Row((True, None, None, True), ("dora", "nf4_double")),
    Row((False, True, None, True), ("dora", "int8")),
    Row((True, None, True, None), ("full", None)),
)
"""load_in_4bit, load_in_8bit, full_finetuning, use_dora; the 4-bit base has double quantization (models/_utils.py)."""
DTYPES: tuple[Row, ...] = (
    Row(("bfloat16",), ("bf16", "bf16")),
    Row(("float16",), ("fp16", "fp16")),
    Row((None,), ("bf16", "bf16")),
)
CHECKPOINTING: tuple[Row, ...] = (
    Row(("unsloth",), ("offload",)),
    Row((True,), ("full",)),
    Row((False,), ("none",)),
)
LOAD = (
    "model_name", "max_seq_length", "dtype", "load_in_4bit", "load_in_8bit", "full_finetuning",
    "attn_implementation",
)  # fmt: skip
"""Keywords of FastLanguageModel.from_pretrained."""
ADAPT = (
    "r",
    "target_modules",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "use_rslora",
    "use_dora",
    "use_gradient_checkpointing",
)
"""Keywords of FastLanguageModel.get_peft_model."""


def _prepare(document: Document) -> Prepared:
    values = dict(document)
    if values.get("use_gradient_checkpointing") in ("true", "True", "False", "false"):
        values["use_gradient_checkpointing"] = str(values["use_gradient_checkpointing"]).lower() == "true"
    return Prepared(values)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    if workload.method == "full":
        return {**document, "full_finetuning": True}
    return document


PROGRAM = Program(
    name="unsloth",
    title="Unsloth",
    source="unsloth 2026.10: models/loader.py from_pretrained, models/llama.py get_peft_model, models/rl.py",
    syntax="python",
    recipe="unsloth",
    marks=names(
        """
        model_name max_seq_length load_in_4bit use_gradient_checkpointing r target_modules full_finetuning
        finetune_language_layers use_rslora lora_alpha
        """
    ),
    rows=(
        Key(key="model_name", field="model"),
        Choice(
            keys=("load_in_4bit", "load_in_8bit", "full_finetuning", "use_dora", "dtype"),
            fields=("method", "quantization", "weights_dtype", "mixed_precision"),
            rows=stored(combined(METHOD, DTYPES)),
            defaults={"load_in_4bit": True},
            methods=TRAINING,
        ),
        Key(key="max_seq_length", field="sequence_length", default=2048, methods=TRAINING),
        Key(key="r", field="lora_r", default=16, methods=ADAPTERS),
        Key(key="target_modules", field="target_modules", default=ALL, methods=ADAPTERS),
        Key(key="lora_alpha", field="lora_alpha", default=16, methods=ADAPTERS),
        Key(key="lora_dropout", field="lora_dropout", default=0.0, methods=ADAPTERS),
        Key(key="modules_to_save", field="modules_to_save", methods=ADAPTERS),
        Key(key="use_rslora", field="use_rslora", methods=ADAPTERS),
        Choice(
            keys=("use_gradient_checkpointing",),
            fields=("gradient_checkpointing",),
            rows=CHECKPOINTING,
            defaults={"use_gradient_checkpointing": "unsloth"},
            methods=TRAINING,
        ),
        trainer.BATCH,
        trainer.ACCUMULATION,
        Choice(
            keys=("packing", "padding_free"),
            fields=("padding", "lengths"),
            rows=(
                Row((None, UNSET), ("none", "varied")),
                Row((True, UNSET), ("none", "equal")),
                Row((None, False), ("padded", "varied")),
                Row((None, True), ("none", "varied")),
                Row((True, True), ("none", "equal")),
            ),
            defaults={"padding_free": UNSET},
            methods=TRAINING,
        ),
        Choice(
            keys=("optim",),
            fields=("optimizer",),
            rows=(Row(("adamw_8bit",), ("adamw_bnb_8bit",)), *trainer.optimizers()),
            defaults={"optim": "adamw_8bit"},
            methods=TRAINING,
        ),
        Choice(
            keys=("attn_implementation",),
            fields=("attn_implementation",),
            rows=(
                Row(("sdpa",), ("sdpa",)),
                Row(("flash_attention_2",), ("flash_attention_2",)),
                Row(("eager",), ("eager",)),
                Row((None,), ("sdpa",)),
            ),
            methods=TRAINING,
        ),
    ),
    aliases={"batch_size": "per_device_train_batch_size", "max_length": "max_seq_length"},
    irrelevant=TRL_IRRELEVANT
    | names(
        """
        token device_map fix_tokenizer trust_remote_code revision use_exact_model_name random_state disable_log_stats
        bias init_lora_weights loftq_config temporary_location layers_pattern use_loftq max_lora_rank text_only
        tokenizer model train_dataset eval_dataset data_collator args formatting_func peft_config bf16 fp16 dataset
        finetune_language_layers finetune_attention_modules finetune_mlp_modules task_type model_max_length
        local_dataset format_type training_type gpu_memory_utilization load_in_16bit save_method quantization
        gradient_checkpointing processing_class callbacks
        """
    ),
    not_modelled=TRL_NOT_MODELLED
    | names(
        """
        layers_to_transform finetune_last_n_layers finetune_vision_layers rope_scaling resize_model_vocab
        offload_embedding float32_mixed_precision qat_scheme unsloth_tiled_mlp target_parameters offload_layers
        checkpoint_skip_layers max_grad_norm_zero
        """
    ),
    refused={
        "fast_inference": "vLLM beside the training is not modelled",
        "load_in_fp8": "training on an 8-bit float base is not modelled",
    },
    prepare=_prepare,
    finish=_finish,
    elsewhere={
        "expandable_segments": "the environment, PYTORCH_ALLOC_CONF=expandable_segments:True",
        "num_gpus": "torchrun --nproc_per_node",
    },
)
