"""What the tensors of a model are called in a GGUF file, and which of them are cut, stacked or left out there.

Source: llama.cpp v0.5.0, ``conversion/`` (what the converter does with a checkpoint), ``src/llama-arch.cpp`` (names).
"""

from vram_advisor.domain.architectures.row import Names
from vram_advisor.domain.model import Attention, Block, Experts, Mlp, ModelSpec, StateSpace
from vram_advisor.domain.tensors.layers import join
from vram_advisor.units.errors import NotModelled

Shape = tuple[int, ...]
Pieces = tuple[tuple[str, Shape], ...]
"""Names and shapes in the file."""
Stems = dict[str, str]
"""Module in the checkpoint and stem in the file; what follows the stem (weight, bias) and the shape stay."""
Remade = dict[str, Pieces]
"""Tensors that the converter cuts or renames as a whole."""

GGUF_ARCHITECTURES: dict[str, str] = {
    "arcee": "arcee", "baichuan": "baichuan", "bert": "bert", "bitnet": "bitnet", "bloom": "bloom", "chatglm": "chatglm",
    "cohere": "command-r", "cohere2": "cohere2", "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2",
    "deepseek_v32": "deepseek32", "dots1": "dots1", "ernie4_5": "ernie4_5", "ernie4_5_moe": "ernie4_5-moe",
    "exaone4": "exaone4", "falcon": "falcon", "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3",
    "gemma3n_text": "gemma3n", "gemma4_text": "gemma4", "glm": "chatglm", "glm4": "glm4", "glm4_moe": "glm4moe",
    "glm4_moe_lite": "deepseek2", "glm_moe_dsa": "glm-dsa", "gpt2": "gpt2", "gpt_bigcode": "starcoder",
    "gpt_neox": "gptneox", "gpt_oss": "gpt-oss", "granite": "granite", "granitemoe": "granitemoe",
    "granitemoehybrid": "granitehybrid", "granitemoeshared": "granitemoe", "hunyuan_v1_dense": "hunyuan-dense",
    "hunyuan_v1_moe": "hunyuan-moe", "internlm2": "internlm2", "internlm3": "llama", "kimi_k2": "deepseek2",
    "lfm2": "lfm2", "lfm2_moe": "lfm2moe", "llama": "llama", "llama4_text": "llama4", "mamba2": "mamba2",
    "minimax_m2": "minimax-m2", "ministral": "llama", "ministral3": "mistral3", "mistral": "llama", "mixtral": "llama",
    "mpt": "mpt", "nemotron": "nemotron", "nemotron_h": "nemotron_h", "olmo": "olmo", "olmo2": "olmo2",
    "olmo3": "olmo2", "olmoe": "olmoe", "phi": "phi2", "phi3": "phi3", "phimoe": "phimoe", "qwen": "qwen",
    "qwen2": "qwen2", "qwen2_5_vl_text": "qwen2vl", "qwen2_moe": "qwen2moe", "qwen2_vl_text": "qwen2vl",
    "qwen3": "qwen3", "qwen3_5_moe_text": "qwen35moe", "qwen3_5_text": "qwen35", "qwen3_moe": "qwen3moe",
    "qwen3_next": "qwen3next", "qwen3_vl_moe_text": "qwen3vlmoe", "qwen3_vl_text": "qwen3vl", "roberta": "bert",
    "seed_oss": "seed_oss", "smollm3": "smollm3", "stablelm": "stablelm", "starcoder2": "starcoder2",
    "xlm-roberta": "bert",
}  # fmt: skip
"""``general.architecture`` of a file, by ``model_type``."""
UNWRITTEN_GRAPHS = frozenset({"bert", "deepseek_v32", "glm_moe_dsa", "roberta", "xlm-roberta"})
"""Of these the file is known and what llama.cpp computes is not: encoders, and attention that chooses its tokens."""

