"""TRL's configuration (``trl sft --config``) and the training arguments of transformers.

The keys are the fields of ScriptArguments, SFTConfig and ModelConfig. A file without any key of TRL is one of
TrainingArguments, and the recipe is then that of the plain Trainer.
"""

from __future__ import annotations

from dataclasses import replace

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange import trainer
from vram_advisor.exchange.deepspeed import named_file
from vram_advisor.exchange.keys import (
    ADAPTERS,
    TRAINING,
    Choice,
    Document,
    Key,
    Prepared,
    Program,
    Row,
    Settled,
    combined,
    names,
    processes,
)

METHOD: tuple[Row, ...] = (
    Row((None, None, None, None, None), ("full", None)),
    Row((True, None, None, None, None), ("lora", None)),
    Row((True, True, None, None, None), ("dora", None)),
    *(
        Row((True, dora, four, eight, kind), (method, name))
        for dora, method in ((None, "qlora"), (True, "dora"))
        for four, eight, kind, name in (
            (True, None, None, "nf4"),
            (True, None, True, "nf4_double"),
            (None, True, None, "int8"),
        )
    ),
)
"""use_peft, use_dora, load_in_4bit, load_in_8bit, use_bnb_nested_quant; method, storage of a quantised base."""
DTYPES: tuple[Row, ...] = (
    Row(("bfloat16", True, False), ("bf16", "bf16")),
    Row(("float16", False, True), ("fp16", "fp16")),
    Row(("float32", True, False), ("fp32", "bf16")),
    Row(("float32", False, True), ("fp32", "fp16")),
    Row(("bfloat16", False, False), ("bf16", "none")),
    Row(("float32", False, False), ("fp32", "none")),
    Row(("float16", False, False), ("fp16", "none")),
    Row(("auto", True, False), ("bf16", "bf16")),
    Row(("auto", False, False), ("bf16", "none")),
    Row(("auto", False, True), ("fp16", "fp16")),
)
"""dtype, bf16, fp16; dtype of the weights, autocast. auto is what the checkpoint has: 16 bits as a rule."""
QUANTISED = frozenset({"nf4", "nf4_double", "fp4", "fp4_double", "int8"})


