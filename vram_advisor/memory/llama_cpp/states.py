"""Layers with a state of fixed size: Mamba-2, gated delta net, short convolution.

Source: llama.cpp v0.5.0 ``src/llama-graph.cpp`` (build_rs), ``src/models/mamba-base.cpp``,
``src/models/delta-net-base.cpp``, ``src/models/qwen3next.cpp``, ``src/models/lfm2.cpp``.
"""

from __future__ import annotations

from vram_advisor.domain.model import StateSpace
from vram_advisor.memory.llama_cpp.builder import Builder
from vram_advisor.memory.llama_cpp.node import Node


def read_state(
    b: Builder, cache: Node, scan: tuple[Node, ...] = (), scanned: int = 0, shape: tuple[int, ...] = ()
) -> Node:
    """The states of the slots of a batch; with ``scan`` the operation that reads them in place.

    Args:
        scan: the other sources of the scan; the state goes first and the slots last.
        scanned: elements of its result.
        shape: of the state that it reads.
    """
    g = b.graph
    assert b.state_rows is not None
    main, extra = b.state_rows
    size, slots = cache.ne[0], cache.ne[1]
    states = g.reshape(cache, size, slots)
    g.expand(g.into("SCALE", first := g.view(states, (size,)), first))
    if scan:
        state = g.reshape(states, *shape)
        result = g.op("SSM_SCAN", "scan", (scanned, 1, 1, 1), state, *scan, main)
    else:
        result = g.rows("state", states, main)
    g.expand(result)
    rest = g.rows("state", states, extra)
    g.expand(g.copy_into(rest, g.view(cache, (size, slots - b.sizes.n_seqs), (cache.nb[1],))))
    return result


def convolved(b: Builder, x: Node, cache: Node, kernel: int, channels: int, gap: bool = True) -> Node:
    """The channels of a batch behind the last inputs of the convolution, which are stored again."""
    g, seqs = b.graph, b.sizes.n_seqs
    before = g.reshape(read_state(b, cache), kernel - 1, channels, seqs)
    both = g.concat("convolution", before, g.transpose(x), 0)
    last = g.view(both, (kernel - 1, channels, seqs), both.nb[1:3])
    g.expand(g.copy_into(last, g.view(cache, ((kernel - 1) * channels, seqs), (cache.nb[1],))))
    return both


def convolve(b: Builder, both: Node, name: str, kernel: int, layer: int) -> Node:
    """The convolution itself."""
    weight = b.weight(f"{name}.weight", kernel, both.ne[1], layer=layer)
    steps = both.ne[0] - kernel + 1
    return b.graph.op("SSM_CONV", "convolution", (both.ne[1], steps, both.ne[2], 1), both, weight)


