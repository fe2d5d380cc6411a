llama-server -hf bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M -c 32768 -np 4 -ngl 99 -fa on -ctk q8_0 -ctv q8_0 --host 0.0.0.0 --port 8080 --draft-max 8