CUT_QKV = frozenset({"baichuan", "internlm2"})
"""Their fused query, key and value become three tensors; others stay fused."""
WHOLE_GATE_UP = frozenset({"chatglm", "glm", "glm4", "phi3"})
"""Their fused gate and up of a dense layer stay one tensor, called up; others become two."""
WHOLE_EXPERTS = frozenset({"gemma4_text"})
"""Their fused gate and up of the experts stay one tensor."""
PER_HEAD_NORMS = frozenset({"cohere", "stablelm"})
"""Their norms of queries and keys have one row per head."""
SECOND_IS_POST = frozenset({"glm4_moe", "gpt_oss", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "seed_oss"})
"""Their second norm is filed as one behind the attention, though it is one in front of the MLP."""

NORMS: Stems = {
    "input_layernorm": "attn_norm", "ln_1": "attn_norm", "norm_1": "attn_norm", "attention_norm": "attn_norm",
    "operator_norm": "attn_norm", "norm": "attn_norm", "ln_mlp": "attn_norm", "ln_attn": "attn_norm_2",
    "post_attention_layernorm": "ffn_norm", "ln_2": "ffn_norm", "norm_2": "ffn_norm", "ffn_norm": "ffn_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "post_self_attn_layernorm": "post_attention_norm", "post_mlp_layernorm": "post_ffw_norm",
    "post_feedforward_layernorm_1": "post_ffw_norm_1", "post_feedforward_layernorm_2": "post_ffw_norm_2",
    "pre_feedforward_layernorm_2": "pre_ffw_norm_2", "attention.output.LayerNorm": "attn_output_norm",
    "output.LayerNorm": "layer_output_norm",
}  # fmt: skip
"""Norms of a layer."""
EXTRA: Stems = {
    "self_attn.attn_sub_norm": "attn_sub_norm", "mlp.ffn_sub_norm": "ffn_sub_norm",
    "per_layer_input_gate": "inp_gate", "per_layer_projection": "proj", "post_per_layer_input_norm": "post_norm",
    "altup.correction_coefs": "altup_correct_coef", "altup.prediction_coefs": "altup_predict_coef",
    "altup.modality_router": "altup_router", "altup.router_norm": "altup_router_norm", "laurel.linear_left": "laurel_l",
    "laurel.linear_right": "laurel_r", "laurel.post_laurel_norm": "laurel_post_norm",
    "mixer.fc1_latent_proj": "ffn_latent_down", "mixer.fc2_latent_proj": "ffn_latent_up",
}  # fmt: skip
"""Other weights of a layer."""
OUTSIDE: Stems = {
    "model.embed_tokens_per_layer": "per_layer_token_embd", "model.per_layer_model_projection": "per_layer_model_proj",
    "model.per_layer_projection_norm": "per_layer_proj_norm", "embeddings.token_type_embeddings": "token_types",
}  # fmt: skip
"""Other weights outside the layers."""
LATENT: Stems = {
    "q_proj": "attn_q", "q_a_proj": "attn_q_a", "q_a_layernorm": "attn_q_a_norm", "q_b_proj": "attn_q_b",
    "kv_a_proj_with_mqa": "attn_kv_a_mqa", "kv_a_layernorm": "attn_kv_a_norm", "o_proj": "attn_output",
    "indexer.wq_b": "indexer.attn_q_b", "indexer.wk": "indexer.attn_k", "indexer.k_norm": "indexer.k_norm",
    "indexer.weights_proj": "indexer.proj",
}  # fmt: skip
"""Weights of multi-head latent attention."""


def gguf_architecture(model: ModelSpec) -> str:
    """``general.architecture`` of the file.

    Raises:
        NotModelled: llama.cpp does not run the architecture.
    """
    name = GGUF_ARCHITECTURES.get(model.architecture)
    if name is None:
        raise NotModelled(
            f"{model.id} has no GGUF file: llama.cpp does not run the architecture {model.architecture}; use "
            "--runtime transformers."
        )
    return "nemotron_h_moe" if name == "nemotron_h" and any(block.experts for block in model.blocks) else name


