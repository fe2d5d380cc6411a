"""Linear layers of a model as bitsandbytes stores them (torch, transformers, bitsandbytes).

Which layers: those that transformers chooses (``integrations/bitsandbytes.py`` replace_with_bnb_linear): ordinary linear
layers and transposed ones, not the output layer, not tied weights.
"""

import importlib.util
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from vram_advisor.domain.quantization import Quantization
from vram_advisor.units.errors import Missing, NotModelled

OUTLIERS = 6.0
"""Threshold of LLM.int8(), as transformers sets it."""


def check_format(fmt: Quantization) -> None:
    """Refuse formats that are not made here.

    Raises:
        Missing: bitsandbytes is not installed.
        NotModelled: the format is none of bitsandbytes.
    """
    if fmt.kernel not in ("bnb_4bit", "bnb_8bit"):
        raise NotModelled(
            f"{fmt.title} weights cannot be made without a checkpoint: use nf4_double, nf4, fp4, int8 or bf16."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise Missing(f"{fmt.title} needs bitsandbytes: pip install 'vram-advisor[calibrate]'.")


def replaceable(model: Any) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Layers that transformers quantises: parent, name in it, layer."""
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import get_keys_to_not_convert
    from transformers.quantizers.quantizers_utils import should_convert_module

    kept = [*get_keys_to_not_convert(model), *(model._keep_in_fp32_modules or ())]
    for name, module in list(model.named_modules()):
        if (type(module) is nn.Linear or isinstance(module, Conv1D)) and should_convert_module(name, kept):
            parent, _, own = name.rpartition(".")
            yield model.get_submodule(parent), own, module


def as_linear(weight: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """The weight [out, in] of a layer; ``Conv1D`` stores it transposed."""
    return weight if isinstance(layer, nn.Linear) else weight.T.contiguous()


def quantise(model: Any, fmt: Quantization, compute_dtype: torch.dtype, device: str) -> None:
    """Put quantised layers of random weights in the place of linear layers, one by one, on the device.

    Whatever else is still on the meta device is made there too, so that the model is never in memory unquantised.
    """
    import bitsandbytes

    nn_bnb: Any = bitsandbytes.nn
    replaced = list(replaceable(model))
    later = {id(layer) for _, _, layer in replaced}
    for module in list(model.modules()):
        if id(module) not in later:
            _materialise(model, module, device)
    model.tie_weights()
    for parent, name, layer in replaced:
        _materialise(model, layer, device)
        weight = as_linear(layer.weight.data, layer)  # type: ignore[arg-type]
        out_features, in_features = weight.shape
        made: Any
        if fmt.kernel == "bnb_4bit":
            options: dict[str, Any] = {
                "compress_statistics": bool(fmt.nested_block), "quant_type": fmt.name.removesuffix("_double"),
            }  # fmt: skip
            made = nn_bnb.Linear4bit(in_features, out_features, False, compute_dtype, device="meta", **options)
            made.weight = nn_bnb.Params4bit(weight, requires_grad=False, module=made, **options).to(device)
        else:
            made = nn_bnb.Linear8bitLt(
                in_features, out_features, False, has_fp16_weights=False, threshold=OUTLIERS, device="meta"
            )
            made.weight = nn_bnb.Int8Params(weight.to("cpu"), requires_grad=False).to(device)
        made.bias = layer.bias
        setattr(parent, name, made.requires_grad_(False))
        del weight
    mark(model, fmt)


def _materialise(model: Any, module: nn.Module, device: str) -> None:
    """Give a module of the meta device its own tensors, initialised as transformers does."""
    if any(tensor.is_meta for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False))):
        module.to_empty(device=device, recurse=False)
        model._init_weights(module)


def mark(model: Any, fmt: Quantization) -> None:
    """Tell PEFT and the attention that the model is quantised, as ``from_pretrained`` does."""
    setattr(model, "is_loaded_in_4bit" if fmt.kernel == "bnb_4bit" else "is_loaded_in_8bit", True)
    model.is_quantized = True
    model.config._is_quantized = True