def stored(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Rows of method, storage, dtype and autocast, where what is not quantised is stored in the dtype."""
    made = []
    for row in rows:
        method, storage, dtype, autocast = row.meant
        made.append(Row(row.written, (method, storage or dtype, dtype, autocast), row.also, row.read_only))
    return tuple(made)


PADDING: tuple[Row, ...] = (
    Row((None, None), ("padded", "varied")),
    Row((True, None), ("none", "equal")),
    Row((True, True), ("none", "equal")),
    Row((None, True), ("none", "varied")),
)
"""packing, padding_free."""
LOSS: tuple[Row, ...] = (Row((True,), ("liger",)), Row((None,), ("trl_fused_head",)))
TRL_ONLY = names(
    """
    max_length max_seq_length packing packing_strategy padding_free use_peft lora_r dataset_name dtype torch_dtype
    load_in_4bit load_in_8bit model_name_or_path beta completion_only_loss assistant_only_loss
    """
)


def _prepare(document: Document) -> Prepared:
    prepared = named_file(document)
    values = dict(prepared.values)
    if values.get("fp16") in (True, "true", "True") and "bf16" not in values:
        values["bf16"] = False
    return Prepared(values, prepared.origin)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    if workload.micro_batch_size == 1 and document.get("padding_free"):
        # One sequence is not padded anyway, and padding_free asks for flash attention.
        return {key: value for key, value in document.items() if key != "padding_free"}
    return document


def settle(workload: Workload, plan: Plan) -> Settled:
    """A batch of one sequence is as long as it: nothing is padded, and transformers leaves the mask out."""
    if workload.micro_batch_size == 1 and workload.padding == "padded" and workload.lengths == "varied":
        workload = replace(workload, padding="none")
    return processes(workload, plan)


def _head(workload: Workload, plan: Plan) -> tuple[str, ...]:
    command = {"dpo": "dpo", "kto": "kto"}.get(workload.objective, "sft")
    many = f" --num_processes {plan.num_gpus}" if plan.num_gpus > 1 else ""
    return (f"trl {command} --config FILE{many}", "dataset_name is an example: put your own in its place")


MODEL = Key(key="model_name_or_path", field="model")
ATTENTION = Choice(
    keys=("attn_implementation",),
    fields=("attn_implementation",),
    rows=tuple(Row((name,), (name,)) for name in ("sdpa", "flash_attention_2", "eager"))
    + (Row((None,), ("sdpa",)), Row(("flash_attention_3",), ("flash_attention_2",))),
    methods=TRAINING,
)
OPTIMIZER = Choice(
    keys=("optim",),
    fields=("optimizer",),
    rows=trainer.optimizers(),
    defaults={"optim": "adamw_torch_fused"},
    methods=TRAINING,
)
IRRELEVANT = trainer.IRRELEVANT | names(
    """
    model_revision trust_remote_code dataset_name dataset_config dataset_train_split dataset_test_split
    dataset_streaming dataset_text_field dataset_kwargs dataset_num_proc dataset_mixture ignore_bias_buffers
    chat_template_path eos_token pad_token truncation_mode shuffle_dataset packing_strategy pad_to_multiple_of
    eval_packing completion_only_loss assistant_only_loss lora_task_type config beta label_smoothing loss_weights
    desirable_weight undesirable_weight lora_alpha use_rslora bnb_4bit_quant_storage disable_dropout ld_alpha
    f_divergence_type router_aux_loss_coef datasets streaming gradient_accumulation_kwargs bnb_4bit_quant_type
    loss_type
    """
)
NOT_MODELLED = trainer.NOT_MODELLED | frozenset(
    ["model_init_kwargs", "lora_target_parameters", "sync_ref_model", "precompute_ref_log_probs", "use_weighting"]
)

PROGRAM = Program(
    name="trl",
    title="TRL",
    source="trl 1.16: trainer/sft_config.py, trainer/model_config.py, trainer/base_config.py, scripts/utils.py",
    syntax="yaml",
    recipe="trl",
    method="full",
    marks=names(
        """
        per_device_train_batch_size model_name_or_path use_peft max_length lora_r lora_target_modules dataset_name
        optim learning_rate output_dir num_train_epochs
        """
    ),
    aliases={"torch_dtype": "dtype", "max_seq_length": "max_length", "evaluation_strategy": "eval_strategy",
             "activation_checkpointing": "gradient_checkpointing"},
    rows=(
        MODEL,
        Choice(
            keys=("use_peft", "use_dora", "load_in_4bit", "load_in_8bit", "use_bnb_nested_quant", "dtype", "bf16", "fp16"),
            fields=("method", "quantization", "weights_dtype", "mixed_precision"),
            rows=stored(combined(METHOD, DTYPES)),
            defaults={"dtype": "float32", "bf16": True},
            methods=TRAINING,
        ),
        Key(key="max_length", field="sequence_length", default=1024, methods=TRAINING),
        trainer.BATCH,
        trainer.ACCUMULATION,
        Choice(keys=("packing", "padding_free"), fields=("padding", "lengths"), rows=PADDING, methods=TRAINING),
        Key(key="lora_r", field="lora_r", default=16, methods=ADAPTERS),
        Key(key="lora_alpha", field="lora_alpha", default=32, methods=ADAPTERS),
        Key(key="lora_dropout", field="lora_dropout", default=0.05, methods=ADAPTERS),
        Key(key="lora_target_modules", field="target_modules", default=("q_proj", "v_proj"), methods=ADAPTERS),
        Key(key="lora_modules_to_save", field="modules_to_save", methods=ADAPTERS),
        Key(key="use_rslora", field="use_rslora", methods=ADAPTERS),
        OPTIMIZER,
        trainer.checkpointing(default=True, offload="activation_offloading"),
        ATTENTION,
        Choice(keys=("use_liger_kernel",), fields=("loss",), rows=LOSS, methods=TRAINING),
        trainer.sharded(),
    ),
    irrelevant=IRRELEVANT,
    not_modelled=NOT_MODELLED,
    prepare=_prepare,
    finish=_finish,
    settle=settle,
    head=_head,
    constants={"dataset_name": "trl-lib/Capybara", "output_dir": "output"},
    elsewhere={
        "num_gpus": "accelerate launch --num_processes",
        "expandable_segments": "the environment, PYTORCH_ALLOC_CONF=expandable_segments:True",
        "objective": "the command, trl dpo or trl kto",
    },
)  # fmt: skip

TRANSFORMERS = Program(
    name="transformers",
    title="transformers TrainingArguments",
    source="transformers 5.23: training_args.py",
    syntax="yaml",
    recipe="transformers-peft",
    method="full",
    marks=PROGRAM.marks - TRL_ONLY,
    aliases=PROGRAM.aliases,
    rows=(
        MODEL,
        Choice(
            keys=("bf16", "fp16"),
            fields=("mixed_precision",),
            rows=(Row((True, None), ("bf16",)), Row((None, True), ("fp16",)), Row((None, None), ("none",))),
            methods=TRAINING,
        ),
        trainer.BATCH,
        trainer.ACCUMULATION,
        OPTIMIZER,
        trainer.checkpointing(default=False),
        Choice(
            keys=("use_liger_kernel",),
            fields=("loss",),
            rows=(Row((True,), ("liger",)), Row((None,), ("standard",))),
            methods=TRAINING,
        ),
        trainer.sharded(),
    ),
    irrelevant=IRRELEVANT,
    not_modelled=NOT_MODELLED,
    prepare=named_file,
    constants={"output_dir": "output"},
    elsewhere=PROGRAM.elsewhere,
)