def rows(path: str, stems: tuple[str, ...], outputs: tuple[int, ...], inputs: int) -> Remade:
    """One linear layer cut into several by its outputs, with its bias."""
    pairs = tuple(zip(stems, outputs, strict=True))
    return {
        f"{path}.weight": tuple((f"{stem}.weight", (out, inputs)) for stem, out in pairs),
        f"{path}.bias": tuple((f"{stem}.bias", (out,)) for stem, out in pairs),
    }


def grouped_query(part: Attention, model: ModelSpec, names: Names) -> tuple[Stems, Remade]:
    """Softmax attention with separate or fused projections."""
    path = names.attention
    query, key, value, output = (join(path, module) for module in part.modules)
    stems = {output: "attn_output", join(path, names.qk_norms[0]): "attn_q_norm"}
    stems[join(path, names.qk_norms[1])] = "attn_k_norm"
    remade: Remade = {join(path, "sinks"): (("attn_sinks.weight", (part.num_attention_heads,)),)}
    if part.qk_norm == "full" and model.architecture in PER_HEAD_NORMS:
        for name, stem, heads in (
            (names.qk_norms[0], "attn_q_norm", part.num_attention_heads),
            (names.qk_norms[1], "attn_k_norm", part.num_key_value_heads),
        ):
            remade[join(path, f"{name}.weight")] = ((f"{stem}.weight", (heads, part.head_dim)),)
    if query != key:
        stems |= {query: "attn_q", key: "attn_k", value: "attn_v"}
    elif model.architecture in CUT_QKV:
        widths = (part.query_size, part.key_size, part.value_size)
        remade |= rows(query, ("attn_q", "attn_k", "attn_v"), widths, model.hidden_size)
    else:
        stems[query] = "attn_qkv"
    return stems, remade


def latent(part: Attention, names: Names) -> tuple[Stems, Remade]:
    """Latent attention: the projection out of the latent space becomes one of keys, transposed, and one of values."""
    heads, rank = part.num_attention_heads, part.kv_lora_rank or 0
    stems = {join(names.attention, module): stem for module, stem in LATENT.items()}
    keys = ("attn_k_b.weight", (heads, rank, part.qk_nope_head_dim or 0))
    values = ("attn_v_b.weight", (heads, part.v_head_dim, rank))
    return stems, {join(names.attention, "kv_b_proj.weight"): (keys, values)}


def mlp(part: Mlp, hidden: int, names: Names, whole: bool) -> tuple[Stems, Remade]:
    """The dense feed-forward layer."""
    *inputs, down = (join(names.mlp, module) for module in part.modules)
    if len(inputs) == 2 and inputs[0] == inputs[1] and not whole:
        return {down: "ffn_down"}, rows(inputs[0], ("ffn_gate", "ffn_up"), (part.intermediate_size,) * 2, hidden)
    return {inputs[0]: "ffn_gate", inputs[-1]: "ffn_up", down: "ffn_down"}, {}


def experts(part: Experts, hidden: int, names: Names, whole: bool) -> tuple[Stems, Remade]:
    """Router, experts in stacks, and the expert that every token passes."""
    count, wide, inner = part.num_experts, part.moe_intermediate_size, part.latent_size or hidden
    inputs = ("ffn_gate_exps", "ffn_up_exps") if part.gated else ("ffn_up_exps",)
    outputs = (wide,) * len(inputs)
    if whole:
        inputs, outputs = ("ffn_gate_up_exps",), (2 * wide,)
    up = join(names.experts, "gate_up_proj" if part.gated else "up_proj")
    down = join(names.experts, "down_proj")
    pairs = tuple(zip(inputs, outputs, strict=True))
    remade: Remade = {
        up: tuple((f"{stem}.weight", (count, out, inner)) for stem, out in pairs),
        f"{up}_bias": tuple((f"{stem}.bias", (count, out)) for stem, out in pairs),
        down: (("ffn_down_exps.weight", (count, inner, wide)),),
        f"{down}_bias": (("ffn_down_exps.bias", (count, inner)),),
        "router.scale": (("ffn_gate_inp.scale", (hidden,)),),
        "router.per_expert_scale": (("ffn_down_exps.scale", (count,)),),
    }
    *shared, out = (join(names.shared, module) for module in names.shared_modules)
    stems = {names.router: "ffn_gate_inp", out: "ffn_down_shexp", f"{names.shared}_gate": "ffn_gate_inp_shexp"}
    if len(shared) == 2 and shared[0] == shared[1]:
        both = (part.shared_expert_intermediate_size,) * 2
        return stems, remade | rows(shared[0], ("ffn_gate_shexp", "ffn_up_shexp"), both, hidden)
    return {shared[0]: "ffn_gate_shexp", shared[-1]: "ffn_up_shexp"} | stems, remade


