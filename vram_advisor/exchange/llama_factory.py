"""LLaMA-Factory's YAML: the fields of its argument classes and of TrainingArguments side by side."""

from __future__ import annotations

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange import deepspeed, trainer
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

_NESTED: tuple[Row, ...] = (
    Row((4, UNSET, None), ("nf4_double",)),
    Row((4, False, None), ("nf4",)),
    Row((8, UNSET, None), ("int8",)),
    Row((4, UNSET, "fp4"), ("fp4_double",)),
    Row((4, False, "fp4"), ("fp4",)),
    Row((4, True, None), ("nf4_double",)),
    Row((4, UNSET, "nf4"), ("nf4_double",)),
    Row((4, True, "nf4"), ("nf4_double",)),
    Row((4, False, "nf4"), ("nf4",)),
    Row((4, True, "fp4"), ("fp4_double",)),
    Row((8, True, None), ("int8",)),
    Row((8, False, None), ("int8",)),
)
"""quantization_bit, double_quantization, quantization_type; storage."""
METHOD: tuple[Row, ...] = (
    Row(("full", None, None, UNSET, None), ("full", None)),
    Row(("lora", None, None, UNSET, None), ("lora", None)),
    Row(("lora", True, None, UNSET, None), ("dora", None)),
    *(Row(("lora", None, *row.written), ("qlora", *row.meant)) for row in _NESTED),
    *(Row(("lora", True, *row.written), ("dora", *row.meant)) for row in _NESTED),
)
"""finetuning_type, use_dora and the three of quantization; method, storage of a quantised base."""
ADAPTER_DTYPES: tuple[Row, ...] = (
    Row((True, None, None), ("bf16", "bf16")),
    Row((None, True, None), ("fp16", "fp16")),
    Row((None, None, True), ("bf16", "none")),
)
FULL_DTYPES: tuple[Row, ...] = (
    Row((True, None, None), ("fp32", "bf16")),
    Row((None, True, None), ("fp32", "fp16")),
    Row((None, None, True), ("bf16", "none")),
    Row((None, None, None), ("fp32", "none")),
)
"""bf16, fp16, pure_bf16; dtype of the weights, autocast. Trained weights are fp32 unless pure_bf16 (model/adapter.py);
the frozen base has the compute dtype."""
OBJECTIVE: tuple[Row, ...] = (
    Row(("sft", "sigmoid"), ("sft",)),
    Row(("dpo", "sigmoid"), ("dpo",)),
    Row(("dpo", "orpo"), ("orpo",)),
    Row(("kto", "sigmoid"), ("kto",)),
    Row(("pt", "sigmoid"), ("sft",)),
    Row(("dpo", "ipo"), ("dpo",)),
    Row(("dpo", "hinge"), ("dpo",)),
)
PADDING: tuple[Row, ...] = (
    Row((UNSET, None), ("padded", "varied")),
    Row((True, None), ("none", "equal")),
    Row((UNSET, True), ("padded", "equal")),
    Row((False, None), ("padded", "varied")),
    Row((True, True), ("padded", "equal")),
    Row((False, True), ("padded", "equal")),
)
"""packing, neat_packing; the second keeps examples of one row apart by a mask."""
CHECKPOINTING: tuple[Row, ...] = (
    Row((None, None, True), ("full", True)),
    Row((None, None, False), ("full", False)),
    Row((None, True, True), ("offload", True)),
    Row((True, None, True), ("none", None)),
    Row((True, None, False), ("none", None)),
    Row((True, True, True), ("none", None)),
    Row((None, True, False), ("offload", True)),
)
"""disable_gradient_checkpointing, use_unsloth_gc, use_reentrant_gc (model/model_utils/checkpointing.py)."""
OPTIMIZERS: tuple[Row, ...] = (
    *(Row((*row.written, None, None), row.meant, row.also, row.read_only) for row in trainer.optimizers() if not str(row.written[0]).startswith(trainer.PROJECTED)),
    Row(("adamw_torch_fused", True, None), ("adam_mini",)),
    Row(("adamw_torch_fused", None, True), ("muon",)),
    Row(("adamw_torch", True, None), ("adam_mini",)),
    Row(("adamw_torch", None, True), ("muon",)),
)  # fmt: skip
"""optim, use_adam_mini, use_muon."""


