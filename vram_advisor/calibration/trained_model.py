"""The model that a trial trains, built as its recipe builds it, with random weights (torch, transformers, PEFT).

Sources: transformers ``trainer.py``, ``modeling_utils.py``; peft ``mapping_func.py``, ``utils/other.py``; trl
``trainer/sft_trainer.py``; the loop of peft ``method_comparison/MetaMathQA/run.py``.
"""

import importlib.util
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from vram_advisor.calibration.quantised_layers import check_format, quantise
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.trial import Trial
from vram_advisor.memory.setup import reentrant
from vram_advisor.units.errors import BadInput, Missing, NotModelled

RECIPES = ("transformers-peft", "transformers-peft-16bit", "transformers-peft-kbit", "trl", "peft-loop")
"""Recipes whose code runs here."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LONGEST = 240
"""Characters of what a library says that are shown."""
ATTENTION: dict[str, str | None] = {"sdpa": None, "sdpa_efficient": "sdpa", "sdpa_math": "sdpa"}
"""What transformers is asked for where it differs from the plan; None: sdpa where the architecture has it, else eager."""


def check_trial(trial: Trial) -> None:
    """Refuse what does not run here.

    Raises:
        NotModelled, Missing: one sentence that says what runs or what to install.
    """
    plan, workload = trial.plan, trial.workload
    if plan.recipe not in RECIPES:
        raise NotModelled(f"--recipe {plan.recipe} does not run here: use one of {', '.join(RECIPES)}.")
    if not workload.trains:
        raise BadInput(f"--method {workload.method} does not train: use lora, qlora, dora or full.")
    if workload.objective != "sft":
        raise NotModelled(f"--objective {workload.objective} does not run here: use sft.")
    if plan.gradient_checkpointing not in ("none", "full"):
        raise NotModelled(
            f"--gradient-checkpointing {plan.gradient_checkpointing} does not run here: use none or full."
        )
    if plan.sharding not in ("none", "ddp") or plan.offload != "none":
        raise NotModelled("Sharded and offloaded training does not run here: use --sharding none or ddp.")
    if plan.loss not in ("standard", "trl_fused_head", "liger"):
        raise NotModelled(f"--loss {plan.loss} does not run here: use standard, trl_fused_head or liger.")
    for package, name, wanted in (
        ("trl", f"--loss {plan.loss}", plan.loss == "trl_fused_head"),
        (
            "flash_attn",
            "flash_attention_2",
            plan.attn_implementation == "flash_attention_2" and trial.backend != "fake",
        ),
    ):
        if wanted and importlib.util.find_spec(package) is None:
            raise Missing(f"{name} needs {package}, which is not installed: pip install {package.replace('_', '-')}.")
    unpads = workload.padding == "padded" and plan.attn_implementation == "flash_attention_2"
    if unpads and trial.backend == "fake":
        raise NotModelled(
            "Padded sequences under flash_attention_2 cannot be traced: how much is padding is not known without values. "
            "Use --attn-implementation sdpa."
        )
    if plan.loss == "liger" and (trial.backend == "fake" or importlib.util.find_spec("liger_kernel") is None):
        raise NotModelled("--loss liger runs on a GPU with liger-kernel installed only: use --loss standard.")


def trained_model(trial: Trial, recipe: Recipe, device: str) -> Any:
    """The model of a trial in training mode, adapters on, checkpointing on."""
    plan, method = trial.plan, trial.workload.method
    fmt = quantization(plan.quantization)
    checkpointing = {"use_reentrant": reentrant(plan, recipe, fmt)}
    model = _base(trial, device)
    if fmt.is_quantised and recipe.kbit_prepared:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            model,
            use_gradient_checkpointing=plan.gradient_checkpointing == "full",
            gradient_checkpointing_kwargs=checkpointing,
        )
    if plan.loss == "trl_fused_head":
        from trl.trainer.utils import add_fused_lm_head

        add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    if plan.loss == "liger":
        from liger_kernel.transformers import _apply_liger_kernel_to_instance  # type: ignore[import-not-found]

        _apply_liger_kernel_to_instance(model=model)
    if method != "full":
        model = _adapted(model, trial, recipe)
    if plan.gradient_checkpointing == "full":
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable(checkpointing)
        if method != "full":
            model.enable_input_require_grads()
    model.train()
    return model


def configuration(trial: Trial) -> Any:
    """The configuration as transformers reads it.

    Raises:
        NotModelled: transformers does not know the architecture.
        BadInput: it cannot read the configuration.
    """
    values: dict[str, Any] = deepcopy(trial.config)
    values.pop("auto_map", None)
    values.pop("quantization_config", None)
    text = values.get("text_config")
    if isinstance(text, dict) and "tie_word_embeddings" in values:
        text.setdefault("tie_word_embeddings", values["tie_word_embeddings"])
    for part in (values, text):
        if isinstance(part, dict) and "kv_lora_rank" in part:
            # A query without a latent is written as null, which the catalogue leaves out; transformers takes that for 1536.
            part.setdefault("q_lora_rank", None)
    try:
        config = _read(values)
    except BadInput:
        if "rope_scaling" not in values:
            raise
        # How rotary frequencies are stretched may be half described; their number does not depend on it.
        del values["rope_scaling"]
        config = _read(values)
    config = _language_part(config)
    config.use_cache = False
    return config


def _language_part(config: Any) -> Any:
    """The configuration that a language model is built from: of the text alone where the whole has no such class."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    text = config.get_text_config()
    text.use_cache = False
    whole, part = (type(each) in MODEL_FOR_CAUSAL_LM_MAPPING for each in (config, text))
    return text if part and not whole else config


def _read(values: dict[str, Any]) -> Any:
    import transformers

    others = dict(values)
    kind = others.pop("model_type", None)
    if kind not in transformers.CONFIG_MAPPING:
        raise NotModelled(f"transformers {transformers.__version__} has no code for {kind}.")
    try:
        config: Any = transformers.AutoConfig.for_model(kind, **others)
    except Exception as error:
        raise BadInput(f"transformers cannot read the configuration of {kind}: {_said(error)}") from None
    return config


def bare_model(trial: Trial) -> Any:
    """The model with nothing done to it, on the default device of torch.

    Raises:
        NotModelled: transformers has no language model or attention of this kind for the architecture.
        Missing: its code needs a library that is not installed.
    """
    from transformers import AutoModelForCausalLM

    plan = trial.plan
    assert plan.weights_dtype and plan.attn_implementation
    made: Any = AutoModelForCausalLM
    attention = ATTENTION.get(plan.attn_implementation, plan.attn_implementation)
    try:
        return made.from_config(configuration(trial), dtype=DTYPES[plan.weights_dtype], attn_implementation=attention)
    except ValueError as error:
        raise NotModelled(_said(error)) from None
    except ImportError as error:
        raise Missing(_said(error)) from None


def _base(trial: Trial, device: str) -> Any:
    """The model without adapters, on the device."""
    plan = trial.plan
    assert plan.weights_dtype
    fmt = quantization(plan.quantization)
    dtype = DTYPES[plan.weights_dtype]
    if fmt.is_quantised:
        check_format(fmt)
    # Real quantised models are made layer by layer from the meta device; on tensors without memory there is no need.
    real = trial.backend != "fake"
    with torch.device("meta" if fmt.is_quantised and real else device):
        model = bare_model(trial)
    if fmt.is_quantised and real:
        quantise(model, fmt, dtype, device)
    elif fmt.is_quantised:
        from vram_advisor.calibration.fake_bitsandbytes import quantise_without_values

        quantise_without_values(model, fmt, dtype)
    if trial.workload.method != "full":
        model.requires_grad_(False)
    return model


def _adapted(model: nn.Module, trial: Trial, recipe: Recipe) -> Any:
    """The model with adapters as PEFT puts them on, in the dtype of the recipe."""
    from peft import LoraConfig, get_peft_model

    plan = trial.plan
    quantised = quantization(plan.quantization).is_quantised
    targets: Any = "all-linear" if "all-linear" in plan.target_modules else list(plan.target_modules)
    config = LoraConfig(
        r=plan.lora_r,
        lora_alpha=plan.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=plan.lora_dropout or recipe.lora_dropout,
        target_modules=targets,
        modules_to_save=list(plan.modules_to_save) or None,
        use_rslora=plan.use_rslora,
        use_dora=trial.workload.method == "dora",
        task_type="CAUSAL_LM",
    )
    dtype = recipe.quantised_adapter_dtype if quantised else recipe.adapter_dtype
    try:
        adapted = get_peft_model(model, config, autocast_adapter_dtype=dtype == "fp32" or quantised)
    except ValueError as error:
        raise BadInput(f"PEFT refuses these adapters: {_said(error)}") from None
    if quantised and dtype == "base":
        # trl trainer/sft_trainer.py: the magnitude of DoRA stays in 32 bits.
        assert plan.weights_dtype
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad and "lora_magnitude_vector" not in name:
                parameter.data = parameter.data.to(DTYPES[plan.weights_dtype])
    return adapted


def _said(error: BaseException) -> str:
    """What a library says, in one line of bearable length."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
