"""Keys that every program on the Trainer of transformers has, and what they mean.

Read in transformers 5.23 ``training_args.py``; ``OptimizerNames`` for the optimizers.
"""

from vram_advisor.exchange import deepspeed
from vram_advisor.exchange.keys import TRAINING, UNSET, Choice, Key, Row, names

SAME_NAME = (
    "adamw_torch_fused", "adamw_torch", "adamw_bnb_8bit", "paged_adamw_32bit", "paged_adamw_8bit", "sgd", "adafactor",
    "lion_32bit", "lion_8bit", "paged_lion_8bit", "galore_adamw", "galore_adamw_8bit", "galore_adamw_layerwise",
    "apollo_adamw", "adamw_torch_8bit", "adamw_torch_4bit",
)  # fmt: skip
"""Optimizers whose name in the Trainer is the name here."""
OTHER_NAMES = (
    ("adamw_8bit", "adamw_bnb_8bit"),
    ("paged_adamw", "paged_adamw_32bit"),
    ("lion", "lion_32bit"),
)
PROJECTED = ("galore", "apollo")
"""Beginnings of optimizers that want to know which layers they project."""


def optimizers(*more: tuple[str, str], linear: str = "all-linear") -> tuple[Row, ...]:
    """Rows of optimizers; ``more`` are those of one program: written, meant; ``linear`` is its name for all linear layers."""
    rows = [
        Row((name,), (name,), {"optim_target_modules": linear} if name.startswith(PROJECTED) else {})
        for name in SAME_NAME
    ]
    return (
        *rows,
        *(Row((wrote,), (meaning,)) for wrote, meaning in (*more, *OTHER_NAMES)),
        Row(("adamw_hf",), ("adamw_hf",), read_only=True),
    )


BATCH = Key(key="per_device_train_batch_size", field="micro_batch_size", default=8, methods=TRAINING)
ACCUMULATION = Key(key="gradient_accumulation_steps", field="gradient_accumulation_steps", methods=TRAINING)
REENTRANT = "gradient_checkpointing_kwargs.use_reentrant"
_VERSION = {"fsdp_config.version": 2}
FSDP: tuple[Row, ...] = (
    Row((True, True, None), ("fsdp_full", "none"), _VERSION),
    Row((True, False, None), ("fsdp_grad_op", "none"), _VERSION),
    Row((True, True, True), ("fsdp_full", "parameters"), _VERSION),
    Row((True, False, True), ("fsdp_grad_op", "parameters"), _VERSION),
    Row((True, UNSET, None), ("fsdp_full", "none")),
    Row((True, UNSET, True), ("fsdp_full", "parameters")),
)
"""fsdp, whether weights are freed after the forward pass, offload, as transformers 5 has them."""
OLD_FSDP: tuple[Row, ...] = (
    Row(("full_shard auto_wrap", UNSET, None), ("fsdp_full", "none")),
    Row(("shard_grad_op auto_wrap", UNSET, None), ("fsdp_grad_op", "none")),
    Row(("full_shard auto_wrap offload", UNSET, None), ("fsdp_full", "parameters")),
    Row(("shard_grad_op auto_wrap offload", UNSET, None), ("fsdp_grad_op", "parameters")),
    Row(("full_shard offload auto_wrap", UNSET, None), ("fsdp_full", "parameters")),
    Row(("full_shard offload", UNSET, None), ("fsdp_full", "parameters")),
    Row(("full_shard", UNSET, None), ("fsdp_full", "none")),
    Row(("shard_grad_op", UNSET, None), ("fsdp_grad_op", "none")),
)
"""The same as transformers 4 writes it."""


def sharded(fsdp: tuple[Row, ...] = (*FSDP, *OLD_FSDP)) -> Choice:
    """DeepSpeed or FSDP, or neither."""
    zero_keys, zero = deepspeed.inside("deepspeed.", deepspeed.ZERO)
    keys = ("fsdp", "fsdp_config.reshard_after_forward", "fsdp_config.cpu_offload")
    nothing: tuple[None, ...] = (None, None, None)
    return Choice(
        keys=(*zero_keys, *keys),
        fields=("sharding", "offload"),
        rows=(
            Row((*nothing, None, UNSET, None), ("none", "none")),
            *(Row((*row.written, None, UNSET, None), row.meant) for row in zero),
            *(Row((*nothing, *row.written), row.meant, row.also) for row in fsdp),
        ),
        defaults={"fsdp_config.reshard_after_forward": UNSET},
        methods=TRAINING,
    )


