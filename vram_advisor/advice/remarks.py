"""What was assumed for the user, and what they should know: sentences beside the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

from vram_advisor.advice.options import RANK, lacks_bf16
from vram_advisor.domain.answer import Option
from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES, UNWRITTEN_GRAPHS
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import INFERENCE_ONLY, TRAINING_ONLY, Plan, Workload
from vram_advisor.domain.quantization import QUANTIZATIONS
from vram_advisor.domain.serving import GGUF_RUNTIMES, gguf_serving, has_gguf
from vram_advisor.units.bytes import gib


def assumptions(
    model: ModelSpec, workload: Workload, options: Sequence[Option], device: Device | None
) -> tuple[str, ...]:
    """Every choice that was made for the user, in words."""
    plan, habits = options[0].plan, options[0].recipe
    said = [f"model {model.id}: {model.source}"]
    if workload.trains:
        said.append(f"recipe {habits.title} ({habits.versions}; {habits.evidence})")
        said.append(
            f"{workload.micro_batch_size} x {workload.sequence_length} tokens per micro batch, gradient accumulation "
            f"{workload.gradient_accumulation_steps}, {'padded' if workload.padding == 'padded' else 'no padding mask'}"
        )
        if workload.method != "full":
            targets = " ".join(plan.target_modules)
            said.append(
                f"LoRA rank {plan.lora_r}, alpha {plan.lora_alpha:g}, dropout {plan.lora_dropout:g} on {targets}"
            )
        said.append(
            f"checkpointing {plan.gradient_checkpointing}, attention {plan.attn_implementation}, loss {plan.loss}"
        )
        said += by_option(options, lambda o: f"optimizer {o.plan.optimizer}, mixed precision {o.plan.mixed_precision}")
    else:
        said.append(f"{served_by(plan)}, {workload.num_sequences} sequence(s) of {workload.context_length} tokens")
    if plan.num_gpus > 1:
        how = plan.sharding if workload.trains else "layers shared"
        said.append(f"{plan.num_gpus} GPUs, {how}; figures are those of one GPU")
    if device is not None and device.source == "catalogue":
        said.append(f"{device.name} as an empty card: {gib(device.free_bytes)} usable")
    return tuple(said)


def served_by(plan: Plan) -> str:
    """The program that serves, with its version where its habits are those of one."""
    if plan.runtime not in GGUF_RUNTIMES:
        return f"runtime {plan.runtime}"
    row = gguf_serving(plan.recipe, plan.runtime)
    return f"runtime {row.title} ({row.versions}; {row.evidence})"


def by_option(options: Sequence[Option], sentence: Callable[[Option], str]) -> list[str]:
    """A sentence about each option; said once where it is the same for all, else behind the titles."""
    found: dict[str, list[str]] = {}
    for option in options:
        found.setdefault(sentence(option), []).append(option.title)
    if len(found) == 1:
        return list(found)
    return [f"{', '.join(titles)}: {words}" for words, titles in found.items()]


def option_notes(options: Sequence[Option], recommended: int | None) -> list[str]:
    """What the estimates have to say: of options that can run, where one can; behind their titles where not common."""
    shown = [o for o in options if o.verdict.outcome in RANK] if recommended is not None else list(options)
    found = dict.fromkeys(note for option in shown for note in option.estimate.notes)
    titles = {note: [o.title for o in shown if note in o.estimate.notes] for note in found}
    return [note if len(titles[note]) == len(options) else f"{', '.join(titles[note])}: {note}" for note in found]


def without_effect(workload: Workload, plan: Plan) -> list[str]:
    """Options that were set and do not matter for what is asked."""
    idle = INFERENCE_ONLY if workload.trains else TRAINING_ONLY
    what = "a fine-tune" if workload.trains else "inference"
    changed = [
        field.name
        for record in (workload, plan)
        for field in fields(record)
        if field.name in idle and getattr(record, field.name) != field.default
    ]
    if workload.method == "full":
        changed += [name for name in ("lora_r", "target_modules") if getattr(plan, name) != getattr(Plan(), name)]
        what = "a full fine-tune"
    hint = {"context_length": "; --sequence-length is the one that has", "sequence_length": "; --context-length has"}
    said = [f"--{name.replace('_', '-')} has no effect on {what}{hint.get(name, '')}." for name in changed]
    if workload.trains and plan.offload == "parameters" and plan.sharding in ("none", "ddp"):
        said.append(
            "--offload parameters moves weights only where they are shared out: without --sharding fsdp_full or zero3 "
            "it moves the optimizer states alone."
        )
    if plan.cpu_moe and plan.n_cpu_moe:
        said.append("--n-cpu-moe has no effect beside --cpu-moe, which leaves the experts of all layers.")
    return said


def not_llama_cpp(model: ModelSpec, workload: Workload, plan: Plan) -> list[str]:
    """Why another program than llama.cpp is assumed where none was named."""
    if workload.trains or plan.runtime in GGUF_RUNTIMES or has_gguf(model):
        return []
    published = QUANTIZATIONS[model.native_dtype].title if model.native_dtype in QUANTIZATIONS else model.native_dtype
    if model.architecture in GGUF_ARCHITECTURES and model.architecture not in UNWRITTEN_GRAPHS:
        return [
            f"{model.id} is quantised for PyTorch ({published}): transformers is assumed; --runtime vllm is another."
        ]
    return [f"{model.id} is not modelled under llama.cpp, the default, so transformers is assumed."]


def limits(model: ModelSpec, workload: Workload, plan: Plan, device: Device | None) -> list[str]:
    """What the model or the card was not made for."""
    said: list[str] = []
    asked = workload.sequence_length if workload.trains else workload.context_length
    made_for = model.max_position_embeddings
    if made_for and asked > made_for and not model.position_rows:
        said.append(f"{model.id} was made for {made_for:,} positions: {asked:,} tokens need a scaling of them.")
    if (plan.cpu_moe or plan.n_cpu_moe) and not any(block.experts for block in model.blocks):
        option = "--cpu-moe" if plan.cpu_moe else "--n-cpu-moe"
        said.append(f"{option} has no effect on {model.id}, which has no experts; --n-gpu-layers has.")
    if device is not None and lacks_bf16(device):
        if "bf16" in (plan.mixed_precision, plan.weights_dtype, plan.quantization):
            said.append(f"{device.name} has no bf16 units: use fp16.")
        if plan.attn_implementation == "flash_attention_2":
            said.append(f"flash_attention_2 does not run on {device.name}: it needs compute capability 8.0.")
    return said
