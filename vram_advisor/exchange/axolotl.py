"""Axolotl's YAML.

``attn_implementation`` is the present spelling of attention; the older flags are read. Losses other than the plain one
come from plug-ins that the file names.
"""

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
    Row((True, UNSET), ("none", "equal")),
    Row((None, UNSET), ("padded", "varied")),
    Row((None, True), ("padded", "equal")),
    Row((True, False), ("none", "varied")),
    Row((True, True), ("none", "equal")),
    Row((None, False), ("padded", "varied")),
)
"""sample_packing, pad_to_sequence_len."""
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
NESTED = "bnb_config_kwargs.bnb_4bit_use_double_quant"


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
    return (f"axolotl train FILE{many}", "datasets and learning_rate are examples: put your own in their place")


PROGRAM = Program(
    name="axolotl",
    title="Axolotl",
    source="axolotl 0.19: utils/schemas/config.py, model.py, peft.py, training.py, fsdp.py, validation.py",
    syntax="yaml",
    recipe="axolotl",
    method="full",
    marks=frozenset(
        ["base_model", "sequence_len", "micro_batch_size", "adapter", "datasets", "sample_packing", "lora_target_linear", "num_epochs", "val_set_size", "dataset_prepared_path", "flash_attention", "pad_to_sequence_len"]
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
        Choice(
            keys=("rl",),
            fields=("objective",),
            rows=(
                Row((None,), ("sft",)),
                *(Row((name,), (name,)) for name in ("dpo", "orpo", "kto")),
                Row(("ipo",), ("dpo",)),
            ),
            methods=TRAINING,
        ),
        Key(key="sequence_len", field="sequence_length", default=512, methods=TRAINING),
        Key(key="micro_batch_size", field="micro_batch_size", default=1, methods=TRAINING),
        Key(key="gradient_accumulation_steps", field="gradient_accumulation_steps", default=1, methods=TRAINING),
        Choice(
            keys=("sample_packing", "pad_to_sequence_len"),
            fields=("padding", "lengths"),
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
                ("muon", "muon"), ("ao_adamw_8bit", "adamw_torch_8bit"), ("ao_adamw_4bit", "adamw_torch_4bit")
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
    irrelevant=frozenset(
        ["base_model_config", "cls_model_config", "model_type", "tokenizer_config", "tokenizer_type", "tokenizer_use_fast", "tokenizer_legacy", "tokenizer_use_mistral_common", "tokenizer_save_jinja_files", "processor_type", "processor_kwargs", "trust_remote_code", "revision_of_model", "is_falcon_derived_model", "is_llama_derived_model", "is_mistral_derived_model", "is_qwen_derived_model", "strict", "datasets", "test_datasets", "dataset_prepared_path", "dataset_processes", "dataset_num_proc", "dataset_shard_num", "dataset_shard_idx", "dataset_exact_deduplication", "dataset_keep_in_memory", "shuffle_merged_datasets", "shuffle_before_merging_datasets", "skip_prepare_dataset", "push_dataset_to_hub", "hf_use_auth_token", "pretraining_dataset", "val_set_size", "output_dir", "hub_model_id", "hub_strategy", "hub_revision", "save_safetensors", "lora_model_dir", "lora_alpha", "lora_fan_in_fan_out", "lora_on_cpu", "merge_lora", "merge_method", "loraplus_lr_ratio", "loraplus_lr_embedding", "peft_init_lora_weights", "learning_rate", "embedding_lr", "embedding_lr_scale", "weight_decay", "optim_args", "optim_target_modules", "lr_scheduler", "lr_scheduler_kwargs", "lr_quadratic_warmup", "cosine_min_lr_ratio", "cosine_constant_lr_ratio", "lr_div_factor", "lr_groups", "adam_epsilon", "adam_epsilon2", "adam_beta1", "adam_beta2", "adam_beta3", "max_grad_norm", "num_epochs", "max_steps", "warmup_steps", "warmup_ratio", "train_on_inputs", "group_by_length", "dataloader_pin_memory", "dataloader_num_workers", "dataloader_prefetch_factor", "dataloader_drop_last", "accelerator_config", "remove_unused_columns", "device", "device_map", "world_size", "local_rank", "ddp", "ddp_timeout", "ddp_broadcast_buffers", "ddp_find_unused_parameters", "seed", "eval_steps", "evals_per_epoch", "eval_strategy", "eval_batch_size", "eval_sample_packing", "eval_table_size", "eval_max_new_tokens", "eval_causal_lm_metrics", "do_causal_lm_eval", "do_bench_eval", "bench_dataset", "bench_split", "save_steps", "saves_per_epoch", "save_strategy", "save_total_limit", "save_first_step", "save_only_model", "logging_steps", "early_stopping_patience", "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "resume_from_checkpoint", "auto_resume_from_checkpoints", "use_tensorboard", "use_wandb", "wandb_name", "wandb_run_id", "wandb_mode", "wandb_project", "wandb_entity", "wandb_watch", "wandb_log_model", "use_mlflow", "mlflow_tracking_uri", "mlflow_experiment_name", "mlflow_run_name", "hf_mlflow_log_artifacts", "use_comet", "comet_api_key", "comet_workspace", "comet_project_name", "use_trackio", "trackio_project_name", "trackio_run_name", "trackio_space_id", "gradio_title", "gradio_share", "chat_template", "chat_template_jinja", "chat_template_kwargs", "default_system_message", "eot_tokens", "special_tokens", "loss_watchdog_threshold", "loss_watchdog_patience", "gc_steps", "gc_collect_steps", "torch_empty_cache_steps", "tf32", "sample_packing_group_size", "sample_packing_bin_size", "sample_packing_sequentially", "sample_packing_eff_est", "sample_packing_mp_start_method", "multipack_real_batches", "min_sample_len", "max_prompt_len", "excess_length_strategy", "streaming", "plugins", "liger_rope", "liger_rms_norm", "liger_layer_norm", "liger_glu_activation", "liger_swiglu", "chunked_cross_entropy_num_chunks", "rl_beta", "orpo_alpha", "kto_desirable_weight", "kto_undesirable_weight", "simpo_gamma", "cpo_alpha", "dpo_label_smoothing", "dpo_use_weighting", "include_tokens_per_second", "include_tkps", "profiler_steps", "debug", "total_num_tokens", "total_supervised_tokens", "fix_untrained_tokens", "low_cpu_mem_usage", "trl", "vllm", "xformers_attention", "s2_attention", "flash_attn_cross_entropy", "flash_attn_rms_norm", "local_files_only", "generate_samples", "num_generation_samples", "bf16_full_eval", "axolotl_config_path", "dataset_path", "fsdp_config.fsdp_version", "fsdp_config.version", "fsdp_config.auto_wrap_policy", "fsdp_config.state_dict_type", "fsdp_config.final_state_dict_type", "fsdp_config.transformer_layer_cls_to_wrap", "fsdp_config.sync_module_states", "fsdp_config.use_orig_params", "fsdp_config.cpu_ram_efficient_loading", "fsdp_config.cpu_offload_pin_memory", "fsdp_config.min_num_params", "fsdp", "fsdp_final_state_dict_type", "flash_attention", "sdp_attention", "eager_attention", "lora_target_linear", "peft_ensure_weight_tying", "bnb_config_kwargs.bnb_4bit_quant_type", "bnb_config_kwargs.llm_int8_has_fp16_weight", "bnb_config_kwargs.bnb_4bit_use_double_quant"]
    )
    | deepspeed.below("deepspeed.", deepspeed.IRRELEVANT),
    not_modelled=frozenset(
        ["lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel", "tiled_mlp", "torch_compile", "qat", "quantization", "peft_layers_to_transform", "peft_layers_pattern", "lora_rank_pattern", "peft_layer_replication", "peft_trainable_token_indices", "lora_target_parameters", "unfrozen_parameters", "peft_autocast_adapter_dtype", "embeddings_skip_upcast", "resize_token_embeddings_to_32x", "tokens", "added_tokens_overrides", "shrink_embeddings", "selective_checkpointing", "activation_offloading", "layer_offloading", "sequence_parallel_degree", "context_parallel_size", "tensor_parallel_size", "dp_shard_size", "dp_replicate_size", "fp8", "fp32_norms", "use_kernels", "experts_implementation", "quantize_moe_experts", "neftune_noise_alpha", "auto_find_batch_size", "batch_flattening", "flex_attention", "sage_attention", "use_pose", "bnb_config_kwargs", "gpu_memory_limit", "max_memory", "dpo_use_liger_kernel", "precompute_ref_log_probs", "fsdp_config.activation_checkpointing", "fsdp_config.mixed_precision_policy", "eval_sequence_len", "liger_cross_entropy", "liger_fused_linear_ce", "ddp_bucket_cap_mb", "freeze_mm_modules", "deepcompile", "lora_mlp_kernels"]
    )
    | deepspeed.below("deepspeed.", deepspeed.NOT_MODELLED),
    refused={
        "relora": "merging adapters while training is not modelled",
        "reward_model": "training a reward model is not modelled",
        "process_reward_model": "training a reward model is not modelled",
        "lisa_n_layers": "training some layers at a time is not modelled",
        "gptq": "training on a GPTQ base with Axolotl is not modelled",
        "use_ray": "a run over several machines by Ray is not modelled",
    },
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
