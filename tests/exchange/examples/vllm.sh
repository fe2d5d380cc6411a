vllm serve meta-llama/Llama-3.1-8B --dtype bfloat16 --max-model-len 8192 --max-num-seqs 16 -tp 2 --gpu-memory-utilization 0.85 --kv-cache-dtype fp8 --enforce-eager --port 8000
