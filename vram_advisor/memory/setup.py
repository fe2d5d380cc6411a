"""From workload, plan and recipe to what the step is made of: dtypes, kernels, what is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from vram_advisor.domain.kernels import attention_kernel, loss_kernel
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.optimizer import optimizer
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import ITEMSIZE, Quantization, quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.memory import fully_shard
from vram_advisor.memory.evidence import impossible_adapters, stays_unquantised, untraced
from vram_advisor.memory.loss import HeadHabits
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.sharding import shares
from vram_advisor.memory.step import StepKey
from vram_advisor.memory.trained import Trained, adapter_tensors, all_weights, resolve_targets, saved_modules
from vram_advisor.memory.weights import weight_bytes
from vram_advisor.units.bytes import gib
from vram_advisor.units.errors import BadInput, NotModelled


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """A training run with every choice made; ``set_up`` gives the same one for the same choices."""

    workload: Workload
    plan: Plan
    recipe: Recipe
    storage: Quantization
    kept_itemsize: int
    """Item size of weights that are not quantised [B]."""
    embedding_itemsize: int
    """Item size of embeddings and output layer [B]."""
    trained: tuple[Trained, ...]
    key: StepKey


def resolved(workload: Workload, plan: Plan, recipe: Recipe) -> Plan:
    """The plan with the recipe's choices filled in."""
    full = workload.method == "full"
    fmt = quantization(plan.quantization)
    weights = plan.weights_dtype
    if weights is None:
        if full:
            weights = recipe.full_weights_dtype
        elif fmt.is_quantised:
            weights = "fp16" if fmt.kept_dtype == "fp16" else "bf16"
        else:
            weights = "bf16" if fmt.name == "bf16" and recipe.frozen_weights_dtype == "bf16" else None
            weights = weights or ("fp16" if fmt.name == "fp16" else "fp32")
    autocast = plan.mixed_precision
    if autocast is None:
        runs = weights == "fp32" if full else recipe.autocast and (recipe.quantised_autocast or not fmt.is_quantised)
        autocast = ("fp16" if weights == "fp16" else "bf16") if runs else "none"
    return replace(
        plan,
        quantization=fmt.name,
        optimizer=plan.optimizer or recipe.optimizer,
        gradient_checkpointing=plan.gradient_checkpointing or recipe.gradient_checkpointing,
        attn_implementation=plan.attn_implementation or recipe.attn_implementation,
        loss=plan.loss or recipe.loss,
        mixed_precision=autocast,
        weights_dtype=weights,
    )


def check(model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe) -> None:
    """Refuse combinations that no stack runs or that have no evidence.

    Raises:
        BadInput: the combination contradicts itself.
        NotModelled: there is no evidence for it.
    """
    fmt = quantization(plan.quantization)
    if workload.method == "full" and fmt.is_quantised:
        raise BadInput(
            f"--method full trains every weight, and {fmt.title} weights cannot be trained: use --method qlora."
        )
    if not fmt.trainable:
        raise NotModelled(
            f"Training adapters on {fmt.title} weights is not modelled: use nf4_double, int8, gptq_int4 or bf16."
        )
    reason = untraced(model)
    if reason:
        raise NotModelled(f"Training {model.id} is not modelled: {reason}, and its activations have no evidence.")
    if stays_unquantised(model, fmt.kernel, recipe.linear_experts):
        raise NotModelled(
            f"Training adapters on {model.id} in {fmt.title} is not modelled: transformers 5 leaves its linear layers "
            "unquantised; use --quantization bf16."
        )
    if workload.method == "full":
        return
    targets = resolve_targets(model, frozenset(plan.target_modules), recipe.linear_experts)
    dropout = plan.lora_dropout or recipe.lora_dropout
    reason = impossible_adapters(model, targets, dropout, workload.method == "dora")
    if reason:
        raise BadInput(f"{reason}: leave that out, or name the layers of the attention with --target-modules.")


def promoted(model: ModelSpec, fmt: Quantization, autocast: int | None, targets: frozenset[str]) -> bool:
    """Whether autocast makes the residual stream fp32.

    A layer norm gives fp32 under autocast: behind one that normalises the embedding, or that ends every layer (no norm
    is left for the end of the model), so is the stream, and a 4-bit layer hands the dtype of its input on to its output.
    On a bitsandbytes base so is the output of a layer with DoRA (``targets``; empty without it), as its magnitudes are
    (peft tuners/lora/bnb.py casts back without autocast only).
    """
    if autocast is None:
        return False
    if fmt.kernel in ("bnb_4bit", "bnb_8bit"):
        outward = {b.attention.modules[3] for b in model.blocks if b.attention}
        outward |= {name for b in model.blocks if b.mlp for name in b.mlp.modules}
        if targets and ("all-linear" in targets or targets & outward):
            return True
    norms = {block.norm for block in model.blocks}
    if model.embedding_norm == "layer":
        return True
    return "layer" in norms and (not model.final_norm or fmt.kernel == "bnb_4bit")


def reentrant(plan: Plan, recipe: Recipe, fmt: Quantization) -> bool:
    """Whether checkpointing is reentrant."""
    if plan.use_reentrant is not None:
        return plan.use_reentrant
    return recipe.reentrant or fmt.kernel == "bnb_8bit"


def notes(setup: Setup) -> tuple[str, ...]:
    """What a person has to know about the choices that were made for them."""
    said: list[str] = []
    kernel = setup.storage.kernel
    if kernel == "bnb_8bit" and setup.plan.gradient_checkpointing == "full":
        if setup.key.reentrant:
            said.append(
                "gradient_checkpointing_kwargs={'use_reentrant': True} is assumed: without it the int8 layers of "
                "bitsandbytes keep their inputs and checkpointing saves little."
            )
        else:
            said.append(
                "The int8 layers of bitsandbytes keep their inputs: checkpointing that is not reentrant saves little."
            )
    if kernel in ("bnb_4bit", "bnb_8bit") and setup.recipe.name == "transformers-peft":
        said.append(
            "prepare_model_for_kbit_training is not assumed; a script that calls it needs more: "
            "--recipe transformers-peft-kbit."
        )
    stays = weight_bytes(setup.key.model, setup.storage, setup.kept_itemsize, setup.recipe.linear_experts).experts
    if setup.storage.is_quantised and stays and not setup.recipe.linear_experts and not setup.storage.expert_stacks:
        said.append(
            f"The experts, {gib(stays)}, stay in 16 bits: transformers 5 stacks their weights, and what is stacked is not "
            "quantised. Earlier versions did quantise them."
        )
    if setup.workload.objective == "kto":
        said.append(
            "KTO was read in source (trl), not traced: its policy step is counted like that of a plain fine-tune."
        )
    states = {block.state.kind for block in setup.key.model.blocks if block.state}
    if "gated_delta_net" in states:
        said.append(
            "Gated delta nets are counted as transformers 5.23 runs them in PyTorch: with flash-linear-attention and "
            "causal-conv1d installed they need less."
        )
    return tuple(said)


@lru_cache(maxsize=128)
def set_up(model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe) -> Setup:
    """Make every choice of a training run.

    Raises:
        BadInput, NotModelled: as ``check``, or a name is unknown.
    """
    plan = resolved(workload, plan, recipe)
    check(model, workload, plan, recipe)
    full = workload.method == "full"
    fmt = quantization(plan.quantization)
    assert (
        plan.weights_dtype
        and plan.mixed_precision
        and plan.loss
        and plan.attn_implementation
        and plan.gradient_checkpointing
    )
    base = ITEMSIZE[plan.weights_dtype]
    kbit = fmt.kernel in ("bnb_4bit", "bnb_8bit") and recipe.kbit_prepared
    kept = 4 if kbit else base
    embedding = base if kbit and recipe.kbit_embeddings == "base" else kept
    autocast = None if plan.mixed_precision == "none" else 2
    sharded = plan.sharding in ("fsdp_full", "fsdp_grad_op", "zero3")
    if sharded and full and autocast and kept == 2:
        # accelerate keeps shards of trained weights in fp32 under mixed precision (utils/fsdp_utils.py).
        kept = embedding = 4
    computes = 2 if sharded and (autocast or recipe.gathered_dtype == "bf16") and not kbit else kept
    dtype = recipe.quantised_adapter_dtype if fmt.is_quantised else recipe.adapter_dtype
    adapter = 4 if dtype == "fp32" else base
    targets = frozenset(plan.target_modules)
    fsdp2 = plan.sharding in ("fsdp_full", "fsdp_grad_op") and plan.num_gpus > 1 and recipe.fsdp == 2
    # FSDP2 gathers every weight in the dtype that computes, adapters too.
    casts = fsdp2 and bool(autocast or recipe.gathered_dtype == "bf16")
    computed = 2 if casts else adapter
    if full:
        trained = all_weights(model, kept)
    else:
        trained = adapter_tensors(
            model, plan.lora_r, targets, adapter, workload.method == "dora", recipe.linear_experts
        )
        trained += saved_modules(model, plan.modules_to_save, embedding)
    liger = plan.loss == "liger" and recipe.liger_patches
    named = resolve_targets(model, targets, recipe.linear_experts)
    lengthened = named if workload.method == "dora" else frozenset[str]()
    numerics = Numerics(
        stream=4 if promoted(model, fmt, autocast, lengthened) else computes,
        weight=computes,
        norm_weight=computes,
        autocast=autocast,
        adapter=computed,
        train_base=full,
        lora_r=0 if full else plan.lora_r,
        lora_dropout=0.0 if full else plan.lora_dropout or recipe.lora_dropout,
        repeats_kv=model.architecture in recipe.repeats_kv,
        targets=named,
        softmax_keeps_input=recipe.softmax_keeps_input,
        dora=workload.method == "dora",
        quantization=fmt.kernel,
        attention=attention_kernel(plan.attn_implementation).kernel,
        sdpa=plan.attn_implementation.startswith("sdpa"),
        grouped_sdpa=recipe.grouped_sdpa,
        padded=workload.padding == "padded",
        norm_kernel="fused" if liger else recipe.norm_kernel,
        mlp_kernel="fused" if liger else recipe.mlp_kernel,
        lora_kernel=recipe.lora_kernel,
        linear_experts=recipe.linear_experts,
    )
    head = HeadHabits(
        loss="orpo" if workload.objective == "orpo" else loss_kernel(plan.loss).name,
        outputs_kept=recipe.outputs_kept,
        outputs_in_fp32=recipe.outputs_in_fp32 and autocast is not None,
        head_itemsize=embedding if computes == kept else computes,
        logits_form=recipe.logits_form,
        train_head=full or "lm_head" in plan.modules_to_save,
    )
    optimizer(plan.optimizer or recipe.optimizer)
    units = None
    if fsdp2:
        stored = kept if full else adapter
        units = fully_shard.units(
            model, fmt, plan.num_gpus,
            itemsize=computes,
            adapters=0 if full else sum(t.numel for t in trained) * computed,
            linear_experts=recipe.linear_experts,
            reshards=plan.sharding == "fsdp_full",
            trains_base=full,
            reduced=recipe.reduce_itemsize // computed if casts else 1,
            stored=stored // (computes if full else computed),
        )  # fmt: skip
    key = StepKey(
        model,
        numerics,
        head,
        plan.gradient_checkpointing,
        keep_gradients=workload.gradient_accumulation_steps == 1,
        train_embedding=full or any(t.label.startswith("embed") or "wte" in t.label for t in trained),
        gradient_parts=shares(plan).gradients,
        retains_inputs=plan.sharding in ("fsdp_full", "fsdp_grad_op") and not full and not fsdp2,
        keeps_cache=model.architecture in recipe.keeps_cache,
        fsdp1=plan.sharding in ("fsdp_full", "fsdp_grad_op") and not fsdp2,
        reentrant=reentrant(plan, recipe, fmt),
        outputs_until=recipe.outputs_until,
        units=units,
    )
    return Setup(workload, plan, recipe, fmt, kept, embedding, trained, key)
