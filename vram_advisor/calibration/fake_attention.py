"""Attention kernels of a GPU on tensors without memory: what they return and save, without a kernel behind it (torch).

Sources: ATen ``native/transformers/sdp_utils.cpp`` (order and conditions), transformers
``modeling_flash_attention_utils.py``.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import functional

from vram_advisor.calibration.replaced import replaced
from vram_advisor.units.errors import NotModelled

aten: Any = torch.ops.aten
switches: Any = torch.backends.cuda
HALF = (torch.bfloat16, torch.float16)
WIDEST_FLASH = 256
"""Largest head dimension that flash attention takes."""


def flash(q: Any, k: Any, v: Any, dropout: float, causal: bool, scale: float | None) -> Any:
    """Flash attention; q, k, v [batch, heads, length, head_dim], padded to a multiple of 8."""
    width = q.shape[-1]
    missing = -width % 8
    scale = scale or width**-0.5
    if missing:
        q, k, v = (functional.pad(t, (0, missing)) for t in (q, k, v))
    out = aten._scaled_dot_product_flash_attention(q, k, v, dropout, causal, False, scale=scale)[0]
    return out[..., :width] if missing else out


def as_numbers(mask: Any, query: Any) -> Any:
    """A mask of truth values as what is added to the scores, in the type of the query."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    zero = torch.zeros((), dtype=query.dtype, device=query.device)
    return torch.where(mask, zero, float("-inf")).to(query.dtype)


def efficient(q: Any, k: Any, v: Any, mask: Any, dropout: float, causal: bool, scale: float | None) -> Any:
    """Memory-efficient attention; a mask becomes numbers of the query's type."""
    mask = as_numbers(mask, q)
    if mask is not None:
        mask = mask.expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    saves = torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v))
    return aten._scaled_dot_product_efficient_attention(q, k, v, mask, saves, dropout, causal, scale=scale)[0]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``torch.nn.functional.scaled_dot_product_attention`` as a GPU runs it, with the kernels that are switched on."""
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
        if attn_mask is not None and attn_mask.is_floating_point():
            attn_mask = attn_mask.to(dtype)
    width, grouped = query.shape[-1], query.shape[1] != key.shape[1]
    if (
        (enable_gqa or not grouped)
        and switches.flash_sdp_enabled()
        and attn_mask is None
        and query.dtype in HALF
        and width == value.shape[-1]
        and width <= WIDEST_FLASH
    ):
        return flash(query, key, value, dropout_p, is_causal, scale)
    if not grouped and switches.mem_efficient_sdp_enabled():
        return efficient(query, key, value, attn_mask, dropout_p, is_causal, scale)
    if not switches.math_sdp_enabled():
        raise NotModelled(
            "Memory-efficient attention takes no grouped heads (ATen sdp_utils.cpp), and transformers groups them where "
            "no sequence is padded: use --attn-implementation sdpa."
        )
    # Autocast casts the inputs of the whole function and leaves what runs inside alone (ATen autocast_mode.h).
    with torch.autocast(kind, enabled=False):
        return aten._scaled_dot_product_attention_math(
            query, key, value, as_numbers(attn_mask, query), dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )[0]


def flash_attn_func(
    q: Any,
    k: Any,
    v: Any,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Any = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> Any:
    """``flash_attn.flash_attn_func``; q, k, v [batch, length, heads, head_dim]."""
    if q.dtype not in HALF:
        raise NotModelled(f"Flash attention takes 16-bit tensors only, not {q.dtype}: use --mixed-precision bf16.")
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return flash(q, k, v, dropout_p, causal, softmax_scale).transpose(1, 2)


@contextmanager
def gpu_attention() -> Iterator[None]:
    """Attention of torch and transformers runs by the functions above."""
    import transformers.integrations.flash_attention as integration
    import transformers.modeling_flash_attention_utils as utils
    from transformers import modeling_utils
    from transformers.models.falcon import modeling_falcon
    from transformers.models.gptj import modeling_gptj

    library: Any = utils
    functions = (flash_attn_func, None, None, None, None)
    keywords = library._lazy_define_process_function(flash_attn_func)

    def imported(*args: Any, **kwargs: Any) -> Any:
        return functions, (keywords, keywords)

    def supported(model: Any, *args: Any, **kwargs: Any) -> bool:
        if not model._supports_flash_attn:
            raise ValueError(f"{type(model).__name__} does not support flash_attention_2.")
        return True

    with ExitStack() as stack:
        for owner, name, value in (
            (functional, "scaled_dot_product_attention", scaled_dot_product_attention),
            (utils, "lazy_import_flash_attention", imported),
            (utils, "_is_packed_sequence", lambda *args, **kwargs: False),
            (integration, "_use_top_left_mask", False),
            (modeling_utils, "lazy_import_flash_attention", lambda *args, **kwargs: None),
            (modeling_utils.PreTrainedModel, "_flash_attn_can_dispatch", supported),
        ):
            stack.enter_context(replaced(owner, name, value))
        for module in (modeling_falcon, modeling_gptj):
            # These import the functions where flash-attn is installed.
            for name, value in (
                ("_flash_attention_forward", library._flash_attention_forward),
                ("flash_attn_supports_top_left_mask", lambda: False),
            ):
                setattr(module, name, value)
        yield
