"""Every architecture on a small configuration: laws of its tensors, and the class of transformers as judge."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from vram_advisor.domain.architectures import ARCHITECTURES, REFUSED, WRAPPERS, build
from vram_advisor.domain.tensors import active_parameters, count_parameters, tensors

Config = dict[str, Any]

BASE: Config = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 256,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
EXPERTS: Config = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LOCAL_EXPERTS: Config = {"num_local_experts": 4, "num_experts_per_tok": 2}
ROUTED: Config = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
}
LATENT: Config = {
    **ROUTED,
    "num_key_value_heads": 4,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
}
INDEXED: Config = {**LATENT, "index_n_heads": 2, "index_head_dim": 16, "index_topk": 4}
DELTA: Config = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 4,
    "head_dim": 32,
}
MAMBA: Config = {
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 2,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
}
GPT: Config = {
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 128,
    "vocab_size": 256,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
BERT: Config = {**BASE, "type_vocab_size": 2, "hidden_act": "gelu"}
del BERT["num_key_value_heads"]
SLIDING = ["sliding_attention", "full_attention"] * 2

TINY: dict[str, list[Config]] = {
    "llama": [{}, {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}],
    "mistral": [{"sliding_window": 16}, {"head_dim": 32, "sliding_window": None}],
    "ministral": [{"sliding_window": 16, "head_dim": 16}],
    "ministral3": [{"head_dim": 32}],
    "qwen2": [{}, {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 2}],
    "qwen3": [{"head_dim": 32}, {"attention_bias": True}],
    "smollm3": [{}, {"no_rope_layers": [1, 0, 1, 0]}],
    "granite": [{}, {"attention_bias": True, "mlp_bias": True}],
    "olmo": [{}],
    "olmo2": [{}],
    "olmo3": [{"sliding_window": 16, "layer_types": SLIDING}],
    "exaone4": [{"sliding_window": 16, "sliding_window_pattern": 4}],
    "seed_oss": [{"head_dim": 16}],
    "internlm3": [{}, {"qkv_bias": True, "bias": True}],
    "ernie4_5": [{"head_dim": 16}, {"head_dim": 16, "use_bias": True, "tie_word_embeddings": False}],
    "hunyuan_v1_dense": [{"head_dim": 16}],
    "arcee": [{}, {"mlp_bias": True}],
    "bitnet": [{}],
    "qwen2_vl_text": [{}],
    "qwen2_5_vl_text": [{}],
    "qwen3_vl_text": [{"head_dim": 16}],
    "phi3": [{"sliding_window": 16}],
    "glm": [{"head_dim": 16}, {"head_dim": 16, "attention_bias": False}],
    "glm4": [{"head_dim": 16}],
    "nemotron": [{"head_dim": 16}, {"head_dim": 16, "attention_bias": True, "mlp_bias": True}],
    "stablelm": [{}, {"use_qkv_bias": True, "use_parallel_residual": True}],
    "cohere": [{}, {"attention_bias": True}],
    "cohere2": [{"sliding_window": 16, "layer_types": SLIDING}],
    "starcoder2": [{}, {"use_bias": False, "tie_word_embeddings": False}],
    "gpt2": [GPT, {**GPT, "n_inner": 100}],
    "gpt_bigcode": [GPT, {**GPT, "multi_query": False}],
    "opt": [
        {"ffn_dim": 96, "word_embed_proj_dim": 64},
        {"ffn_dim": 96, "word_embed_proj_dim": 32, "do_layer_norm_before": False},
    ],
    "bloom": [{"n_layer": 3, "n_head": 4}],
    "falcon": [
        {},
        {"new_decoder_architecture": True, "num_kv_heads": 2},
        {"parallel_attn": False, "multi_query": False, "bias": True, "alibi": True},
    ],
    "mpt": [{"vocab_size": 256, "d_model": 64, "n_layers": 3, "n_heads": 4, "max_seq_len": 128}],
    "gptj": [{**GPT, "rotary_dim": 8}],
    "gpt_neox": [{}, {"attention_bias": False, "use_parallel_residual": False, "tie_word_embeddings": True}],
    "phi": [{}],
    "bert": [BERT],
    "roberta": [BERT],
    "xlm-roberta": [BERT],
    "mixtral": [LOCAL_EXPERTS],
    "qwen2_moe": [
        {**EXPERTS, "shared_expert_intermediate_size": 48},
        {**EXPERTS, "shared_expert_intermediate_size": 48, "mlp_only_layers": [0], "decoder_sparse_step": 2},
    ],
    "qwen3_moe": [{**EXPERTS, "head_dim": 32}, {**EXPERTS, "head_dim": 32, "mlp_only_layers": [0, 2]}],
    "qwen3_vl_moe_text": [{**EXPERTS, "head_dim": 16}],
    "olmoe": [{"num_experts": 4, "num_experts_per_tok": 2}],
    "granitemoe": [LOCAL_EXPERTS],
    "granitemoeshared": [{**LOCAL_EXPERTS, "shared_intermediate_size": 48}],
    "phimoe": [LOCAL_EXPERTS, {**LOCAL_EXPERTS, "attention_bias": True, "lm_head_bias": True}],
    "gpt_oss": [{**LOCAL_EXPERTS, "head_dim": 16, "sliding_window": 16}],
    "minimax_m2": [{**LOCAL_EXPERTS, "head_dim": 16, "rotary_dim": 8}],
    "glm4_moe": [{**ROUTED, "head_dim": 16}, {**ROUTED, "head_dim": 16, "use_qk_norm": True, "attention_bias": True}],
    "dots1": [{**ROUTED, "head_dim": 16, "sliding_window": None}],
    "ernie4_5_moe": [
        {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 32, "moe_num_shared_experts": 2},
        {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 32, "moe_layer_interval": 2},
    ],
    "hunyuan_v1_moe": [{"num_experts": 4, "moe_topk": 2, "head_dim": 16}],
    "llama4_text": [
        {**LOCAL_EXPERTS, "head_dim": 16, "intermediate_size_mlp": 80, "interleave_moe_layer_step": 2},
        {**LOCAL_EXPERTS, "head_dim": 16, "moe_layers": [1, 2], "attention_chunk_size": 16},
    ],
    "deepseek_v2": [LATENT, {**LATENT, "q_lora_rank": None}],
    "deepseek_v3": [LATENT, {**LATENT, "attention_bias": True}],
    "deepseek_v32": [INDEXED],
    "glm4_moe_lite": [LATENT],
    "glm_moe_dsa": [INDEXED],
    "gemma": [{"head_dim": 32}],
    "gemma2": [{"head_dim": 32, "sliding_window": 16}],
    "gemma3_text": [{"head_dim": 32, "sliding_window": 16, "sliding_window_pattern": 2}],
    "gemma3n_text": [
        {
            "head_dim": 32,
            "layer_types": SLIDING,
            "num_kv_shared_layers": 2,
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 200,
            "laurel_rank": 4,
            "intermediate_size": [96, 96, 64, 64],
            "activation_sparsity_pattern": None,
        }
    ],
    "gemma4_text": [
        {
            "head_dim": 16,
            "global_head_dim": 32,
            "layer_types": SLIDING,
            "num_kv_shared_layers": 2,
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 200,
            "use_double_wide_mlp": True,
        },
        {
            "head_dim": 16,
            "global_head_dim": 32,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            "layer_types": SLIDING,
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
        },
    ],
    "qwen3_next": [{**DELTA, **EXPERTS, "shared_expert_intermediate_size": 48}],
    "qwen3_5_text": [DELTA, {**DELTA, "full_attention_interval": 2, "attention_bias": True}],
    "qwen3_5_moe_text": [{**DELTA, **EXPERTS, "shared_expert_intermediate_size": 48}],
    "granitemoehybrid": [
        {**MAMBA, "layer_types": ["mamba", "attention"] * 2, "num_local_experts": 0, "shared_intermediate_size": 48},
        {**MAMBA, **LOCAL_EXPERTS, "layer_types": ["mamba", "attention"] * 2, "shared_intermediate_size": 48},
    ],
    "nemotron_h": [
        {
            "hybrid_override_pattern": "M*-E",
            "head_dim": 16,
            "mamba_num_heads": 8,
            "mamba_head_dim": 16,
            "ssm_state_size": 8,
            "n_groups": 2,
            "conv_kernel": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "moe_shared_expert_intermediate_size": 48,
            "moe_latent_size": latent,
        }
        for latent in (None, 24)
    ],
    "lfm2": [
        {"full_attn_idxs": [1, 3], "block_auto_adjust_ff_dim": False},
        {"full_attn_idxs": [1], "block_ff_dim": 200, "block_multiple_of": 32, "conv_bias": True},
    ],
    "lfm2_moe": [{**EXPERTS, "num_dense_layers": 1, "layer_types": ["conv", "full_attention"] * 2}],
    "mamba2": [
        {"num_heads": 8, "head_dim": 16, "state_size": 8, "n_groups": 2, "conv_kernel": 4, "use_conv_bias": False}
    ],
}
"""For each ``model_type`` the fields that are added to BASE, one entry per variant."""

OWN_CODE = frozenset({"internlm2", "baichuan", "qwen", "chatglm", "kimi_k2"})
"""Architectures whose code lives in their repositories: there is no class to compare with."""

BARE = {"gpt2", "gpt_bigcode", "gptj", "mpt"}


def tiny(model_type: str, changes: Config) -> Config:
    """The configuration of one variant."""
    base = {} if model_type in BARE else BASE
    return {"model_type": model_type, **base, **changes}


VARIANTS = [
    pytest.param(model_type, changes, id=f"{model_type}-{index}")
    for model_type, variants in TINY.items()
    for index, changes in enumerate(variants)
]


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
