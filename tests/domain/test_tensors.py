"""Tensors of a model: laws, worked examples, and the classes of transformers as judge."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from vram_advisor.domain.architectures import build
from vram_advisor.domain.model import ExtraTensor, ModelSpec
from vram_advisor.domain.tensors import Tensor, active_parameters, count_parameters, tensors
from vram_advisor.units.errors import BadInput, NotModelled

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 256,
    "max_position_embeddings": 128,
}
EXPERTS = {"num_local_experts": 8, "num_experts_per_tok": 2}
GEMMA_4 = {
    "head_dim": 16,
    "global_head_dim": 32,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "hidden_size_per_layer_input": 0,
}


def spec(model_type: str, **changes: Any) -> ModelSpec:
    """A small model."""
    return build({"model_type": model_type, **SMALL, **changes})


def by_name(model: ModelSpec) -> dict[str, Tensor]:
    """The tensors of a model with one kind of layer."""
    return {tensor.name: tensor for tensor in tensors(model)}


def test_llama_2_7b_by_hand() -> None:
    model = build(
        {
            "model_type": "llama",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "vocab_size": 32000,
        }
    )
    layer = 4 * 4096 * 4096 + 3 * 4096 * 11008 + 2 * 4096
    assert count_parameters(model) == 2 * 32000 * 4096 + 32 * layer + 4096 == 6_738_415_616
    query = by_name(model)["model.layers.{layer}.self_attn.q_proj.weight"]
    assert (query.module, query.shape, query.count, query.kind) == ("q_proj", (4096, 4096), 32, "linear")


def test_a_tied_head_is_listed_once() -> None:
    untied, tied = spec("llama"), spec("llama", tie_word_embeddings=True)
    assert count_parameters(untied) - count_parameters(tied) == 256 * 64
    assert "lm_head.weight" not in by_name(tied)


def test_fused_projections_are_one_tensor() -> None:
    model = by_name(spec("phi3"))
    assert model["model.layers.{layer}.self_attn.qkv_proj.weight"].shape == (4 * 16 + 2 * 2 * 16, 64)
    assert model["model.layers.{layer}.mlp.gate_up_proj.weight"].shape == (2 * 96, 64)


def test_experts_are_stacks_and_only_the_chosen_are_active() -> None:
    model = spec("mixtral", **EXPERTS)
    stack = by_name(model)["model.layers.{layer}.mlp.experts.gate_up_proj"]
    assert (stack.shape, stack.kind, stack.role) == ((8, 192, 64), "expert_stack", "expert")
    experts = 4 * 8 * 3 * 64 * 96
    assert count_parameters(model) - active_parameters(model) == experts * 6 // 8


def test_a_published_active_count_wins() -> None:
    assert active_parameters(replace(spec("mixtral", **EXPERTS), active_parameters=7)) == 7


def test_a_tower_is_one_counted_block_and_never_active() -> None:
    plain = spec("llama")
    seeing = replace(plain, tower_parameters=1000)
    assert count_parameters(seeing) == count_parameters(plain) + 1000
    assert active_parameters(seeing) == active_parameters(plain)
    assert [tensor.shape for tensor in tensors(seeing) if tensor.role == "tower"] == [(1000,)]


def test_counted_and_extra_weights_add_up() -> None:
    plain = spec("llama")
    block = replace(plain.blocks[0], extra=(ExtraTensor("gate.weight", (2, 64)),), extra_parameters=3)
    changed = replace(plain, blocks=(block,), extra_parameters=5)
    assert count_parameters(changed) == count_parameters(plain) + 4 * (128 + 3) + 5


def test_shared_caches_leave_out_key_and_value() -> None:
    names = Counter[str]()
    for tensor in tensors(spec("gemma4_text", num_kv_shared_layers=2, **GEMMA_4)):
        names[tensor.name.rpartition("self_attn.")[2]] += tensor.count if "self_attn" in tensor.name else 0
    assert (names["q_proj.weight"], names["k_proj.weight"], names["v_proj.weight"]) == (4, 2, 2)
    model = spec("gemma4_text", attention_k_eq_v=True, num_global_key_value_heads=1, **GEMMA_4)
    assert [block.attention.k_is_v for block in model.blocks if block.attention] == [False, True]


def test_windows_follow_the_pattern_of_the_family() -> None:
    def windows(model: ModelSpec) -> list[int | None]:
        return [part.sliding_window for kind in model.layer_kinds if (part := model.blocks[kind].attention)]

    assert windows(spec("mistral", sliding_window=16)) == [16] * 4
    assert windows(spec("gemma2", sliding_window=16)) == [16, None, 16, None]
    assert windows(spec("cohere2", sliding_window=16)) == [16, 16, 16, None]
    assert windows(spec("qwen2", sliding_window=16)) == [None] * 4
    assert windows(spec("qwen2", sliding_window=16, use_sliding_window=True, max_window_layers=3)) == [None] * 3 + [16]
    assert windows(spec("llama", sliding_window=16)) == [None] * 4


def test_unknown_architectures_are_refused_with_the_nearest_names() -> None:
    with pytest.raises(NotModelled, match=r"'lama'.*llama"):
        spec("lama")
    with pytest.raises(NotModelled, match=r"deepseek_v4 is not modelled: .*compressed attention"):
        spec("deepseek_v4")
    with pytest.raises(NotModelled, match="qk_layernorm = true"):
        spec("phi", qk_layernorm=True)
    with pytest.raises(NotModelled, match="activation 'xielu'"):
        spec("llama", hidden_act="xielu")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_hidden_layers": -3}, r"num_hidden_layers is -3, expected a whole number from 1 to 4,096"),
        ({"vocab_size": 10**12}, r"vocab_size is 1000000000000, expected a whole number from 1 to"),
        ({"hidden_size": "64"}, r"hidden_size is '64', expected a whole number"),
        ({"hidden_size": 64.0}, r"hidden_size is 64\.0"),
        ({"hidden_size": True}, r"hidden_size is True"),
        ({"hidden_size": None}, r"hidden_size \(or n_embd.*\) is missing"),
        ({"num_attention_heads": 6}, r"num_attention_heads is 6, expected a divisor of the hidden size 64"),
        ({"num_key_value_heads": 3}, r"num_key_value_heads is 3, expected a divisor of the 4"),
        ({"tie_word_embeddings": "yes"}, r"tie_word_embeddings is 'yes', expected true or false"),
        ({"model_type": 7}, r"model_type is 7, expected a text"),
        ({"hidden_act": ["silu"]}, r"hidden_act is \['silu'\], expected a text"),
        ({"rope_parameters": {"partial_rotary_factor": float("nan")}}, r"partial_rotary_factor is nan"),
        ({"text_config": [1]}, r"text_config is \[1\], expected an object"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        build({"model_type": "llama", **SMALL, **changes})
