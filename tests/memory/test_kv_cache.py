"""The cache: worked examples of every form, and laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vram_advisor.memory.kv_cache import CacheForm, cache_bytes, cached
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB, MIB

FORMS = (
    CacheForm(),
    CacheForm(4),
    CacheForm(windows=False),
    CacheForm(key="int8", value="int8"),
    CacheForm(key="int4", value="int4"),
    CacheForm(key="fp8", value="fp8"),
)
MODELS = ("llama-3.1-8b", "gemma-3-4b", "deepseek-v3", "qwen3-next-80b-a3b", "gpt-oss-20b", "lfm2-1.2b", "falcon-40b")
FULL = "llama-3.1-8b"
"""A model whose layers are all full attention: what can be quantised."""


@pytest.mark.parametrize(
    ("model", "layers", "heads", "width"),
    [
        ("llama-2-7b", 32, 32, 128),  # multi-head
        ("llama-3.1-8b", 32, 8, 128),  # grouped-query
        ("falcon-7b", 32, 1, 64),  # multi-query
        ("qwen2.5-7b", 28, 4, 128),
        ("mixtral-8x7b", 32, 8, 128),
    ],
)
def test_two_times_layers_heads_width_tokens_bytes(model: str, layers: int, heads: int, width: int) -> None:
    assert cache_bytes(find_model(model), CacheForm(), 3, 1000) == 2 * layers * heads * width * 3 * 1000 * 2


@pytest.mark.parametrize(
    ("model", "gib"),
    [
        ("gemma-3-27b", 10.4),  # windows of 1,024 in five layers of six
        ("deepseek-v3", 8.58),  # 512 + 64 elements of latent per layer
        ("gpt-oss-20b", 3.0),  # windows of 128 in every second layer
        ("qwen3-next-80b-a3b", 3.0),  # 12 of 48 layers keep keys and values
        ("mixtral-8x7b", 16.0),
        ("qwen3-30b-a3b", 12.0),
    ],
)
def test_published_sizes_at_131072_tokens(model: str, gib: float) -> None:
    parts = cached(find_model(model), CacheForm())
    keys = sum(c.nbytes(1, 131072) for c in parts if c.kind == "kv_cache")
    assert keys / GIB == pytest.approx(gib, rel=0.02)


def test_latents_are_a_seventieth_of_unfolded_heads() -> None:
    model = find_model("deepseek-v3")
    latents = cache_bytes(model, CacheForm(), 1, 1)
    assert latents == 61 * (512 + 64) * 2
    assert 61 * 128 * (192 + 128) * 2 / latents == pytest.approx(71, abs=0.2)


def test_sparse_attention_keeps_the_keys_of_its_indexer() -> None:
    assert cache_bytes(find_model("deepseek-v3.2"), CacheForm(), 1, 1) == 61 * (512 + 64 + 128) * 2


def test_a_window_stops_growing_and_full_layers_do_not() -> None:
    model = find_model("gemma-3-4b")
    window = cache_bytes(model, CacheForm(), 1, 8193) - cache_bytes(model, CacheForm(), 1, 8192)
    whole = cache_bytes(model, CacheForm(windows=False), 1, 8193) - cache_bytes(
        model, CacheForm(windows=False), 1, 8192
    )
    per_layer = 2 * 4 * 256 * 2
    assert window == 5 * per_layer
    assert whole == 34 * per_layer


def test_shared_layers_keep_nothing() -> None:
    model = find_model("gemma-3n-e2b")
    shared = sum(bool(b.attention and b.attention.kv_shared) for b in (model.blocks[k] for k in model.layer_kinds))
    assert shared == 10
    assert cache_bytes(model, CacheForm(windows=False), 1, 1) == (30 - shared) * 2 * 2 * 256 * 2


def test_states_do_not_grow() -> None:
    model = find_model("qwen3-next-80b-a3b")
    state = [c for c in cached(model, CacheForm()) if c.kind == "state"]
    each = 32 * 128 * 128 * 4 + 8192 * 4 * 2
    assert sum(c.nbytes(1, 1) for c in state) == sum(c.nbytes(1, 100_000) for c in state) == 36 * each
    # Four slots of llama.cpp show 301.5 MiB for the same state, whose convolution is one column shorter and fp32.
    assert pytest.approx(301.5, abs=0.1) == 4 * 36 * (32 * 128 * 128 * 4 + 8192 * 3 * 4) / MIB


def test_short_convolutions_keep_their_inputs() -> None:
    state = [c for c in cached(find_model("lfm2-1.2b"), CacheForm()) if c.kind == "state"]
    assert sum(c.nbytes(2, 500) for c in state) == 2 * 10 * 2048 * 3 * 2


def test_falcon_repeats_grouped_heads_under_transformers() -> None:
    model = find_model("falcon-40b")
    assert cache_bytes(model, CacheForm(every_head=True), 1, 1) == 16 * cache_bytes(model, CacheForm(), 1, 1)


def test_quantised_integers() -> None:
    model = find_model(FULL)
    tokens, width, layers = 4096, 1024, 32
    scales = 2 * 2 * width // 64
    packed = 2 * layers * tokens * (width // 2 + scales)
    residual = 2 * layers * 128 * width * 2
    assert cache_bytes(model, CacheForm(key="int4", value="int4"), 1, tokens) == packed + residual
    assert cache_bytes(model, CacheForm(key="fp8", value="fp8"), 1, tokens) == 2 * layers * tokens * width


def test_tensor_parallel_keeps_whole_heads() -> None:
    model = find_model(FULL)
    whole = cache_bytes(model, CacheForm(), 1, 1)
    assert cache_bytes(model, CacheForm(parts=2), 1, 1) == whole // 2
    assert cache_bytes(model, CacheForm(parts=16), 1, 1) == whole // 8


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", FORMS[:3])
@given(b=st.integers(1, 64), s=st.integers(1, 200_000), more=st.integers(1, 1000))
def test_it_grows_with_context_and_sequences(name: str, form: CacheForm, b: int, s: int, more: int) -> None:
    model = find_model(name)
    assert cache_bytes(model, form, b, s) <= cache_bytes(model, form, b, s + more)
    assert cache_bytes(model, form, b + more, s) * b == cache_bytes(model, form, b, s) * (b + more)


@given(s=st.integers(2048, 10**6))
def test_fewer_bits_are_fewer_bytes(s: int) -> None:
    model = find_model(FULL)
    int4, int8, half = (cache_bytes(model, f, 1, s) for f in (FORMS[4], FORMS[3], FORMS[0]))
    assert int4 < int8 < half


@pytest.mark.parametrize("form", FORMS)
def test_it_is_linear_in_layers(form: CacheForm) -> None:
    model = find_model(FULL)
    twice = replace(model, layer_kinds=model.layer_kinds * 2)
    assert cache_bytes(twice, form, 2, 3000) == 2 * cache_bytes(model, form, 2, 3000)
    assert cache_bytes(model, form, 2, 3000, 8) * 4 == cache_bytes(model, form, 2, 3000)


@pytest.mark.parametrize("name", MODELS)
def test_a_grid_is_what_a_loop_gives(name: str) -> None:
    model = find_model(name)
    sequences, tokens = np.array([1, 3, 16])[:, None], np.array([1, 500, 1024, 5000, 131072])
    grid = cache_bytes(model, CacheForm(), sequences, tokens)
    loop = [[cache_bytes(model, CacheForm(), int(b), int(s)) for s in tokens] for b in sequences[:, 0]]
    assert grid.tolist() == loop


@pytest.mark.parametrize("name", MODELS)
def test_the_sentence_is_the_number(name: str) -> None:
    for part in cached(find_model(name), CacheForm()):
        values = part.values(2, 3000)
        for amount in part.amounts:
            product = 1
            for factor in amount.sentence(values).split(" (")[0].split(" × "):
                product *= int(factor.split()[0].replace(",", ""))
            assert product == amount.nbytes(values)
