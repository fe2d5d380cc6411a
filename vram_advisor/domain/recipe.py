"""How one training stack runs a fine-tune: the same words mean different bytes in each.

A recipe is a row; a new one is added here and nowhere else. Every habit has its source.
"""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.plan import Checkpointing
from vram_advisor.domain.quantization import Evidence
from vram_advisor.domain.serving import GGUF_SERVING, SERVING, GgufServing, Serving
from vram_advisor.units.errors import BadInput

OutputsUntil = Literal["backward", "step", "next"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The habits of one training stack and version."""

    name: str
    title: str
    versions: str
    evidence: Evidence
    source: str
    adapter_dtype: Literal["fp32", "base"] = "fp32"
    """dtype of adapters on a 16-bit base: PEFT upcasts them to fp32; ``base``: the dtype of the base."""
    quantised_adapter_dtype: Literal["fp32", "base"] = "fp32"
    """The same on a quantised base."""
    kbit_prepared: bool = False
    """On a bitsandbytes base every parameter that is not quantised is upcast to fp32."""
    kbit_embeddings: Literal["fp32", "base"] = "fp32"
    """base: embeddings and output layer go back to 16 bit after kbit preparation; norms and with them the residual
    stream stay fp32."""
    repeats_kv: tuple[str, ...] = ()
    """Architectures whose flash attention gets keys and values once per query head (transformers 4.45 and older)."""
    grouped_sdpa: bool = True
    """scaled_dot_product_attention gets grouped heads as they are where there is no mask; otherwise, as in transformers
    before 4.54, keys and values are repeated for every head first."""
    softmax_keeps_input: bool = False
    """PyTorch before 1.11: softmax and log-softmax keep their input for the backward pass (derivatives.yaml)."""
    keeps_cache: tuple[str, ...] = ()
    """Architectures whose forward pass collects the key-value cache although layers are checkpointed."""
    lora_dropout: float = 0.0
    """Dropout of the adapters where a published configuration of the stack fixes it."""
    autocast: bool = True
    """The forward pass runs under 16-bit autocast."""
    quantised_autocast: bool = True
    """The same on a quantised base."""
    full_weights_dtype: Literal["fp32", "bf16"] = "bf16"
    """dtype of the weights in a full fine-tune."""
    frozen_weights_dtype: Literal["fp32", "bf16"] = "bf16"
    """dtype of the frozen base under adapters where it is not quantised."""
    gathered_dtype: Literal["stored", "bf16"] = "stored"
    """bf16: FSDP casts weights where it gathers them; the forward pass then runs in 16 bit without autocast."""
    reduce_itemsize: Literal[2, 4] = 2
    """Item size of gradients that FSDP2 reduces under mixed precision [B]."""
    fsdp: Literal[1, 2] = 1
    """FullyShardedDataParallel or fully_shard, which the Trainer of transformers 5 takes (training_args.py
    _process_fsdp_args)."""
    loss: str = "standard"
    optimizer: str = "adamw_torch_fused"
    gradient_checkpointing: Checkpointing = "full"
    attn_implementation: str = "sdpa"
    logits_form: Literal["v5", "4.46", "4.45"] = "v5"
    """v5: shifted labels, one fp32 copy; 4.46: fp32 copy, shifted copy; 4.45: fp32 logits are the outputs."""
    outputs_kept: bool = False
    """The training loop keeps the outputs through the backward pass."""
    outputs_until: OutputsUntil = "backward"
    """Where they go then: behind the backward pass, behind the step, or where the next pass has made its own."""
    outputs_in_fp32: bool = True
    """accelerate returns outputs in fp32 under mixed precision."""
    norm_kernel: Literal["framework", "fused"] = "framework"
    """fused: RMSNorm saves its input in 16 bit and one number per token (Liger, Unsloth)."""
    mlp_kernel: Literal["framework", "fused"] = "framework"
    """fused: the activation saves gate and up and recomputes their product (Liger SwiGLU)."""
    lora_kernel: Literal["framework", "fused"] = "framework"
    """fused: attention and MLP with their adapters are one autograd function (Unsloth)."""
    liger_patches: bool = True
    """Choosing the Liger loss also takes its kernels for norms, rotary embedding and SwiGLU (use_liger_kernel)."""
    linear_experts: bool = False
    """Experts are ordinary linear layers that quantizers and adapters reach (transformers 4), not stacks."""
    reentrant: bool = False
    """Gradient checkpointing in its reentrant form (the default of transformers before version 5)."""
    clips_gradients: bool = True
    fp32_embedding_states: bool = True
    """8-bit optimizers keep the states of embeddings in fp32: transformers' Trainer asks bitsandbytes for that."""
    activation_sd: float = 0.01
    """Relative standard deviation of activations that the evidence leaves."""


_ROWS = (
    Recipe(
        "transformers-peft", "transformers + PEFT, Trainer", "transformers 5.23, peft 0.21", "traced",
        "transformers trainer.py; peft tuners/tuners_utils.py autocast_adapter_dtype; the base is not upcast",
        fsdp=2, activation_sd=0.01,
    ),
    Recipe(
        "transformers-peft-16bit", "transformers + PEFT, adapters in the dtype of the base", "transformers 5.23, peft 0.21",
        "traced",
        "peft mapping_func.py get_peft_model(autocast_adapter_dtype=False), as TRL asks for under ZeRO-3 (trl"
        " trainer/sft_trainer.py)",
        adapter_dtype="base", quantised_adapter_dtype="base", fsdp=2, activation_sd=0.01,
    ),
    Recipe(
        "transformers-peft-kbit", "transformers + PEFT with prepare_model_for_kbit_training",
        "transformers 5.23, peft 0.21", "traced",
        "peft utils/other.py prepare_model_for_kbit_training: all that is not quantised becomes fp32",
        kbit_prepared=True, fsdp=2, activation_sd=0.01,
    ),
    Recipe(
        "trl", "TRL SFTTrainer", "trl 1.16", "traced",
        "trl trainer/sft_trainer.py: 16-bit adapters on a quantised base, no kbit preparation, fused output layer",
        quantised_adapter_dtype="base", loss="trl_fused_head", fsdp=2,
    ),
    Recipe(
        "unsloth", "Unsloth", "unsloth 2026.10, unsloth_zoo 2026.10", "read in source",
        "unsloth kernels/fast_lora.py, kernels/rms_layernorm.py, models/llama.py, models/rl.py (8-bit AdamW);"
        " unsloth_zoo training_utils.py (adapters fp32, base untouched), gradient_checkpointing.py (layer inputs to the"
        " host), fused_losses/cross_entropy_loss.py",
        loss="unsloth_fused", optimizer="adamw_bnb_8bit", gradient_checkpointing="offload", outputs_in_fp32=False,
        norm_kernel="fused", lora_kernel="fused", reentrant=True, grouped_sdpa=False, activation_sd=0.08,
    ),
    Recipe(
        "axolotl", "Axolotl", "axolotl 0.19, peft 0.20, transformers 5.16", "read in source",
        "axolotl loaders/model.py (kbit preparation, then norms, embeddings and head back to 16 bit), kernels/lora.py,"
        " utils/schemas/config.py check_auto_enable_lora_kernels; 219 of 274 shipped configurations checkpoint",
        lora_kernel="fused", fsdp=2, activation_sd=0.06,
    ),
    Recipe(
        "llama-factory", "LLaMA-Factory", "llamafactory 0.9.5, peft 0.18, transformers 4.55 to 5.6", "read in source",
        "llamafactory model/adapter.py (trained parameters fp32), model/model_utils/checkpointing.py (no upcast of the"
        " base), hparams/model_args.py, model/model_utils/quantization.py",
        full_weights_dtype="fp32", reentrant=True, activation_sd=0.03,
    ),
    Recipe(
        "torchtune", "torchtune, single device", "torchtune 0.6.1, torchao 0.9", "read in source",
        "torchtune recipes/lora_finetune_single_device.py (one dtype, no autocast),"
        " modules/loss/ce_chunked_output_loss.py, training/activations.py, configs/llama3_1",
        adapter_dtype="base", quantised_adapter_dtype="base", autocast=False, loss="torchtune_chunked", outputs_in_fp32=False,
        clips_gradients=False, fp32_embedding_states=False, grouped_sdpa=False, activation_sd=0.06,
    ),
    Recipe(
        "litgpt", "LitGPT, single device", "litgpt 0.5.13, lightning 2.5", "read in source",
        "litgpt utils.py get_default_supported_precision (bf16-mixed: weights fp32), finetune/lora.py,"
        " finetune/full.py; lightning fabric/plugins/precision",
        quantised_adapter_dtype="base", full_weights_dtype="fp32", quantised_autocast=False, frozen_weights_dtype="fp32", loss="litgpt_chunked",
        optimizer="adamw_torch", gradient_checkpointing="none", clips_gradients=False,
        fp32_embedding_states=False, grouped_sdpa=False, activation_sd=0.06,
    ),
    Recipe(
        "transformers-2022", "transformers of early 2022, Trainer", "transformers 4.16, torch 1.10", "measured",
        "transformers trainer.py (fp32 weights, adamw_hf); torch tools/autograd/derivatives.yaml of 1.10",
        full_weights_dtype="fp32", optimizer="adamw_hf", logits_form="4.45", attn_implementation="eager",
        linear_experts=True, reentrant=True, softmax_keeps_input=True, grouped_sdpa=False, activation_sd=0.03,
    ),
    Recipe(
        "trl-0.13", "TRL SFTTrainer of January 2025", "trl 0.13.0, transformers 4.48.1, peft 0.13.2", "measured",
        "trl trainer/sft_trainer.py (kbit preparation), trainer/utils.py peft_module_casting_to_bf16; transformers"
        " loss/loss_utils.py; peft tuners/lora/layer.py, tuners/lora/bnb.py",
        kbit_prepared=True, kbit_embeddings="base", optimizer="adamw_torch", logits_form="4.46", linear_experts=True, lora_dropout=0.1, reentrant=True, keeps_cache=("gpt_bigcode",), liger_patches=False, grouped_sdpa=False, activation_sd=0.009,
    ),
    Recipe(
        "trl-0.11", "TRL SFTTrainer of October 2024", "trl 0.11.4, transformers 4.45.2, peft 0.13.2", "measured",
        "trl trainer/sft_trainer.py (kbit preparation); transformers models/llama/modeling_llama.py (fp32 logits,"
        " shifted copy); peft tuners/lora/layer.py, tuners/lora/bnb.py",
        kbit_prepared=True, kbit_embeddings="base", optimizer="adamw_torch", logits_form="4.45", linear_experts=True, lora_dropout=0.1, repeats_kv=("mistral", "mixtral"), reentrant=True, keeps_cache=("gpt_bigcode",), liger_patches=False, grouped_sdpa=False, activation_sd=0.009,
    ),
    Recipe(
        "fms-0.13", "fms-acceleration, no kbit upcast, 2025", "fms-acceleration-peft, trl 0.13.0, transformers 4.48.1",
        "measured",
        "fms_acceleration_peft framework_plugin_bnb.py, framework_plugin_autogptq.py, gptqmodel/nn_modules",
        optimizer="adamw_torch", logits_form="4.46", linear_experts=True, lora_dropout=0.1, reentrant=True, keeps_cache=("gpt_bigcode",), liger_patches=False, grouped_sdpa=False, activation_sd=0.009,
    ),
    Recipe(
        "fms-0.11", "fms-acceleration, no kbit upcast, 2024", "fms-acceleration-peft, trl 0.11.4, transformers 4.45.2",
        "measured",
        "fms_acceleration_peft framework_plugin_bnb.py, framework_plugin_autogptq.py, gptqmodel/nn_modules",
        optimizer="adamw_torch", logits_form="4.45", linear_experts=True, lora_dropout=0.1, repeats_kv=("mistral", "mixtral"), reentrant=True, keeps_cache=("gpt_bigcode",), liger_patches=False, grouped_sdpa=False, activation_sd=0.009,
    ),
    Recipe(
        "fms-foak-0.13", "fms-acceleration, fused kernels, 2025", "fms-acceleration-foak, trl 0.13.0",
        "measured",
        "fms_acceleration_foak fused_ops/unsloth_lora, kernels/unsloth, models/llama.py",
        loss="unsloth", optimizer="adamw_torch", logits_form="4.46", norm_kernel="fused", lora_kernel="fused",
        linear_experts=True, lora_dropout=0.1, reentrant=True, keeps_cache=("gpt_bigcode",), liger_patches=False, grouped_sdpa=False, activation_sd=0.009,
    ),
    Recipe(
        "fms-foak-0.11", "fms-acceleration, fused kernels, 2024", "fms-acceleration-foak, trl 0.11.4",
        "measured",
        "fms_acceleration_foak fused_ops/unsloth_lora, kernels/unsloth, models/llama.py",
        loss="unsloth", optimizer="adamw_torch", logits_form="4.45", norm_kernel="fused", lora_kernel="fused",
        linear_experts=True, lora_dropout=0.1, repeats_kv=("mistral", "mixtral"), reentrant=True, keeps_cache=("gpt_bigcode",), liger_patches=False, grouped_sdpa=False, activation_sd=0.009,
    ),
    Recipe(
        "swift-1", "ms-swift 1", "ms-swift 1.7, transformers 4.38, peft 0.9", "measured",
        "swift llm/tuner.py, llm/utils/argument.py (lora_dtype fp32), trainers/trainers.py; transformers"
        " models/llama/modeling_llama.py _update_causal_mask: a full mask of max_position_embeddings",
        optimizer="adamw_torch", logits_form="4.45", linear_experts=True, reentrant=True, grouped_sdpa=False, activation_sd=0.03,
    ),
    Recipe(
        "fsdp-qlora", "Answer.AI fsdp_qlora train.py", "train.py of 2024, transformers 4.38, peft 0.9",
        "measured",
        "fsdp_qlora train.py (precision bf16: one dtype, no autocast; the outputs live until after the step),"
        " scripts/lora.py",
        adapter_dtype="base", quantised_adapter_dtype="base", autocast=False, optimizer="adamw_torch",
        logits_form="4.45", outputs_kept=True, outputs_until="step", outputs_in_fp32=False, linear_experts=True, clips_gradients=False,
        fp32_embedding_states=False, grouped_sdpa=False, activation_sd=0.012,
    ),
    Recipe(
        "torchtitan", "torchtitan pre-training", "torchtitan 0.3", "measured",
        "torchtitan config/configs.py (weights fp32), models/llama3/parallelize.py (FSDP2 casts to bf16),"
        " components/loss.py ChunkedLossWrapper, distributed/activation_checkpoint.py, components/optimizer",
        adapter_dtype="base", quantised_adapter_dtype="base", autocast=False, full_weights_dtype="fp32",
        frozen_weights_dtype="fp32", gathered_dtype="bf16", loss="chunked", gradient_checkpointing="selective",
        outputs_in_fp32=False, fp32_embedding_states=False, reduce_itemsize=4, fsdp=2, activation_sd=0.03,
    ),
    Recipe(
        "peft-loop", "PEFT method_comparison training loop", "peft method_comparison/MetaMathQA, transformers 5",
        "read in source",
        "peft method_comparison/MetaMathQA/run.py (no autocast, outputs alive through the backward pass), utils.py,"
        " default_training_params.json",
        autocast=False, optimizer="adamw_torch", gradient_checkpointing="none", outputs_kept=True, outputs_until="next",
        outputs_in_fp32=False, fp32_embedding_states=False, activation_sd=0.02,
    ),
)  # fmt: skip

RECIPES: dict[str, Recipe] = {row.name: row for row in _ROWS}
DEFAULT_RECIPE = "transformers-peft"


_SERVING: dict[str, Serving | GgufServing] = {**SERVING, **GGUF_SERVING}
SERVED = {name: row for name, row in _SERVING.items() if name not in RECIPES}
"""Programs and versions that only serve: at inference they are named like a recipe."""


def recipe(name: str) -> Recipe:
    """The row of a recipe; of a program that only serves, one without habits of training.

    Raises:
        BadInput: no such recipe.
    """
    served = SERVED.get(name)
    if served is not None:
        return Recipe(served.name, served.title, served.versions, served.evidence, served.source)
    if name not in RECIPES:
        raise BadInput(
            f"--recipe {name} is not known: use one of {', '.join(RECIPES)}, or at inference {', '.join(SERVED)}."
        )
    return RECIPES[name]
