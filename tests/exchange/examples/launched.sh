accelerate launch --num_processes 4 sft.py --model_name_or_path Qwen/Qwen2.5-7B --dtype bfloat16 --max_length 4096 --per_device_train_batch_size 1 --fsdp "full_shard auto_wrap" --output_dir out
