"""What the libraries of a training step ask a GPU or a value for, answered without either (torch, transformers, PEFT).

Each stand-in says what it answers in the place of.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vram_advisor.calibration.replaced import replaced

CAPABILITY = (9, 0)
"""Compute capability that libraries are told."""


def apply(module: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
    """``Module._apply`` with new parameters: swapping those of tensors without memory fails."""
    for child in module.children():
        apply(child, function)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                changed = function(parameter)
            if changed is not parameter:
                module._parameters[name] = nn.Parameter(changed, parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module


@contextmanager
def building() -> Iterator[None]:
    """Stand-ins that only the building of a model needs; weights get no values."""
    from transformers import PreTrainedModel

    with replaced(PreTrainedModel, "initialize_weights", lambda model: None), replaced(nn.Module, "_apply", apply):
        yield


@contextmanager
def libraries() -> Iterator[None]:
    """Stand-ins for a whole run."""
    import torch._meta_registrations as shapes
    import torch.cuda.amp.common
    from transformers import masking_utils
    from transformers.models.falcon.modeling_falcon import FalconAttention

    common: Any = torch.cuda.amp.common
    shape_functions: Any = shapes
    grouped = shape_functions._meta_grouped_mm_common
    split = FalconAttention._split_heads

    def grouped_mm(a: Any, b: Any, scale_a: Any = None, scale_b: Any = None, *args: Any, **kwargs: Any) -> Any:
        # The shape function refuses 32-bit and fp16 operands, which the kernel takes.
        if scale_a is None and a.dtype != torch.bfloat16:
            offs, out_dtype = kwargs.get("offs"), kwargs.get("out_dtype")
            return shape_functions._create_grouped_mm_output_tensor(a, b, offs, out_dtype or a.dtype)
        return grouped(a, b, scale_a, scale_b, *args, **kwargs)

    def split_heads(attention: Any, fused: Any) -> Any:
        # Indexes by lists of Python, which become tensors of the processor in the backward pass.
        if attention.new_decoder_architecture or not attention.multi_query:
            return split(attention, fused)
        batch, length, _ = fused.shape
        heads = fused.view(batch, length, attention.num_heads + 2, attention.head_dim)
        key, value = (torch.full((1,), attention.num_heads + i, device=fused.device) for i in (0, 1))
        return heads[..., :-2, :], heads[..., key, :], heads[..., value, :]

    with ExitStack() as stack:
        for owner, name, value in (
            # Autocast for GPUs switches itself off where there is none.
            (common, "amp_definitely_not_available", lambda: False),
            (torch.cuda, "is_bf16_supported", lambda *args, **kwargs: True),
            (torch.cuda, "get_device_capability", lambda *args, **kwargs: CAPABILITY),
            # Whether a gradient of a scaled loss is finite.
            (torch.amp.GradScaler, "_maybe_opt_step", lambda scaler, optimizer, *args, **kwargs: optimizer.step()),
            (torch.amp.GradScaler, "update", lambda scaler, new_scale=None: None),
            # Whether position ids start anew within a row: not for sequences of one document.
            (masking_utils, "find_packed_sequence_indices", lambda *args, **kwargs: None),
            (shape_functions, "_meta_grouped_mm_common", grouped_mm),
            (FalconAttention, "_split_heads", split_heads),
        ):
            stack.enter_context(replaced(owner, name, value))
        # A copy of a module (modules_to_save) shares the mode of its tensors.
        vars_of_mode: Any = FakeTensorMode
        vars_of_mode.__deepcopy__ = lambda mode, memo: mode
        try:
            yield
        finally:
            del vars_of_mode.__deepcopy__


@contextmanager
def fused_head() -> Iterator[None]:
    """TRL's fused output layer as it runs with Triton: kernels work within a tile, all labels count.

    Source: trl kernels/chunked_logprob.py, trainer/utils.py.
    """
    import trl.kernels.chunked_logprob as kernels
    import trl.trainer.utils as utils

    get = torch.Tensor.__getitem__

    def chosen(tensor: Any, index: Any) -> Any:
        # hidden[mask]: where the mask is set is found first.
        if not isinstance(index, torch.Tensor) or index.dtype != torch.bool or tensor.shape[:2] != index.shape:
            return get(tensor, index)
        found = torch.zeros((index.numel(), 2), dtype=torch.int64, device=index.device)
        return get(tensor, (found[:, 0], found[:, 1]))

    nothing: Any = lambda *args, **kwargs: None  # noqa: E731
    with ExitStack() as stack:
        for owner, name, value in (
            (kernels, "_forward_tile", nothing),
            (kernels, "_backward_tile", nothing),
            (kernels, "_addmm_fp32", nothing),
            (utils, "_use_triton", lambda device: True),
            (torch.Tensor, "__getitem__", chosen),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield
