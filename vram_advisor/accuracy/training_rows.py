"""Rows of a ledger of training runs, as the runs that they could mean.

An empty cell means that the source does not state it: such a row becomes several cases with weights, one per choice
that the stack would make.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from vram_advisor.accuracy.case import Case, Refusal
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe, recipe
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import BadInput

Row = Mapping[str, str]

METHODS = {"full": "full", "lora": "lora", "qlora": "qlora", "dora": "dora"}
"""Methods of the ledger that are modelled, as ``Workload.method``."""
ATTENTION = {"flash_attention_2": "flash_attention_2", "sdpa": "sdpa", "eager": "eager", "": "sdpa"}
CHECKPOINTING = {
    "none": "none",
    "full": "full",
    "selective": "selective",
    "unsloth_offload": "offload",
    "full_offload": "offload",
}


def training_cases(row: Row) -> list[Case] | Refusal:
    """The runs that a row could mean, with weights that sum to one, or why it is refused."""
    try:
        return _cases(row)
    except BadInput as error:
        return Refusal(row["id"], str(error))


def _cases(row: Row) -> list[Case] | Refusal:
    refusal = _refused(row)
    if refusal is not None:
        return Refusal(row["id"], refusal)
    model = text_model(find_model(row["model"]))
    device = _device(row)
    workload = Workload(
        method="dora" if row["notes"] == "dora" else METHODS[row["method"]],  # type: ignore[arg-type]
        objective=_stated(row, "objective") or "sft",  # type: ignore[arg-type]
        sequence_length=int(row["sequence_length"]),
        micro_batch_size=int(row["micro_batch_size"]),
        gradient_accumulation_steps=int(row["gradient_accumulation_steps"] or 1),
        lengths="varied" if "variable lengths" in row["notes"] else "equal",
        padding="padded" if row["padded"] == "yes" else "none",
    )
    plan = _plan(row, workload)
    stated = _stated_context(row)
    phase = _stated(row, "phase")
    return [Case(weight, model, workload, plan, habits, device, stated, phase) for weight, habits in _recipes(row)]


def _refused(row: Row) -> str | None:
    """Why a row is outside of what is modelled."""
    if row["method"] not in METHODS:
        return f"method {row['method']} is not modelled"
    if row["quantization"] == "aqlm_2bit":
        return "AQLM weights are not modelled"
    if "prediction_loss_only=no" in row["notes"]:
        return "logits gathered over evaluation batches are not modelled"
    if "+" in row["sharding"]:
        return f"sharding {row['sharding']}: context, tensor and sequence parallelism are not modelled"
    if not row["micro_batch_size"] or not row["sequence_length"]:
        return "batch or length is not stated"
    return None


def text_model(model: ModelSpec) -> ModelSpec:
    """The text part: what these runs loaded and trained."""
    return replace(model, tower_parameters=0)


def _device(row: Row) -> Device | None:
    return device_from_spec(find_gpu(row["gpu"]), int(row["num_gpus"] or 1), "linux") if row["gpu"] else None


def _stated_context(row: Row) -> Coefficients | None:
    """The CUDA context that a source says its process meter includes."""
    found = re.search(r"([\d,]+) MiB of CUDA context", row["notes"])
    if found is None:
        return None
    mib = float(found.group(1).replace(",", ""))
    base = replace(NOMINAL.context_base, value=mib, sd=10.0, reference=row["reference"])
    return replace(NOMINAL, context_base=base, context_per_sm=replace(NOMINAL.context_per_sm, value=0.0))


def _plan(row: Row, workload: Workload) -> Plan:
    quantization = row["quantization"] if row["quantization"] != "none" else row["weights_dtype"] or "bf16"
    sharding = row["sharding"]
    attention = ATTENTION.get(row["attention"], row["attention"])
    if row["padded"] == "yes" and attention == "sdpa":
        attention = "sdpa_efficient"
    return Plan(
        quantization=quantization,
        lora_r=int(row["lora_r"] or 16),
        lora_dropout=float(row["lora_dropout"] or 0),
        target_modules=tuple(row["target_modules"].split()) or ("all-linear",),
        modules_to_save=_modules_to_save(row),
        optimizer=row["optimizer"] or None,
        gradient_checkpointing=_checkpointing(row),  # type: ignore[arg-type]
        attn_implementation=attention,
        loss=row["loss"] or None,
        mixed_precision=row["autocast"] or None,  # type: ignore[arg-type]
        use_reentrant=_reentrant(row),
        weights_dtype=row["weights_dtype"] or None,  # type: ignore[arg-type]
        num_gpus=int(row["num_gpus"] or 1),
        sharding=sharding.removesuffix("_offload"),  # type: ignore[arg-type]
        offload="parameters" if sharding.endswith("_offload") else "none",
    )


def _checkpointing(row: Row) -> str | None:
    stated = row["gradient_checkpointing"]
    if stated and stated not in CHECKPOINTING:
        raise BadInput(f"gradient checkpointing {stated} is not modelled")
    return CHECKPOINTING[stated] if stated else None


def _reentrant(row: Row) -> bool | None:
    """Whether checkpointing is reentrant, where the notes or the version state it."""
    if "; reentrant checkpointing" in f"; {row['notes']}":
        return True
    return False if row["meter"] == "traced" else None


def _stated(row: Row, key: str) -> str | None:
    """What the notes say behind ``key=``."""
    found = re.search(rf"\b{key}=([\w ]+)", row["notes"])
    return found.group(1).strip() if found else None


def _modules_to_save(row: Row) -> tuple[str, ...]:
    """Modules trained in full, where the notes state them."""
    return tuple((_stated(row, "modules_to_save") or "").split())


def recipe_name(row: Row) -> str:
    """The row of the recipe table that ran the job."""
    framework, version, notes = row["framework"], row["framework_version"], row["notes"]
    if framework == "trl" and version.startswith("trl "):
        era = "0.13" if "4.48" in version else "0.11"
        if "fused LoRA" in notes:
            return f"fms-foak-{era}"
        if "without the upcast" in notes or row["quantization"].startswith("gptq") or row["sharding"] != "none":
            return f"fms-{era}"
        return f"trl-{era}"
    if framework == "swift":
        return "swift-1"
    if "AnswerDotAI" in version:
        return "fsdp-qlora"
    if framework == "torchtitan":
        return "torchtitan"
    if framework == "peft_loop" and row["source"] == "peft-metamath":
        return "peft-loop"
    if framework == "transformers" and row["date"].startswith("2022"):
        return "transformers-2022"
    return "unsloth" if framework == "unsloth" else "transformers-peft"


def _recipes(row: Row) -> list[tuple[float, Recipe]]:
    """The habits that could be meant: the stack's row, with what the ledger states put over it."""
    habits = recipe(recipe_name(row))
    if row["meter"] == "traced":
        # The loop that was traced makes its optimizer itself; the Trainer would ask for fp32 states of embeddings.
        habits = replace(habits, fp32_embedding_states=False)
    if row["source"] == "peft-docs":
        # Its configurations are those of FSDP1 (peft examples/sft/configs/fsdp_config_qlora.yaml).
        habits = replace(habits, fsdp=1)
    if row["outputs_kept"]:
        kept = row["outputs_kept"] == "yes"
        habits = replace(habits, outputs_kept=kept, outputs_in_fp32=habits.outputs_in_fp32 and not kept)
    if row["adapter_dtype"]:
        dtype = "fp32" if row["adapter_dtype"] == "fp32" else "base"
        habits = replace(habits, adapter_dtype=dtype, quantised_adapter_dtype=dtype)  # type: ignore[arg-type]
    if row["loss"] == "trl_fused_head":
        habits = replace(habits, outputs_in_fp32=False)
    if row["kbit_prepared"]:
        return [(1.0, replace(habits, kbit_prepared=row["kbit_prepared"] == "yes"))]
    if habits.name == "transformers-peft" and row["method"] == "qlora":
        return [(0.5, habits), (0.5, replace(habits, kbit_prepared=True))]
    return [(1.0, habits)]
