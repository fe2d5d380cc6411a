"""Starts of llama.cpp v0.5.0 whose compute buffer on the card is easily missed, with what it plans itself."""

from vram_advisor.domain.llama_cpp import LlamaCppOptions

LATE = (
    (
        "gemma-3-1b", "Q8_0", 174_274_304,
        LlamaCppOptions(n_ctx=65_536, n_ubatch=700, kv_unified=True, n_gpu_layers=5, flash_attn="on"),
    ),
    (
        "gemma-3-4b", "IQ4_XS", 147_648_640,
        LlamaCppOptions(
            n_ubatch=700, n_parallel=4, kv_unified=True, n_gpu_layers=24, flash_attn="on", cache_type_k="q8_0", cache_type_v="q8_0"
        ),
    ),
    (
        "gemma-3-1b", "F16", 57_101_696,
        LlamaCppOptions(n_ctx=1024, n_gpu_layers=21, flash_attn="on", cache_type_k="q4_0", cache_type_v="q8_0"),
    ),
    (
        "qwen3-30b-a3b", "IQ4_XS", 1_278_214_144,
        LlamaCppOptions(
            n_ctx=10_000, n_ubatch=2048, n_gpu_layers=10, n_cpu_moe=3, flash_attn="on", cache_type_k="q8_0", cache_type_v="q4_0",
            swa_full=True, outputs="batch",
        ),
    ),
    (
        "llama-3.2-1b", "IQ4_XS", 1_067_450_368,
        LlamaCppOptions(
            n_ctx=32_768, n_ubatch=2048, kv_unified=True, n_gpu_layers=2, flash_attn="on", cache_type_k="q8_0", cache_type_v="q8_0",
            outputs="batch",
        ),
    ),
)  # fmt: skip
"""Model, file type, compute buffer of the card [B], start. Layers on the host, computed on the card with copies of their
weights: its allocator is where it was only after two or three periods of equal layers."""
