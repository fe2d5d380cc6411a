# the same as a command
PYTORCH_ALLOC_CONF=expandable_segments:True trl sft \
    --model_name_or_path Qwen/Qwen2.5-7B \
    --dataset_name trl-lib/Capybara \
    --dtype bfloat16 --use_peft --load_in_4bit --use_bnb_nested_quant \
    --lora_r 16 --lora_target_modules all-linear \
    --per_device_train_batch_size=4 --max_length 1024 \
    --optim paged_adamw_8bit --logging_steps 25
