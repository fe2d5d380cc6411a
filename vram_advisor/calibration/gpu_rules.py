"""Rules of a GPU for fake tensors that lie on the processor: what autocast turns into fp32, and dropout (torch).

Sources: ATen ``autocast_mode.h`` (lists of CUDA and of the processor), ``native/Dropout.cpp``.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.utils._pytree import tree_map

from vram_advisor.calibration.replaced import replaced

HALF = (torch.bfloat16, torch.float16)
IN_FP32 = frozenset({
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh",
    "tan", "pow", "__pow__", "__rpow__", "softplus", "layer_norm", "group_norm", "norm", "cosine_similarity", "nll_loss",
    "cross_entropy", "kl_div", "l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss", "dist", "cdist", "renorm",
    "logsumexp", "binary_cross_entropy_with_logits",
})  # fmt: skip
"""Operators whose 16-bit inputs autocast turns into fp32 on a GPU and leaves on a processor."""
TO_FP32 = frozenset({"softmax", "log_softmax", "sum", "prod", "cumsum", "cumprod"})
"""Operators that give fp32 instead."""


def with_gpu_autocast(function: Any, name: str) -> Any:
    """A function of torch with its inputs as autocast on a GPU would have them."""
    enabled = torch.is_autocast_enabled

    def call(*args: Any, **kwargs: Any) -> Any:
        if enabled("cpu"):
            if name in IN_FP32:
                args, kwargs = tree_map(_widened, (args, kwargs))
            elif kwargs.get("dtype") is None and args and _is_half(args[0]):
                kwargs = {**kwargs, "dtype": torch.float32}
        return function(*args, **kwargs)

    return call


def _is_half(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype in HALF


def _widened(value: Any) -> Any:
    return value.float() if _is_half(value) else value


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout with a mask of one byte per element."""
    return torch.native_dropout(input, p, True)[0] if training and p > 0 else input


@contextmanager
def gpu_rules() -> Iterator[None]:
    """Fake tensors of the processor follow the rules of a GPU."""
    enabled = torch.is_autocast_enabled

    def asked_of_the_processor(device_type: str | None = None) -> bool:
        # Libraries that name no device mean CUDA.
        return enabled(device_type or "cpu")

    with ExitStack() as stack:
        for owner in (torch, torch.Tensor, functional):
            for name in IN_FP32 | TO_FP32:
                if hasattr(owner, name):
                    stack.enter_context(replaced(owner, name, with_gpu_autocast(getattr(owner, name), name)))
        stack.enter_context(replaced(functional, "dropout", dropout))
        stack.enter_context(replaced(torch, "is_autocast_enabled", asked_of_the_processor))
        if importlib.util.find_spec("bitsandbytes") is not None:
            import bitsandbytes.autograd._functions

            products: Any = bitsandbytes.autograd._functions
            # The product of int8 weights that the processor computes another way.
            stack.enter_context(replaced(products, "MatMul8bitFp", products.MatMul8bitLt))
        yield
