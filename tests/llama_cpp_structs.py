"""The structures and functions of llama.cpp v0.5.0 that the tests call, for ctypes.

Layouts: ``include/llama.h``, ``ggml/include/ggml.h`` (ggml_tensor), ``ggml/src/ggml-backend-impl.h``. They change from
release to release.
"""

import ctypes as c
import os
from pathlib import Path
from typing import Any

Pointer, Size, Signed, Unsigned, Real = c.c_void_p, c.c_size_t, c.c_int32, c.c_uint32, c.c_float
VARIABLE = "LLAMA_CPP_LIBRARIES"
"""Names the folder with the shared libraries of the npm package @node-llama-cpp/linux-x64 3.22.1 (bins/linux-x64)."""


class ModelParams(c.Structure):
    """llama_model_params."""

    _fields_ = [
        ("devices", Pointer),
        ("tensor_buft_overrides", Pointer),
        ("n_gpu_layers", Signed),
        ("split_mode", Signed),
        ("load_mode", Signed),
        ("lazy_mode", Signed),
        ("main_gpu", Signed),
        ("tensor_split", Pointer),
        ("progress_callback", Pointer),
        ("progress_data", Pointer),
        ("kv_overrides", Pointer),
        *(
            (name, c.c_bool)
            for name in ("vocab_only", "check_tensors", "use_extra_bufts", "no_host", "no_alloc", "mtp")
        ),
    ]


class ContextParams(c.Structure):
    """llama_context_params."""

    _fields_ = [
        *((name, Unsigned) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "n_outputs_max")),
        ("n_outputs_max_per_seq", Unsigned),
        *((name, Signed) for name in ("n_threads", "n_threads_batch", "ctx_type", "rope_scaling_type", "pooling_type")),
        *((name, Signed) for name in ("attention_type", "flash_attn_type")),
        *((name, Real) for name in ("rope_freq_base", "rope_freq_scale", "yarn_ext", "yarn_attn", "yarn_fast")),
        ("yarn_slow", Real),
        ("yarn_orig_ctx", Unsigned),
        ("defrag_thold", Real),
        ("cb_eval", Pointer),
        ("cb_eval_data", Pointer),
        ("type_k", Signed),
        ("type_v", Signed),
        ("abort_callback", Pointer),
        ("abort_data", Pointer),
        *(
            (name, c.c_bool)
            for name in ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified")
        ),
        ("samplers", Pointer),
        ("n_samplers", Size),
        ("ctx_other", Pointer),
    ]


class Override(c.Structure):
    """llama_model_tensor_buft_override."""

    _fields_ = [("pattern", c.c_char_p), ("buft", Pointer)]


class Library:
    """The shared libraries, loaded once per process."""

    def __init__(self) -> None:
        folder = Path(os.environ[VARIABLE])
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")
        self.base, self.ggml, self.llama = (
            c.CDLL(str(folder / name), mode=c.RTLD_GLOBAL)
            for name in ("libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so")
        )
        self.model_params = function(self.llama, "llama_model_default_params", ModelParams)
        self.context_params = function(self.llama, "llama_context_default_params", ContextParams)
        self.load_model = function(self.llama, "llama_model_load_from_file", Pointer, c.c_char_p, ModelParams)
        self.free_model = function(self.llama, "llama_model_free", None, Pointer)
        self.new_context = function(self.llama, "llama_init_from_model", Pointer, Pointer, ContextParams)
        self.free_context = function(self.llama, "llama_free", None, Pointer)
        self.breakdown = function(self.llama, "_Z26llama_get_memory_breakdownPK13llama_context", None, Pointer, Pointer)
        self.load_adapter = function(self.llama, "llama_adapter_lora_init", Pointer, Pointer, c.c_char_p)
        self.use_adapters = function(self.llama, "llama_set_adapters_lora", c.c_int32, Pointer, Pointer, Size, Pointer)
        self.reserve = function(self.llama, "_ZN13llama_context13sched_reserveEv", None, Pointer)
        self.buffer_type_name = function(self.base, "ggml_backend_buft_name", c.c_char_p, Pointer)
        self.cpu_buffer_type = function(self.base, "ggml_backend_cpu_buffer_type", Pointer)
        self.buffer_from = function(self.base, "ggml_backend_cpu_buffer_from_ptr", Pointer, Pointer, Size)
        self.nbytes = function(self.base, "ggml_nbytes", Size, Pointer)
        self.row_size = function(self.base, "ggml_row_size", Size, c.c_int, c.c_int64)
        self.is_quantized = function(self.base, "ggml_is_quantized", c.c_bool, c.c_int)
        self.register = function(self.ggml, "ggml_backend_register", None, Pointer)
        self.said: list[str] = []
        self.listener = c.CFUNCTYPE(None, c.c_int, c.c_char_p, Pointer)(self.hear)
        function(self.llama, "llama_log_set", None, Pointer, Pointer)(c.cast(self.listener, Pointer), None)
        function(self.ggml, "ggml_backend_load_all_from_path", None, c.c_char_p)(str(folder).encode())

    def hear(self, level: int, text: bytes, data: int | None) -> None:
        """Keep what llama.cpp logs, for the message of a test that fails."""
        self.said.append(text.decode("utf-8", "replace"))


def function(library: c.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    """A function with its types."""
    found = getattr(library, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


def pointer_at(address: int, offset: int = 0) -> int | None:
    """A pointer in memory."""
    return c.c_void_p.from_address(address + offset).value


class Tensor:
    """A ggml_tensor at an address."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.type = c.c_int32.from_address(address).value
        self.op = c.c_int32.from_address(address + 80).value

    @property
    def ne(self) -> list[int]:
        """Elements per dimension, innermost first."""
        return list((c.c_int64 * 4).from_address(self.address + 16))

    def source(self, i: int) -> "Tensor | None":
        """What the operation reads."""
        address = pointer_at(self.address, 152 + 8 * i)
        return Tensor(address) if address else None

    @property
    def buffer_type(self) -> int | None:
        """The type of the buffer that it lies in; None: it is in none yet."""
        buffer = pointer_at(self.address, 8)
        return pointer_at(buffer, 88) if buffer else None

    @property
    def origin(self) -> tuple[int, int]:
        """The tensor that this one is a view of, and where it begins."""
        return pointer_at(self.address, 232) or self.address, c.c_int64.from_address(self.address + 240).value
