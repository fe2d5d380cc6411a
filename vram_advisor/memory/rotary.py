"""Rotary position embedding of queries and keys.

Source: transformers ``models/llama/modeling_llama.py`` apply_rotary_pos_emb and its relatives (``habits.Rotary``).
"""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.fused import fused_rotate
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.tape import Value


def is_joined(a: Attention, h: Habits) -> bool:
    """Whether heads are cut into a rotated and a plain part and joined again."""
    return a.rotary_dim > 0 and not h.whole_rotary and (h.partial_rotary or a.rotary_dim < a.head_dim)


def rotate_both(t: LayerTape, q: Value, k: Value, a: Attention, h: Habits) -> tuple[Value, Value]:
    """Queries and keys with their positions."""
    if t.numerics.norm_kernel == "fused":
        return fused_rotate(t, q, "query"), fused_rotate(t, k, "key")
    before = (q, k)
    entered = q.itemsize
    if h.rotary == "complex":
        q32, k32 = t.cast(q, 4, "query in fp32"), t.cast(k, 4, "key in fp32")
        q, k = rotate_complex(t, q32, "query", entered), rotate_complex(t, k32, "key", entered)
        t.drop(*before, q32, k32)
        return q, k
    if h.rotary == "fp32":
        q, k = t.cast(q, 4, "query in fp32"), t.cast(k, 4, "key in fp32")
    if is_joined(a, h):
        share = a.rotary_dim / a.head_dim
        q_parts, k_parts = cut(t, q, share, "query"), cut(t, k, share, "key")
        turned = turn(t, q_parts[0], k_parts[0], a, h)
        q = join(t, (turned[0], q_parts[1]), q, "query")
        k = join(t, (turned[1], k_parts[1]), k, "key")
        t.drop(*turned, *q_parts, *k_parts)
    else:
        held = (q, k)
        wide = turn(t, q, k, a, h)
        narrow = entered if h.rotary in ("fp32", "fp32_tables") else wide[0].itemsize
        q, k = t.cast(wide[0], narrow), t.cast(wide[1], narrow)
        if narrow != wide[0].itemsize:
            t.drop(*wide, *held)
    t.drop(*before)
    return q, k


def turn(t: LayerTape, q: Value, k: Value, a: Attention, h: Habits) -> tuple[Value, Value]:
    """Queries and keys times cosines and sines."""
    itemsize = 4 if h.rotary == "fp32_tables" else t.numerics.stream
    if h.rotary == "halves":
        return halves(t, q, "query", itemsize), halves(t, k, "key", itemsize)
    rows = "T" if h.position_tables == "looked_up" else "s"
    tables = [Amount("cosines and sines of a layer", rows, 2 * a.rotary_dim, itemsize, "activation")]
    return (
        rotate(t, q, "query", itemsize, () if h.position_tables == "shared" else tables),
        rotate(t, k, "key", itemsize, tables if h.position_tables == "looked_up" else ()),
    )


def rotate(t: LayerTape, x: Value, label: str, itemsize: int, tables: Sequence[Amount] = ()) -> Value:
    """``x * cos + rotate_half(x) * sin``, with cos and sin of ``itemsize``; tables of the layer's own are saved."""
    wide = max(x.itemsize, itemsize)
    first = t.record(f"{label} * cos", [x], x.rows, x.width, wide, saved=tables)
    negative = Amount(f"{label} negated half", x.rows, x.width // 2, x.itemsize, "workspace")
    slices = Amount(f"{label} slice gradient", x.rows, x.width, x.itemsize, "workspace")
    half = t.record(
        f"{label} rotated half", [x], x.rows, x.width, x.itemsize, temporaries=[negative], backward_temporaries=[slices]
    )
    second = t.record(f"{label} * sin", [half], x.rows, x.width, wide)
    return t.record(f"{label} rotated", [first, second], x.rows, x.width, wide, passes_gradient=True)


def halves(t: LayerTape, x: Value, label: str, itemsize: int) -> Value:
    """``cat(a * cos - b * sin, b * cos + a * sin)`` of the halves a and b."""
    wide = max(x.itemsize, itemsize)
    width = x.width // 2
    a, b = t.split(x, a=width, b=width)
    turned: list[Value] = []
    for name, one, other in (("first", a, b), ("second", b, a)):
        products = [
            t.record(f"{label} {name} half * {f}", [v], x.rows, width, wide) for f, v in (("cos", one), ("sin", other))
        ]
        turned.append(t.record(f"{label} {name} half rotated", products, x.rows, width, wide, passes_gradient=True))
    out = t.record(f"{label} rotated", turned, x.rows, x.width, wide)
    t.drop(*turned)
    return out


def rotate_complex(t: LayerTape, x: Value, label: str, itemsize: int) -> Value:
    """Pairs of fp32 elements as complex numbers, times the positions, back in ``itemsize``."""
    return t.cast(t.record(f"{label} rotated in fp32", [x], x.rows, x.width, 4), itemsize, f"{label} rotated")


def cut(t: LayerTape, x: Value, share: float, label: str) -> tuple[Value, Value]:
    """The rotated part of the heads and the rest: views, each with a gradient of the full width."""
    width = int(x.width * share)
    return (
        t.record(f"{label} rotated part", [x], x.rows, width, x.itemsize, view=True, slices=True),
        t.record(f"{label} plain part", [x], x.rows, x.width - width, x.itemsize, view=True, slices=True),
    )


def join(t: LayerTape, parts: tuple[Value, Value], whole: Value, label: str) -> Value:
    """``torch.cat``: the gradients of the parts are views of the one that arrives."""
    itemsize = max(p.itemsize for p in parts)
    return t.record(f"{label} joined", parts, whole.rows, whole.width, itemsize, passes_gradient=True)
