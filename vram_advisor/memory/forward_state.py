"""Layers with a state of fixed size, without gradients, by the reference code of transformers.

Kernels of mamba_ssm, causal_conv1d and flash-linear-attention need less; where they are not installed transformers
falls back to PyTorch, which is what is counted. Source: transformers 5.23 ``models/qwen3_5/modeling_qwen3_5.py``
torch_chunk_gated_delta_rule, ``models/granitemoehybrid/modeling_granitemoehybrid.py`` and ``models/nemotron_h``
(mamba_chunk_scan_combined), ``models/lfm2/modeling_lfm2.py``, traced.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import StateSpace
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value
from vram_advisor.units.grid import ceil_div

DELTA_CHUNK = 64
"""Tokens of one chunk of the gated delta rule."""
MAMBA_CHUNK = {"nemotron_h": 128}
"""Tokens of one chunk of the Mamba-2 scan where it is not 256 (``chunk_size`` of the configuration)."""
FUSED_DELTA = frozenset(("qwen3_next",))
"""Architectures whose delta net projects all inputs at once and copies the gate out of the result."""


def state_layer(t: LayerTape, x: Value, s: StateSpace, architecture: str) -> Value:
    """From the normed input to the output projection. x [T x hidden_size]."""
    item = x.itemsize
    if s.kind == "short_conv":
        three = t.record("short convolution inputs", [x], "T", 3 * s.inner_size, item)
        product = t.record("gated convolution input", [three], "T", s.inner_size, item)
        mixed = t.record("short convolution", [product], "T", s.inner_size, item)
        gated = t.record("gated convolution output", [mixed, three], "T", s.inner_size, item)
        t.drop(three, product)
    else:
        scan = mamba(s, architecture) if s.kind == "mamba2" else delta_rule(s)
        projected = t.record("state layer inputs", [x], "T", projections(s, architecture), item)
        convolved = t.record("convolved inputs", [projected], "T", s.conv_channels, item)
        scanned = t.record("scan over chunks", [convolved], "one", 1, 4, temporaries=scan)
        out = t.record("state layer output", [scanned], "T", s.inner_size, item)
        gated = t.record("gated output", [out, projected], "T", s.inner_size, item)
        t.drop(projected, convolved)
    result = t.matmul(gated, "out_proj", s.inner_size, x.width, t.numerics.weight, False)
    t.drop(x)
    return result


def projections(s: StateSpace, architecture: str) -> int:
    """Elements of the input projections of one token that stay while the state is computed."""
    if s.kind == "mamba2":
        return s.inner_size + s.conv_channels + s.num_heads
    if architecture in FUSED_DELTA:
        return s.inner_size + s.conv_channels + s.inner_size + 2 * s.num_heads
    # Separate inputs of the convolution are let go once they are convolved.
    return s.inner_size + 2 * s.num_heads


def delta_rule(s: StateSpace) -> list[Amount]:
    """Chunks of the gated delta rule, all in fp32."""
    keys, values = s.num_heads * s.state_size, s.inner_size
    return [
        Amount("queries and keys of the delta rule in fp32", "T", 5 * keys, 4, "workspace"),
        Amount("values of the delta rule in fp32", "T", 5 * values, 4, "workspace"),
        Amount("decays within a chunk", "T", 3 * s.num_heads * DELTA_CHUNK, 4, "workspace"),
    ]


def mamba(s: StateSpace, architecture: str) -> list[Amount]:
    """Chunks of the Mamba-2 scan, all in fp32."""
    chunk = MAMBA_CHUNK.get(architecture, 256)
    return [
        Amount("decays and products within a chunk", "T", 3 * s.num_heads * chunk, 4, "workspace"),
        Amount("inputs and outputs of the state per head", "T", 3 * s.num_heads * s.state_size, 4, "workspace"),
        Amount("values of the scan in fp32", "T", 7 * s.inner_size, 4, "workspace"),
        Amount("states of the chunks", "T", int(ceil_div(s.inner_size * s.state_size, chunk)), 4, "workspace"),
    ]
