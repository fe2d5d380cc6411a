"""The gated delta rule in chunks of 64 tokens, written out in fp32.

Source: transformers 5.23 ``models/qwen3_5/modeling_qwen3_5.py`` torch_chunk_gated_delta_rule. Sequences are padded to
a multiple of the chunk (rows T64). The loop over chunks is one operation here: what all its passes save, and the
worst moment of its backward pass, where every operand has a gradient of full length. Tensors of one chunk are not
counted. Autocast makes 16-bit copies of the operands of every matrix product, in the loop for each chunk.
"""

from __future__ import annotations

from collections.abc import Iterable

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import StateSpace
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value

CHUNK = 64
"""Tokens of a chunk."""
ROWS = "T64"


def delta_rule(t: LayerTape, qkv: tuple[Value, Value, Value], beta: Value, decay: Value, s: StateSpace) -> Value:
    """Queries, keys and values to the output of all heads [T x inner_size], in the dtype that entered."""
    heads, entered = s.num_heads, qkv[0].itemsize
    keys, values, square = heads * s.state_size, s.inner_size, heads * CHUNK
    query, key, value = in_fp32(t, qkv, keys)
    rate = t.cast(beta, 4, "learning rate in fp32")
    query, key = unit(t, query, "query", heads), unit(t, key, "key", heads)
    scaled = t.scale(query, "scaled query")
    t.drop(query)
    padded = [pad(t, x, label) for x, label in ((scaled, "query"), (key, "key"), (value, "value"))]
    t.drop(scaled, key, value)
    query, key, value = padded
    rate, decay = pad(t, rate, "learning rate"), pad(t, decay, "log decay")
    v_beta = chunked(t, by_head(t, value, rate, "values times learning rate"))
    k_beta = chunked(t, by_head(t, key, rate, "keys times learning rate"))
    total = t.record("decay within chunks", [decay], ROWS, heads, 4)
    pairs = pairwise(t, total, square)
    system = t.multiply(product(t, k_beta, key, "products of keys", square), pairs, "triangular system")
    inner = t.multiply(product(t, query, key, "products of queries and keys", square), pairs, "attention in chunks")
    grown = t.record("decay from the start of the chunk", [total], ROWS, heads, 4, save_output=True)
    decayed = by_head(t, k_beta, grown, "decayed keys")
    new_values = solved(t, system, v_beta, "new values")
    new_keys = solved(t, system, decayed, "keys that read the state")
    core = t.record("output in chunks before the loop", [], ROWS, values, 4, differentiable=False)
    again = t.record("decay from the start of the chunk", [total], ROWS, heads, 4, save_output=True)
    late_query = by_head(t, query, again, "decayed queries")
    left = t.record("decay to the end of the chunk", [total], ROWS, heads, 4, save_output=True)
    late_key = by_head(t, key, left, "keys decayed to the end of the chunk")
    out = loop(t, core, (new_values, new_keys, late_query, late_key, inner), s)
    cut = t.record("output without padding", [out], ROWS, values, 4, view=True, slices=True)
    result = t.record("output of the delta rule", [cut], "T", values, entered)
    t.drop(
        v_beta, k_beta, total, pairs, system, inner, grown, decayed, new_values, new_keys, again, late_query, left,
        late_key, query, key, value, rate, decay, core, out,
    )  # fmt: skip
    return result


def in_fp32(t: LayerTape, qkv: tuple[Value, Value, Value], keys: int) -> tuple[Value, Value, Value]:
    """Queries and keys once per value head, then all three head by head in fp32."""
    query, key, value = qkv
    repeated: tuple[Value, ...] = ()
    if query.width != keys:
        query, key = repeated = tuple(
            t.record(f"{label} per value head", [x], "T", keys, x.itemsize)
            for x, label in ((query, "query"), (key, "key"))
        )
    wide = tuple(
        t.record(f"{label} in fp32", [laid_out(t, x, label)], "T", x.width, 4)
        for x, label in ((query, "query"), (key, "key"), (value, "value"))
    )
    t.drop(*repeated)
    return wide[0], wide[1], wide[2]


def laid_out(t: LayerTape, x: Value, label: str) -> Value:
    """Heads in front of tokens: a view, its gradient is laid out anew."""
    return t.record(label, [x], x.rows, x.width, x.itemsize, view=True, slices=True)


def unit(t: LayerTape, x: Value, label: str, heads: int) -> Value:
    """``x * rsqrt(sum(x * x))`` of each head."""
    squares = workspace(f"{label} squares", x)
    inverse = t.record(
        f"{label} 1/length", [x], "T", heads, 4,
        saved=[x], save_output=True, temporaries=[squares], backward_temporaries=[squares],
    )  # fmt: skip
    out = by_head(t, x, inverse, f"{label} of length 1")
    t.drop(x, inverse)
    return out


def pad(t: LayerTape, x: Value, label: str) -> Value:
    """A copy with every sequence as long as whole chunks."""
    return t.record(f"{label} in whole chunks", [x], ROWS, x.width, 4)


def chunked(t: LayerTape, x: Value) -> Value:
    """A view in chunks, whose gradient is copied."""
    return t.record(x.buffer.label, [x], x.rows, x.width, 4, view=True, slices=True)


def by_head(t: LayerTape, x: Value, factor: Value, label: str) -> Value:
    """x times one factor for each token and head; the factor's gradient is the sum of a product as wide as x."""
    return t.record(
        label, [x, factor], x.rows, x.width, 4,
        saved=[x, factor], backward_temporaries=[workspace(f"{label}, gradient product", x)],
    )  # fmt: skip


def pairwise(t: LayerTape, total: Value, width: int) -> Value:
    """``exp(total_i - total_j)`` of all pairs of a chunk."""
    work = [Amount("gradient of differences", ROWS, width, 4, "workspace")]
    difference = t.record("differences of decays", [total], ROWS, width, 4, backward_temporaries=work)
    masked = t.record("differences of decays, masked", [difference], ROWS, width, 4)
    t.drop(difference)
    pairs = t.record("decay between pairs", [masked], ROWS, width, 4, save_output=True)
    t.drop(masked)
    return pairs


def product(t: LayerTape, a: Value, b: Value, label: str, width: int) -> Value:
    """A matrix product within chunks, of 16-bit copies under autocast."""
    compute = t.numerics.autocast or 4
    b, a = t.cast(b, compute), t.cast(a, compute)
    return t.record(label, [a, b], ROWS, width, compute, saved=[a, b])


def solved(t: LayerTape, system: Value, right: Value, label: str) -> Value:
    """``solve_triangular``: saves the system and the solution; the system's gradient is masked."""
    work = [Amount(f"{label}, gradient of the system", ROWS, system.width, 4, "workspace")]
    return t.record(
        label, [right, system], ROWS, right.width, 4, saved=[system], save_output=True, backward_temporaries=work
    )


def loop(t: LayerTape, core: Value, operands: tuple[Value, ...], s: StateSpace) -> Value:
    """The pass over the chunks, one after the other."""
    new_values, new_keys, query, key, inner = operands
    compute = t.numerics.autocast or 4
    state = s.num_heads * s.state_size * s.head_dim // CHUNK
    states = [Amount("states between chunks", ROWS, state, 4, "activation")]
    corrections = [Amount("corrected values of chunks", ROWS, new_values.width, compute, "activation")]
    saved: Iterable[Value | Amount] = (new_keys, query, key, inner)
    if compute != 4:
        saved = [
            Amount(f"{x.buffer.label} in 16 bit", ROWS, x.width, compute, "activation")
            for x in (new_keys, query, key, inner)
        ]
        states += [Amount("states in 16 bit", ROWS, 2 * state, compute, "activation")]
        corrections = [corrections[0].repeated(2)]
    widest = max(new_values.width, new_keys.width)
    work = [Amount("gradient of one chunk in full length", ROWS, widest, 4, "workspace")]
    return t.record(
        "output in chunks", [core, inner, key, new_values, new_keys, query], ROWS, new_values.width, 4,
        saved=[*saved, *states, *corrections], view=True, slices=True, backward_temporaries=work,
    )  # fmt: skip


def workspace(label: str, x: Value) -> Amount:
    """An fp32 temporary as large as x."""
    return Amount(label, x.rows, x.width, 4, "workspace")
