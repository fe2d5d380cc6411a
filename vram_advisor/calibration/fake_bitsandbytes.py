"""Layers and optimizers of bitsandbytes on tensors without memory (torch, bitsandbytes)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from vram_advisor.calibration.quantised_layers import as_linear, mark, replaceable
from vram_advisor.calibration.replaced import replaced
from vram_advisor.domain.quantization import Quantization

PAGED = 100_000
"""States with at least this many elements lie in pageable memory (bitsandbytes optim/optimizer.py get_state_buffer)."""


def quantise_without_values(model: Any, fmt: Quantization, compute_dtype: torch.dtype) -> None:
    """Put quantised layers in the place of linear layers.

    The layers are those of bitsandbytes. Their weights are ordinary parameters that carry what bitsandbytes and PEFT
    read, since ``Params4bit`` and ``Int8Params`` cannot wrap a tensor without memory.
    """
    import bitsandbytes

    library: Any = bitsandbytes
    for parent, name, layer in list(replaceable(model)):
        weight = as_linear(layer.weight.data, layer)  # type: ignore[arg-type]
        made = (
            _four_bit(library, weight, fmt, compute_dtype) if fmt.kernel == "bnb_4bit" else _eight_bit(library, weight)
        )
        made.out_features, made.in_features = weight.shape
        made.bias = layer.bias
        setattr(parent, name, made.requires_grad_(False))
        del weight
    mark(model, fmt)


def _bare(cls: type[nn.Module]) -> Any:
    """A layer of a class without the tensors that its constructor makes."""
    layer = cls.__new__(cls)
    nn.Module.__init__(layer)
    return layer


def _four_bit(library: Any, weight: torch.Tensor, fmt: Quantization, compute_dtype: torch.dtype) -> Any:
    layer = _bare(library.nn.Linear4bit)
    layer.compute_dtype, layer.compute_type_is_set, layer.quant_storage = compute_dtype, True, torch.uint8
    layer.support_avx512bf16_for_cpu = False
    kind, nested = fmt.name.removesuffix("_double"), bool(fmt.nested_block)
    packed, state = library.functional.quantize_4bit(
        weight, blocksize=fmt.block, compress_statistics=nested, quant_type=kind
    )
    parameter: Any = nn.Parameter(packed, requires_grad=False)
    parameter.quant_state, parameter.compress_statistics, parameter.quant_type = state, nested, kind
    parameter.quant_storage, parameter.bnb_quantized, parameter.blocksize = torch.uint8, True, fmt.block
    layer.weight, layer.quant_state = parameter, state
    return layer


def _eight_bit(library: Any, weight: torch.Tensor) -> Any:
    layer = _bare(library.nn.Linear8bitLt)
    layer.state = library.MatmulLtState()
    # Which columns are outliers is not known without values, so none is set apart.
    layer.state.threshold, layer.state.has_fp16_weights = 0.0, False
    layer.index = None
    packed: Any = nn.Parameter(weight.to(torch.int8), requires_grad=False)
    packed.CB, packed.has_fp16_weights = None, False
    packed.SCB = torch.empty(weight.shape[0], dtype=torch.float32, device=weight.device)
    layer.state.CB, layer.state.SCB = packed.data, packed.SCB
    layer.weight = packed
    return layer


@contextmanager
def without_values(device: str) -> Iterator[None]:
    """bitsandbytes works without reading values and without its library."""
    import bitsandbytes.functional
    import bitsandbytes.optim.optimizer
    import peft.tuners.lora.dora

    library: Any = bitsandbytes.functional
    optimizers: Any = bitsandbytes.optim.optimizer
    dora: Any = peft.tuners.lora.dora
    read = dora.dequantize_module_weight

    def code(*args: Any, **kwargs: Any) -> torch.Tensor:
        return torch.empty(256, device=device)

    def states(optimizer: Any, parameter: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        paged = optimizer.is_paged and parameter.numel() >= PAGED
        return torch.zeros(parameter.shape, dtype=dtype, device="meta" if paged else parameter.device)

    def dequantised(module: Any) -> Any:
        state = getattr(module.weight, "quant_state", None)
        return library.dequantize_4bit(module.weight.data, state) if state is not None else read(module)

    with ExitStack() as stack:
        for owner, name, value in (
            (library, "create_dynamic_map", code),
            (library, "name2qmap", {"dynamic": code(), "udynamic": code()}),
            (library, "is_on_gpu", lambda *args, **kwargs: True),
            (library, "sync_gpu", lambda *args, **kwargs: None),
            (optimizers, "sync_gpu", lambda *args, **kwargs: None),
            (optimizers.Optimizer8bit, "get_state_buffer", states),
            (torch.cuda, "synchronize", lambda *args, **kwargs: None),
            (dora, "dequantize_module_weight", dequantised),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield
