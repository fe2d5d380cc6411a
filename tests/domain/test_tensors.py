"""Tensors of a model: laws, worked examples, and the classes of transformers as judge."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tiny_configs import OWN_CODE, TINY, tiny

from vram_advisor.domain.architectures import ARCHITECTURES, REFUSED, WRAPPERS, build
from vram_advisor.domain.model import ExtraTensor, ModelSpec
from vram_advisor.domain.tensors import Tensor, active_parameters, count_parameters, tensors
from vram_advisor.units.errors import BadInput, NotModelled

VARIANTS = [
    pytest.param(model_type, changes, id=f"{model_type}-{index}")
    for model_type, variants in TINY.items()
    for index, changes in enumerate(variants)
]


def spec(model_type: str, **changes: Any) -> ModelSpec:
    """A small model."""
    return build(tiny(model_type, changes))


def by_name(model: ModelSpec) -> dict[str, Tensor]:
    """The tensors of a model with one kind of layer."""
    return {tensor.name: tensor for tensor in tensors(model)}


def test_every_architecture_has_a_small_configuration_or_no_class() -> None:
    assert set(TINY) | OWN_CODE == set(ARCHITECTURES)


def test_every_row_says_how_it_was_confirmed() -> None:
    for row in ARCHITECTURES.values():
        assert re.match(r"(read in source|traced|measured)\b", row.evidence), row.model_type


def test_wrappers_hold_modelled_text_models() -> None:
    assert set(WRAPPERS.values()) <= set(ARCHITECTURES)
    assert not set(REFUSED) & set(ARCHITECTURES)


@pytest.mark.parametrize(("model_type", "changes"), VARIANTS)
def test_layers_count_once_each(model_type: str, changes: dict[str, Any]) -> None:
    model = build(tiny(model_type, changes))
    places: Counter[str] = Counter()
    for tensor in tensors(model):
        assert tensor.numel > 0 and all(size > 0 for size in tensor.shape)
        assert ("{layer}" in tensor.name) == (tensor.block is not None)
        assert len(tensor.shape) == {"linear": 2, "embedding": 2, "expert_stack": 3, "conv": 3}.get(
            tensor.kind, len(tensor.shape)
        )
        places[tensor.name] += tensor.count
    assert max(places.values()) <= model.num_hidden_layers
    assert sum(tensor.numel for tensor in tensors(model)) == count_parameters(model)
    assert active_parameters(model) <= count_parameters(model)


@pytest.mark.parametrize(("model_type", "changes"), VARIANTS)
def test_parameters_are_linear_in_layers(model_type: str, changes: dict[str, Any]) -> None:
    model = build(tiny(model_type, changes))
    twice = replace(model, layer_kinds=model.layer_kinds * 2)
    outside = count_parameters(replace(model, layer_kinds=()))
    assert count_parameters(twice) - outside == 2 * (count_parameters(model) - outside)


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
    model = spec("mixtral", num_local_experts=8, num_experts_per_tok=2)
    stack = by_name(model)["model.layers.{layer}.mlp.experts.gate_up_proj"]
    assert (stack.shape, stack.kind, stack.role) == ((8, 192, 64), "expert_stack", "expert")
    experts = 4 * 8 * 3 * 64 * 96
    assert count_parameters(model) - active_parameters(model) == experts * 6 // 8


def test_a_published_active_count_wins() -> None:
    assert (
        active_parameters(replace(spec("mixtral", num_local_experts=8, num_experts_per_tok=2), active_parameters=7))
        == 7
    )


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
    variants = TINY["gemma4_text"]
    names = Counter[str]()
    for tensor in tensors(build(tiny("gemma4_text", variants[0]))):
        names[tensor.name.rpartition("self_attn.")[2]] += tensor.count if "self_attn" in tensor.name else 0
    assert (names["q_proj.weight"], names["k_proj.weight"], names["v_proj.weight"]) == (4, 2, 2)
    model = build(tiny("gemma4_text", variants[1]))
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
        build(tiny("lama", {}))
    with pytest.raises(NotModelled, match=r"deepseek_v4 is not modelled: .*compressed attention"):
        build(tiny("deepseek_v4", {}))
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
        build(tiny("llama", changes))


@pytest.mark.trainers
@pytest.mark.parametrize(("model_type", "changes"), VARIANTS)
def test_names_and_shapes_equal_the_class_of_transformers(model_type: str, changes: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config = tiny(model_type, changes)
    settings = {key: value for key, value in config.items() if key != "model_type"}
    hf = transformers.AutoConfig.for_model(model_type, **settings)
    causal = model_type not in ("bert", "roberta", "xlm-roberta") and "_vl_" not in model_type
    with torch.device("meta"):
        made = (transformers.AutoModelForCausalLM if causal else transformers.AutoModel).from_config(hf)
    theirs: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for name, weight in made.named_parameters():
        # a buffer by its use, a parameter by accident of the class
        if not name.endswith("e_score_correction_bias"):
            theirs[plain(name, causal), canonical(tuple(weight.shape), name)] += 1
    ours: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for tensor in tensors(build(config)):
        if causal or tensor.role != "head":
            ours[plain(tensor.name, causal), canonical(tensor.shape, tensor.name)] += tensor.count
    assert ours == theirs


def plain(name: str, causal: bool) -> str:
    """A name without the number of its layer; that of a text model without head also without its prefix."""
    name = re.sub(r"(\.|^)(layers|h|blocks|layer)\.(\d+|\{layer\})\.", r"\1\2.*.", name, count=1)
    return name if causal else name.removeprefix("model.")


def canonical(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """A shape without its order (GPT-2 and stacked experts are stored transposed), a norm without its heads."""
    if "norm" in name:
        total = 1
        for size in shape:
            total *= size
        return (total,)
    return tuple(sorted(shape))