def mamba2(b: Builder, s: StateSpace, x: Node, layer: int) -> Node:
    """Mamba-2."""
    g, seqs = b.graph, b.sizes.n_seqs
    steps = b.tokens // seqs
    inner, size, heads, groups = s.inner_size, s.state_size, s.num_heads, s.num_groups
    channels = s.conv_channels
    conv_cache, state_cache = b.cache(layer, "convolution"), b.cache(layer, "state")
    before = g.reshape(read_state(b, conv_cache), s.conv_kernel - 1, channels, seqs)
    joint = b.multiply("ssm_in", x, inner + channels + heads, layer)
    joint = g.reshape(joint, joint.ne[0], steps, seqs)
    item = 4
    z = g.view(joint, (s.head_dim, heads, steps, seqs), (s.head_dim * item, joint.nb[1], joint.nb[2]))
    xbc = g.view(joint, (channels, steps, seqs), joint.nb[1:3])
    dt = g.view(joint, (heads, steps, seqs), joint.nb[1:3])
    both = g.concat("convolution", before, g.transpose(xbc), 0)
    last = g.view(both, (s.conv_kernel - 1, channels, seqs), both.nb[1:3])
    g.expand(g.copy_into(last, g.view(conv_cache, ((s.conv_kernel - 1) * channels, seqs), (conv_cache.nb[1],))))
    xbc = convolve(b, both, "ssm_conv1d", s.conv_kernel, layer)
    if s.conv_bias:
        xbc = g.like("ADD", "convolution", xbc, b.weight("ssm_conv1d.bias", channels, layer=layer))
    xbc = g.unary("convolution", xbc)
    y = g.view(xbc, (s.head_dim, heads, steps, seqs), (s.head_dim * item, xbc.nb[1], xbc.nb[2]))
    keys, queries = (g.view(xbc, (size, groups, steps, seqs), (size * item, xbc.nb[1], xbc.nb[2])) for _ in range(2))
    dt = g.like("ADD", "time steps", g.cont("time steps", dt), b.weight("ssm_dt.bias", heads, layer=layer))
    decay = b.weight("ssm_a", 1, heads, layer=layer)
    scanned = y.numel + size * s.head_dim * heads * seqs
    result = read_state(
        b, state_cache, (y, dt, decay, keys, queries), scanned, (size, s.head_dim, heads, state_cache.ne[1])
    )
    width = size * inner
    source = g.view(result, (width, seqs, 1), (4 * width, 4 * width * seqs))
    g.expand(g.copy_into(source, g.view(state_cache, (width, seqs, 1), (state_cache.nb[1], 4 * width * seqs))))
    nb1 = y.nb[1]
    out = g.view(result, (s.head_dim, heads, steps, seqs), (nb1, heads * nb1, steps * heads * nb1))
    skipped = g.like("MUL", "scan", y, b.weight("ssm_d", 1, heads, layer=layer))
    out = g.like("ADD", "scan", out, skipped)
    out = g.glu("scan", g.cont("gate", z), out)
    if not b.stored or f"blk.{layer}.ssm_norm.weight" in b.stored:
        out = g.reshape(out, inner // groups, groups, steps, seqs)
        norm = g.like("RMS_NORM", "ssm_norm", out)
        out = g.like("MUL", "ssm_norm", norm, b.weight("ssm_norm.weight", inner // groups, groups, layer=layer))
    out = g.reshape(out, inner, steps * seqs)
    return b.multiply("ssm_out", out, b.model.hidden_size, layer)


def delta_net(b: Builder, s: StateSpace, x: Node, layer: int) -> Node:
    """A gated delta net (Qwen3-Next)."""
    g, seqs = b.graph, b.sizes.n_seqs
    steps = b.tokens // seqs
    size, key_heads, heads, value_size = s.state_size, s.num_groups, s.num_heads, s.head_dim
    channels, share = s.conv_channels, heads // key_heads
    mixed = b.multiply("attn_qkv", x, channels, layer)
    mixed = g.reshape(mixed, channels, steps, seqs)
    z = b.multiply("attn_gate", x, s.inner_size, layer)
    if b.habits.repeats_heads:
        ba = g.reshape(b.multiply("ssm_ba", x, 2 * heads, layer), 2 * share, key_heads, steps, seqs)
        beta, alpha = (g.view(ba, (share, key_heads, steps, seqs), ba.nb[1:]) for _ in range(2))
        beta = g.unary("beta", g.cont("beta", beta))
        alpha = g.cont("alpha", alpha, heads, steps, seqs)
    else:
        beta = g.unary("beta", g.reshape(b.multiply("ssm_beta", x, heads, layer), 1, heads, steps, seqs))
        alpha = g.reshape(b.multiply("ssm_alpha", x, heads, layer), heads, steps, seqs)
    alpha = g.unary("alpha", g.like("ADD", "alpha", alpha, b.weight("ssm_dt.bias", heads, layer=layer)))
    gate = g.like("MUL", "alpha", alpha, b.weight("ssm_a", heads, layer=layer))
    gate = g.reshape(gate, 1, heads, steps, seqs)
    if b.habits.repeats_heads:
        beta = g.reshape(beta, 1, heads, steps, seqs)
    both = convolved(b, mixed, b.cache(layer, "convolution"), s.conv_kernel, channels)
    state_cache = b.cache(layer, "state")
    state = g.reshape(read_state(b, state_cache), value_size, value_size, heads, seqs)
    mix = g.unary("convolution", convolve(b, both, "ssm_conv1d", s.conv_kernel, layer))
    row = 4 * channels
    q, k = (g.view(mix, (size, key_heads, steps, seqs), (4 * size, row, row * steps)) for _ in range(2))
    v = g.view(mix, (value_size, heads, steps, seqs), (4 * value_size, row, row * steps))
    q, k = (g.like("SCALE", "convolution", g.like("RMS_NORM", "convolution", y)) for y in (q, k))
    if key_heads != heads and b.habits.repeats_heads:
        flat = [g.reshape(y, size, 1, key_heads, steps * seqs) for y in (q, k)]
        wide = [g.op("REPEAT", "repeated heads", (size, share, key_heads, steps * seqs), y) for y in flat]
        q, k = (g.reshape(y, size, heads, steps, seqs) for y in wide)
    rows = steps * seqs + value_size * seqs
    out = g.op("GATED_DELTA_NET", "delta net", (value_size * heads, rows, 1, 1), q, k, v, gate, beta, state)
    item = 4 * value_size
    result = g.view(out, (value_size, heads, steps, seqs), (item, item * heads, item * heads * steps))
    new = g.view(out, (value_size, value_size, heads, seqs), (item, item * value_size, item * value_size * heads))
    width = value_size * value_size * heads
    g.expand(g.copy_into(new, g.view(state_cache, (width, seqs), (state_cache.nb[1],))))
    z = g.reshape(z, value_size, heads, steps, seqs)
    normed = b.norm(result, "ssm_norm", layer, "rms")
    final = g.reshape(g.like("MUL", "delta net", normed, g.unary("gate", z)), value_size * heads, steps, seqs)
    return g.reshape(b.multiply("ssm_out", final, b.model.hidden_size, layer), b.model.hidden_size, steps * seqs)


def short_convolution(b: Builder, s: StateSpace, x: Node, layer: int) -> Node:
    """A gated short convolution (LFM2)."""
    g, seqs, width = b.graph, b.sizes.n_seqs, s.inner_size
    steps = b.tokens // seqs
    x = g.reshape(x, x.ne[0], steps, seqs)
    joint = b.multiply("shortconv.in_proj", x, 3 * width, layer)
    first, gate, value = (g.view(joint, (width, steps, seqs), joint.nb[1:3]) for _ in range(3))
    bx = g.transpose(g.like("MUL", "convolution", first, value))
    cache = b.cache(layer, "convolution")
    before = g.reshape(read_state(b, cache), s.conv_kernel - 1, width, seqs)
    both = g.concat("convolution", before, bx, 0)
    last = g.view(both, (s.conv_kernel - 1, width, seqs), both.nb[1:3])
    g.expand(g.copy_into(last, g.view(cache, ((s.conv_kernel - 1) * width, seqs), (cache.nb[1],))))
    out = convolve(b, both, "shortconv.conv", s.conv_kernel, layer)
    out = b.multiply("shortconv.out_proj", g.like("MUL", "convolution", gate, out), b.model.hidden_size, layer)
    return g.reshape(out, out.ne[0], steps * seqs)
