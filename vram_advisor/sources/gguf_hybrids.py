"""Fields of models whose layers differ in kind: the file says it with one number of key heads for each layer, or a list.

Source: llama.cpp v0.5.0 ``src/models`` (load_arch_hparams), ``conversion/``.
"""

from vram_advisor.sources.gguf_keys import GgufKeys
from vram_advisor.units.errors import NotModelled

Config = dict[str, object]
PERIOD = 4
"""Of the full layers among delta nets where the file does not say it."""


def kinds(keys: GgufKeys, state: str) -> list[str]:
    """Kind of each layer: a state where it has no key heads, else attention."""
    heads = keys.per_layer("attention.head_count_kv") or (1,) * keys.layers
    return ["full_attention" if count else state for count in heads]


def heads_and_width(keys: GgufKeys) -> tuple[int, int]:
    """Heads of the state and width of one [elements]."""
    heads = keys.required("ssm.time_step_rank", 1 << 16)
    inner = keys.required("ssm.inner_size", 1 << 22)
    if inner % heads:
        raise keys.wrong("ssm.inner_size", inner, f"a multiple of the {heads} heads")
    return heads, inner // heads


def mamba2(keys: GgufKeys) -> Config:
    """Mamba-2."""
    heads, width = heads_and_width(keys)
    return {
        "mamba_n_heads": heads,
        "mamba_d_head": width,
        "mamba_d_state": keys.positive("ssm.state_size"),
        "mamba_n_groups": keys.positive("ssm.group_count"),
        "mamba_d_conv": keys.positive("ssm.conv_kernel"),
        "use_conv_bias": keys.has("ssm_conv1d.bias"),
    }


def lfm2(keys: GgufKeys) -> Config:
    """LFM2: short convolutions where a layer has no key heads."""
    return {
        "layer_types": kinds(keys, "conv"),
        "block_auto_adjust_ff_dim": False,
        "conv_L_cache": keys.positive("shortconv.l_cache"),
        "num_dense_layers": keys.integer("leading_dense_block_count"),
    }


def granite_hybrid(keys: GgufKeys) -> Config:
    """Granite 4: Mamba-2 or attention, a shared MLP, experts in some sizes."""
    wide = keys.positive("feed_forward_length")
    return mamba2(keys) | {
        "layer_types": kinds(keys, "mamba"),
        "shared_intermediate_size": keys.positive("expert_shared_feed_forward_length") or wide,
        "num_local_experts": keys.integer("expert_count") or 0,
        "num_experts": None,
        "moe_intermediate_size": None,
        # the switch of positions in these files
        "position_embedding_type": None if keys.flag("rope.scaling.finetuned") is False else "rope",
    }


def nemotron_h(keys: GgufKeys) -> Config:
    """Nemotron-H: each layer is one part."""
    for key in ("expert_used_count", "expert_feed_forward_length"):
        if len(set(keys.per_layer(key) or ()) - {0}) > 1:
            raise NotModelled(f"{keys.where}: {keys.architecture}.{key} differs between layers, which is not modelled")
    heads = keys.per_layer("attention.head_count_kv") or (0,) * keys.layers
    widths = keys.per_layer("feed_forward_length") or (0,) * keys.layers
    types = []
    for layer, (count, width) in enumerate(zip(heads, widths, strict=True)):
        if f"blk.{layer}.ffn_gate_inp.weight" in keys.tensors:
            types.append("moe")
        else:
            types.append("attention" if count else "mlp" if width else "mamba")
    return mamba2(keys) | {
        "layers_block_type": types,
        "moe_shared_expert_intermediate_size": keys.positive("expert_shared_feed_forward_length"),
        "moe_latent_size": keys.positive("moe_latent_size"),
    }


def qwen_hybrid(keys: GgufKeys) -> Config:
    """Qwen3-Next and Qwen3.5: gated delta nets, full attention in every fourth place."""
    heads, width = heads_and_width(keys)
    listed = keys.per_layer("attention.recurrent_layers")
    if listed is None:
        period = keys.positive("full_attention_interval") or PERIOD
        listed = tuple(int((layer + 1) % period > 0) for layer in range(keys.layers))
    return {
        "layer_types": ["linear_attention" if keeps else "full_attention" for keeps in listed],
        "linear_num_value_heads": heads,
        "linear_value_head_dim": width,
        "linear_key_head_dim": keys.positive("ssm.state_size"),
        "linear_num_key_heads": keys.positive("ssm.group_count"),
        "linear_conv_kernel_dim": keys.positive("ssm.conv_kernel"),
    }
