"""Keys of Axolotl that the estimate does not use: those without effect on memory, and those whose effect is not modelled."""

from vram_advisor.exchange import deepspeed
from vram_advisor.exchange.keys import names

IRRELEVANT = names(
    """
    base_model_config cls_model_config model_type tokenizer_config tokenizer_type tokenizer_use_fast
    tokenizer_legacy tokenizer_use_mistral_common tokenizer_save_jinja_files processor_type processor_kwargs
    trust_remote_code revision_of_model is_falcon_derived_model is_llama_derived_model is_mistral_derived_model
    is_qwen_derived_model strict datasets test_datasets dataset_prepared_path dataset_processes dataset_num_proc
    dataset_shard_num dataset_shard_idx dataset_exact_deduplication dataset_keep_in_memory shuffle_merged_datasets
    shuffle_before_merging_datasets skip_prepare_dataset push_dataset_to_hub hf_use_auth_token pretraining_dataset
    val_set_size output_dir hub_model_id hub_strategy hub_revision save_safetensors lora_model_dir lora_alpha
    lora_fan_in_fan_out lora_on_cpu merge_lora merge_method loraplus_lr_ratio loraplus_lr_embedding
    peft_init_lora_weights learning_rate embedding_lr embedding_lr_scale weight_decay optim_args
    optim_target_modules lr_scheduler lr_scheduler_kwargs lr_quadratic_warmup cosine_min_lr_ratio
    cosine_constant_lr_ratio lr_div_factor lr_groups adam_epsilon adam_epsilon2 adam_beta1 adam_beta2 adam_beta3
    max_grad_norm num_epochs max_steps warmup_steps warmup_ratio train_on_inputs group_by_length
    dataloader_pin_memory dataloader_num_workers dataloader_prefetch_factor dataloader_drop_last
    accelerator_config remove_unused_columns device device_map world_size local_rank ddp ddp_timeout
    ddp_broadcast_buffers ddp_find_unused_parameters seed eval_steps evals_per_epoch eval_strategy eval_batch_size
    eval_sample_packing eval_table_size eval_max_new_tokens eval_causal_lm_metrics do_causal_lm_eval do_bench_eval
    bench_dataset bench_split save_steps saves_per_epoch save_strategy save_total_limit save_first_step
    save_only_model logging_steps early_stopping_patience load_best_model_at_end metric_for_best_model
    greater_is_better resume_from_checkpoint auto_resume_from_checkpoints use_tensorboard use_wandb wandb_name
    wandb_run_id wandb_mode wandb_project wandb_entity wandb_watch wandb_log_model use_mlflow mlflow_tracking_uri
    mlflow_experiment_name mlflow_run_name hf_mlflow_log_artifacts use_comet comet_api_key comet_workspace
    comet_project_name use_trackio trackio_project_name trackio_run_name trackio_space_id gradio_title
    gradio_share chat_template chat_template_jinja chat_template_kwargs default_system_message eot_tokens
    special_tokens loss_watchdog_threshold loss_watchdog_patience gc_steps gc_collect_steps
    torch_empty_cache_steps tf32 sample_packing_group_size sample_packing_bin_size sample_packing_sequentially
    sample_packing_eff_est sample_packing_mp_start_method multipack_real_batches min_sample_len max_prompt_len
    excess_length_strategy streaming plugins liger_rope liger_rms_norm liger_layer_norm liger_glu_activation
    liger_swiglu chunked_cross_entropy_num_chunks rl_beta orpo_alpha kto_desirable_weight kto_undesirable_weight
    simpo_gamma cpo_alpha dpo_label_smoothing dpo_use_weighting include_tokens_per_second include_tkps
    profiler_steps debug total_num_tokens total_supervised_tokens fix_untrained_tokens low_cpu_mem_usage trl vllm
    xformers_attention s2_attention flash_attn_cross_entropy flash_attn_rms_norm local_files_only generate_samples
    num_generation_samples bf16_full_eval axolotl_config_path dataset_path fsdp_config.fsdp_version
    fsdp_config.version fsdp_config.auto_wrap_policy fsdp_config.state_dict_type fsdp_config.final_state_dict_type
    fsdp_config.transformer_layer_cls_to_wrap fsdp_config.sync_module_states fsdp_config.activation_checkpointing fsdp_config.use_orig_params
    fsdp_config.cpu_ram_efficient_loading fsdp_config.cpu_offload_pin_memory fsdp_config.min_num_params fsdp
    fsdp_config.limit_all_gathers fsdp_config.backward_prefetch fsdp_config.forward_prefetch fsdp_config.sharding_strategy
    fsdp_final_state_dict_type flash_attention sdp_attention eager_attention lora_target_linear
    peft_ensure_weight_tying bnb_config_kwargs.bnb_4bit_quant_type bnb_config_kwargs.llm_int8_has_fp16_weight
    bnb_config_kwargs.bnb_4bit_use_double_quant
    """
)
IRRELEVANT |= deepspeed.below(
    "deepspeed.",
    deepspeed.IRRELEVANT | {"gradient_accumulation_steps", "train_micro_batch_size_per_gpu", "bf16", "fp16"},
)
NOT_MODELLED = names(
    """
    lora_embedding_kernel tiled_mlp torch_compile qat quantization
    peft_layers_to_transform peft_layers_pattern lora_rank_pattern peft_layer_replication
    peft_trainable_token_indices lora_target_parameters unfrozen_parameters peft_autocast_adapter_dtype
    embeddings_skip_upcast resize_token_embeddings_to_32x tokens added_tokens_overrides shrink_embeddings
    selective_checkpointing activation_offloading layer_offloading sequence_parallel_degree context_parallel_size
    tensor_parallel_size dp_shard_size dp_replicate_size fp8 fp32_norms use_kernels experts_implementation
    quantize_moe_experts neftune_noise_alpha auto_find_batch_size batch_flattening flex_attention sage_attention
    use_pose bnb_config_kwargs gpu_memory_limit max_memory dpo_use_liger_kernel precompute_ref_log_probs
    fsdp_config.mixed_precision_policy eval_sequence_len liger_cross_entropy
    liger_fused_linear_ce ddp_bucket_cap_mb freeze_mm_modules deepcompile
    """
)
NOT_MODELLED |= deepspeed.below("deepspeed.", deepspeed.NOT_MODELLED)