def _method_rows() -> tuple[Row, ...]:
    rows = combined(METHOD[:1], FULL_DTYPES) + combined(METHOD[1:], ADAPTER_DTYPES)
    fp32 = combined(METHOD[1:3], (Row((None, None, None), ("fp32", "none")),))
    return stored(rows + fp32)


def _prepare(document: Document) -> Prepared:
    prepared = deepspeed.named_file(document)
    values = dict(prepared.values)
    origin = dict(prepared.origin)
    if values.get("stage") == "pt" and "packing" not in values:
        values["packing"] = True
    rank = values.get("lora_rank", 8)
    if "lora_alpha" not in values and isinstance(rank, int):
        # hparams/finetuning_args.py: twice the rank.
        values["lora_alpha"] = 2 * rank
        origin["lora_alpha"] = "lora_rank"
    values["finetuning_type"] = values.get("finetuning_type", "lora")
    return Prepared(values, origin)


def _head(workload: Workload, plan: Plan) -> tuple[str, ...]:
    torchrun = "FORCE_TORCHRUN=1 " if plan.num_gpus > 1 else ""
    return (
        f"{torchrun}llamafactory-cli train FILE",
        "dataset and template are examples: put your own in their place",
    )


PROGRAM = Program(
    name="llama-factory",
    title="LLaMA-Factory",
    source="llamafactory 0.9.5: hparams/model_args.py, finetuning_args.py, data_args.py, training_args.py, parser.py",
    syntax="yaml",
    recipe="llama-factory",
    marks=names(
        """
        stage finetuning_type cutoff_len template lora_rank lora_target dataset dataset_dir quantization_bit
        disable_gradient_checkpointing flash_attn pure_bf16 do_train overwrite_cache
        """
    ),
    rows=(
        Key(key="model_name_or_path", field="model"),
        Choice(
            keys=(
                "finetuning_type",
                "use_dora",
                "quantization_bit",
                "double_quantization",
                "quantization_type",
                "bf16",
                "fp16",
                "pure_bf16",
            ),
            fields=("method", "quantization", "weights_dtype", "mixed_precision"),
            rows=_method_rows(),
            defaults={"finetuning_type": "lora", "double_quantization": UNSET},
            methods=TRAINING,
        ),
        Choice(
            keys=("stage", "pref_loss"),
            fields=("objective",),
            rows=OBJECTIVE,
            defaults={"stage": "sft", "pref_loss": "sigmoid"},
            methods=TRAINING,
        ),
        Key(key="cutoff_len", field="sequence_length", default=2048, methods=TRAINING),
        trainer.BATCH,
        trainer.ACCUMULATION,
        Choice(
            keys=("packing", "neat_packing"),
            fields=("padding", "lengths"),
            rows=PADDING,
            defaults={"packing": UNSET},
            methods=TRAINING,
        ),
        Key(key="lora_rank", field="lora_r", default=8, methods=ADAPTERS),
        Key(key="lora_alpha", field="lora_alpha", default=16, methods=ADAPTERS),
        Key(key="lora_dropout", field="lora_dropout", default=0.0, methods=ADAPTERS),
        Key(
            key="lora_target",
            field="target_modules",
            default=("all-linear",),
            methods=ADAPTERS,
            separator=",",
            words=(("all", ("all-linear",)),),
        ),
        Key(key="additional_target", field="modules_to_save", methods=ADAPTERS, separator=","),
        Key(key="use_rslora", field="use_rslora", methods=ADAPTERS),
        Choice(
            keys=("optim", "use_adam_mini", "use_muon"),
            fields=("optimizer",),
            rows=OPTIMIZERS,
            defaults={"optim": "adamw_torch_fused"},
            methods=TRAINING,
        ),
        Choice(
            keys=("disable_gradient_checkpointing", "use_unsloth_gc", "use_reentrant_gc"),
            fields=("gradient_checkpointing", "use_reentrant"),
            rows=CHECKPOINTING,
            defaults={"use_reentrant_gc": True},
            methods=TRAINING,
        ),
        Choice(
            keys=("flash_attn",),
            fields=("attn_implementation",),
            rows=(
                Row(("sdpa",), ("sdpa",)),
                Row(("fa2",), ("flash_attention_2",)),
                Row(("disabled",), ("eager",)),
                Row(("auto",), ("sdpa",)),
                Row(("fa3",), ("flash_attention_2",)),
            ),
            defaults={"flash_attn": "auto"},
            methods=TRAINING,
        ),
        Choice(
            keys=("enable_liger_kernel",),
            fields=("loss",),
            rows=(Row((None,), ("standard",)), Row((True,), ("liger",))),
            methods=TRAINING,
        ),
        trainer.sharded((*trainer.OLD_FSDP, *trainer.FSDP)),
    ),
    irrelevant=trainer.IRRELEVANT
    | names(
        """
        template dataset eval_dataset dataset_dir media_dir train_on_prompt mask_history streaming buffer_size
        mix_strategy interleave_probs overwrite_cache preprocessing_batch_size preprocessing_num_workers max_samples
        eval_num_beams ignore_pad_token_for_loss val_size eval_on_each_dataset tool_format default_system
        enable_thinking preserve_thinking tokenized_path data_shared_file_system trust_remote_code cache_dir
        use_fast_tokenizer split_special_tokens model_revision low_cpu_mem_usage init_special_tokens hf_hub_token
        ms_hub_token om_hub_token print_param_status lora_alpha loraplus_lr_ratio loraplus_lr_embedding pissa_init
        pissa_iter pissa_convert create_new_adapter adapter_name_or_path adapter_folder pref_beta pref_ftx
        dpo_label_smoothing kto_chosen_weight kto_rejected_weight simpo_gamma plot_loss compute_accuracy
        disable_shuffling early_stopping_steps include_effective_tokens_per_second use_swanlab swanlab_project
        swanlab_workspace swanlab_run_name swanlab_mode swanlab_api_key predict_with_generate generation_max_length
        generation_num_beams export_dir export_size export_device infer_backend infer_dtype vllm_maxlen vllm_gpu_util
        vllm_enforce_eager use_kv_cache offload_folder quantization_method freeze_vision_tower
        freeze_multi_modal_projector ray_run_name ray_storage_path ray_num_workers max_new_tokens temperature top_p
        top_k do_sample image_max_pixels image_min_pixels video_max_pixels
        """
    ),
    not_modelled=trainer.NOT_MODELLED
    | names(
        """
        upcast_layernorm upcast_lmhead_output shift_attn resize_vocab add_tokens add_special_tokens rope_scaling
        moe_aux_loss_coef use_asft_loss use_dft_loss use_eaft_loss ref_model ref_model_adapters
        ref_model_quantization_bit quantization_device_map fp8 device_map freeze_language_model use_v1_kernels
        """
    ),
    refused={
        "use_unsloth": "Unsloth inside LLaMA-Factory is not modelled; use Unsloth's own arguments",
        "use_galore": "GaLore of another rank than 128 is not modelled",
        "use_apollo": "APOLLO of another rank than 256 is not modelled",
        "use_badam": "BAdam is not modelled",
        "use_llama_pro": "training some layers is not modelled",
        "mixture_of_depths": "mixture of depths is not modelled",
        "use_mca": "Megatron is not modelled",
        "use_kt": "KTransformers is not modelled",
        "use_hyper_parallel": "hyper parallel runs are not modelled",
    },
    prepare=_prepare,
    head=_head,
    constants={
        "do_train": True,
        "dataset": "alpaca_en_demo",
        "template": "default",
        "output_dir": "saves/run",
    },
    elsewhere={
        "num_gpus": "the environment, CUDA_VISIBLE_DEVICES or NPROC_PER_NODE",
        "expandable_segments": "the environment, PYTORCH_ALLOC_CONF=expandable_segments:True",
    },
)