def state(part: StateSpace, hidden: int, names: Names) -> tuple[Stems, Remade]:
    """A layer with a state of fixed size; its convolution loses the dimension of one."""
    path, heads = names.state, part.num_heads
    stem = "shortconv.{}" if part.kind == "short_conv" else "ssm_{}"
    inputs, out = ("in_proj", "out_proj") if part.kind == "short_conv" else ("in", "out")
    conv = "conv" if part.kind == "short_conv" else "conv1d"
    stems = {join(path, "in_proj"): stem.format(inputs), join(path, "out_proj"): stem.format(out)}
    stems[join(path, conv)] = stem.format(conv)
    remade: Remade = {
        join(path, f"{conv}.weight"): ((f"{stem.format(conv)}.weight", (part.conv_channels, part.conv_kernel)),),
        join(path, "dt_bias"): (("ssm_dt.bias", (heads,)),),
    }
    if part.kind == "mamba2":
        remade |= {join(path, name): ((found, (heads, 1)),) for name, found in (("A_log", "ssm_a"), ("D", "ssm_d"))}
        groups = (part.num_groups, part.inner_size // part.num_groups)
        remade[join(path, "norm.weight")] = (("ssm_norm.weight", groups),)
    elif part.kind == "gated_delta_net":
        remade[join(path, "A_log")] = (("ssm_a", (heads,)),)
        stems |= {join(path, "norm"): "ssm_norm", join(path, "in_proj_ba"): "ssm_ba"}
        stems |= {join(path, "in_proj_b"): "ssm_beta", join(path, "in_proj_a"): "ssm_alpha"}
        stems |= {join(path, "in_proj_qkv"): "attn_qkv", join(path, "in_proj_z"): "attn_gate"}
        widths = (part.conv_channels, part.inner_size)
        remade |= rows(join(path, "in_proj_qkvz"), ("attn_qkv", "attn_gate"), widths, hidden)
    return stems, remade


def norms(model: ModelSpec, names: Names) -> Stems:
    """Norms of a layer; the second of two is one behind the attention in some families."""
    behind = names.norms[0] == "post_attention_layernorm" or "pre_feedforward_layernorm" in names.norms
    if behind or model.architecture in SECOND_IS_POST:
        return NORMS | {"post_attention_layernorm": "post_attention_norm"}
    return NORMS


def layer_names(model: ModelSpec, block: Block, names: Names) -> tuple[Stems, Remade]:
    """What the tensors of one kind of layer become."""
    kind, hidden = model.architecture, model.hidden_size
    found: list[tuple[Stems, Remade]] = [(norms(model, names) | EXTRA, {})]
    if block.attention:
        if block.attention.kind == "mla":
            found.append(latent(block.attention, names))
        else:
            found.append(grouped_query(block.attention, model, names))
    if block.state:
        found.append(state(block.state, hidden, names))
    if block.mlp:
        found.append(mlp(block.mlp, hidden, names, kind in WHOLE_GATE_UP))
    if block.experts:
        found.append(experts(block.experts, hidden, names, kind in WHOLE_EXPERTS))
    stems: Stems = {}
    remade: Remade = {}
    for more, pieces in found:
        stems |= more
        remade |= pieces
    return stems, remade
