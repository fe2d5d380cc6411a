"""From workload, plan and recipe to what an inference run is made of: formats, kernels, the shape of the cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.kernels import attention_kernel, fused_attention
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import ITEMSIZE, Quantization, quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.serving import Serving, serving
from vram_advisor.memory.kv_cache import BITS, CacheForm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.units.errors import BadInput, NotModelled

ATTENTION = "sdpa"
"""What transformers chooses where nothing is asked for; architectures without it are written out."""


@dataclass(frozen=True, slots=True)
class Session:
    """An inference run with every choice made."""

    model: ModelSpec
    plan: Plan
    serving: Serving
    storage: Quantization
    itemsize: int
    """Item size of weights that are not quantised, of activations and of the cache [B]."""
    linear_experts: bool
    """A quantizer reaches every expert."""
    numerics: Numerics
    form: CacheForm
    """The cache while tokens are generated."""
    prompt_form: CacheForm
    """The cache while the prompt is read: windows are cut afterwards where it grows."""

    @property
    def grows(self) -> bool:
        """The cache grows token by token."""
        return self.serving.cache != "allocated" and self.plan.cache_implementation == "dynamic"


def resolved_inference(plan: Plan) -> Plan:
    """The plan with the choices that the format and the program make."""
    fmt = quantization(plan.quantization)
    return replace(
        plan,
        quantization=fmt.name,
        attn_implementation=plan.attn_implementation or ATTENTION,
        weights_dtype=plan.weights_dtype or fmt.kept_dtype,  # type: ignore[arg-type]
    )


def check_inference(model: ModelSpec, plan: Plan) -> None:
    """Refuse what contradicts itself or has no evidence.

    Raises:
        BadInput: the combination contradicts itself.
        NotModelled: there is no evidence for it.
    """
    fmt = quantization(plan.quantization)
    if not model.causal:
        raise NotModelled(f"Inference with {model.id} is not modelled: an encoder generates nothing.")
    if fmt.kernel == "gguf":
        raise BadInput(
            f"{fmt.title} is a file type of llama.cpp, and transformers unpacks such a file to 16 bits as it loads it: use "
            "--runtime llama.cpp, or --quantization bf16 for what transformers would need."
        )
    if plan.offload != "none":
        raise NotModelled("Inference with weights in host memory is not modelled: use --offload none.")
    if plan.sharding != "none":
        raise BadInput("--sharding is for training; at inference --num-gpus alone splits the model.")
    if fmt.only_experts and not any(block.experts for block in model.blocks):
        raise NotModelled(f"{fmt.title}: {model.id} has no experts, so nothing would be quantised.")
    if fmt.is_quantised and plan.weights_dtype == "fp32":
        raise NotModelled(f"{fmt.title} weights beside 32-bit ones are not modelled at inference.")


def cache_form(model: ModelSpec, plan: Plan, serving: Serving, itemsize: int) -> CacheForm:
    """How the cache is stored.

    Raises:
        BadInput, NotModelled: a cache type that the program does not have.
    """
    base = CacheForm(itemsize, windows=serving.windows, every_head=model.architecture == "falcon")
    types = {plan.cache_type_k, plan.cache_type_v}
    for name in types - {None} - set(BITS):
        if ITEMSIZE[name or ""] != itemsize:
            raise BadInput(
                f"transformers keeps the cache in the dtype of the weights: {name} needs --weights-dtype {name}."
            )
    chosen = types & set(BITS)
    if not chosen:
        return base
    if len(types) > 1:
        raise BadInput(
            "transformers quantises keys and values alike: set --cache-type-k and --cache-type-v to one type."
        )
    if plan.cache_implementation == "static":
        raise BadInput("A cache is quantised or static, not both: use --cache-implementation dynamic.")
    for block in model.blocks:
        a = block.attention
        if block.state or (a and (a.kind == "mla" or a.sliding_window is not None)):
            raise NotModelled(
                f"transformers quantises the cache only where all layers are full attention: {model.id} has others."
            )
    name = chosen.pop()
    return replace(base, key=name, value=name)


@lru_cache(maxsize=1024)
def open_session(model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe) -> Session:
    """Make every choice of an inference run with transformers or a program like it.

    Raises:
        BadInput, NotModelled: a combination that no program runs or that has no evidence.
    """
    plan = resolved_inference(plan)
    check_inference(model, plan)
    habits = serving(recipe.name)
    fmt = quantization(plan.quantization)
    if habits.unties_head:
        model = replace(model, tie_word_embeddings=False)
    assert plan.weights_dtype and plan.attn_implementation
    itemsize = ITEMSIZE[plan.weights_dtype]
    numerics = Numerics(
        stream=itemsize,
        weight=itemsize,
        norm_weight=itemsize,
        quantization=fmt.kernel,
        attention=attention_kernel(plan.attn_implementation).kernel,
        sdpa=plan.attn_implementation.startswith("sdpa"),
        padded=workload.padding == "padded",
        grouped_sdpa=habits.name == "transformers",
        linear_experts=habits.linear_experts,
    )
    form = cache_form(model, plan, habits, itemsize)
    grows = habits.cache != "allocated" and plan.cache_implementation == "dynamic"
    # A growing cache cuts windows with views: what was read with the prompt stays until the next token.
    prompt_form = replace(form, windows=form.windows and not grows)
    linear = habits.linear_experts or fmt.kernel == "gptq"
    return Session(model, plan, habits, fmt, itemsize, linear, numerics, form, prompt_form)


def on_device(session: Session, device: Device | None) -> Session:
    """The run on a card, whose scaled_dot_product_attention may have no flash attention."""
    n, dtype = session.numerics, session.plan.weights_dtype
    if device is None or not n.sdpa or n.attention != "flash" or dtype is None:
        return session
    fused = fused_attention(device.compute_capability, device.system, dtype)
    return session if fused == "flash" else replace(session, numerics=replace(n, fused_attention=fused))