def checkpointing(*, default: bool, offload: str | None = None) -> Choice:
    """Gradient checkpointing of the Trainer; ``offload`` is a key that sends what is kept to the host."""
    keys: tuple[str, ...] = ("gradient_checkpointing", REENTRANT)
    rows: tuple[Row, ...] = (
        Row((True, UNSET, None), ("full", None)),
        Row((True, True, None), ("full", True)),
        Row((True, False, None), ("full", False)),
        Row((False, UNSET, None), ("none", None)),
        Row((False, True, None), ("none", None)),
        Row((False, False, None), ("none", None)),
    )
    if offload is None:
        rows = tuple(Row(row.written[:2], row.meant) for row in rows)
    else:
        keys = (*keys, offload)
        rows += (
            Row((True, UNSET, True), ("offload", None)),
            Row((True, True, True), ("offload", True)),
            Row((True, False, True), ("offload", False)),
        )
    return Choice(
        keys=keys,
        fields=("gradient_checkpointing", "use_reentrant"),
        rows=rows,
        defaults={REENTRANT: UNSET, "gradient_checkpointing": default},
        methods=TRAINING,
    )


IRRELEVANT = names(
    """
    output_dir overwrite_output_dir num_train_epochs max_steps learning_rate lr_scheduler_type lr_scheduler_kwargs
    warmup_steps warmup_ratio optim_args optim_target_modules weight_decay adam_beta1 adam_beta2 adam_epsilon
    max_grad_norm average_tokens_across_devices label_smoothing_factor tf32 logging_strategy logging_steps logging_dir
    logging_first_step log_on_each_node logging_nan_inf_filter include_num_input_tokens_seen log_level
    log_level_replica disable_tqdm report_to run_name project trackio_space_id trackio_bucket_id
    trackio_static_space_id eval_strategy evaluation_strategy eval_steps eval_delay eval_on_start
    eval_do_concat_batches eval_use_gather_object include_for_metrics include_inputs_for_metrics batch_eval_metrics
    save_only_model save_strategy save_steps save_on_each_node save_total_limit save_safetensors enable_jit_checkpoint
    push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision
    load_best_model_at_end metric_for_best_model greater_is_better ignore_data_skip
    restore_callback_states_from_checkpoint full_determinism seed data_seed dataloader_drop_last
    dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor
    dataloader_multiprocessing_context dataloader_in_order remove_unused_columns label_names group_by_length
    train_sampling_strategy length_column_name ddp_find_unused_parameters ddp_broadcast_buffers ddp_static_graph
    ddp_backend ddp_timeout debug skip_memory_metrics do_train do_eval do_predict resume_from_checkpoint local_rank
    accelerator_config torch_empty_cache_steps bf16_full_eval fp16_full_eval per_device_eval_batch_size
    eval_accumulation_steps prediction_loss_only use_cache no_cuda use_cpu half_precision_backend past_index
    fsdp_config.version fsdp_config.transformer_layer_cls_to_wrap fsdp_config.auto_wrap_policy
    fsdp_config.state_dict_type fsdp_config.backward_prefetch fsdp_config.forward_prefetch fsdp_config.use_orig_params
    fsdp_config.sync_module_states fsdp_config.cpu_ram_efficient_loading fsdp_config.min_num_params
    liger_kernel_config
    """
) | deepspeed.below("deepspeed.", deepspeed.IRRELEVANT | {"gradient_accumulation_steps", "train_micro_batch_size_per_gpu", "bf16", "fp16"})  # fmt: skip
"""Keys of training arguments that change nothing that the estimate counts."""
NOT_MODELLED = frozenset(
    {
        "torch_compile",
        "torch_compile_backend",
        "torch_compile_mode",
        "auto_find_batch_size",
        "ddp_bucket_cap_mb",
        "parallelism_config",
        "neftune_noise_alpha",
        "fsdp_config",
    }
) | deepspeed.below("deepspeed.", deepspeed.NOT_MODELLED)
