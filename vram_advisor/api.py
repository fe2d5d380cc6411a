"""The one door: resolve names, look at the machine, answer. The faces call this and nothing below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vram_advisor.advice.verdict import FITS, judge, probability_of_fit
from vram_advisor.domain.answer import Answer, Option, SmallestGpu
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.contradictions import refuse_contradictions
from vram_advisor.domain.gpu import Device, GpuSpec, Machine
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import SHORT_NAMES, quantization
from vram_advisor.domain.quantization import quantization as storage
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.tensors import active_parameters, count_parameters
from vram_advisor.hardware.host import read_host
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources import catalog_gpus, catalog_models
from vram_advisor.sources.catalog_gpus import find_gpu, gpus_with, with_spec
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.bytes import gib
from vram_advisor.units.errors import BadInput, NotModelled

if TYPE_CHECKING:
    from vram_advisor.accuracy.score import Report
    from vram_advisor.sources.catalog_models import ModelRecord

RANK = {"fits": 0, "tight": 1}
WORKLOAD = tuple(field.name for field in fields(Workload))
PLAN = tuple(field.name for field in fields(Plan))


def detect(processes: bool = True) -> Machine:
    """What this machine has: GPUs with the catalogue's card where it is known, processor, memory. Never raises."""
    # The probes are imported where a machine is looked at: a named card needs none of them.
    from vram_advisor.hardware import machine as probes

    machine = probes.detect(processes)
    return Machine(
        machine.host, tuple(with_spec(gpu) for gpu in machine.gpus), machine.driver, machine.cuda_driver, machine.notes
    )


def resolve_device(gpu: str | None = None, gpu_index: int | None = None, num_gpus: int = 1) -> Device | None:
    """The card to compare with: a named one, or the one in the machine; None where there is neither.

    Raises:
        BadInput: no card has that name.
        Missing: the machine has no GPU of that index.
    """
    if gpu is not None:
        return device_from_spec(find_gpu(gpu), num_gpus, read_host().system)
    from vram_advisor.hardware.machine import device

    machine = detect()
    if not machine.gpus and gpu_index is None:
        return None
    return device(machine, machine.gpus[0].index if gpu_index is None else gpu_index)


def lacks_bf16(device: Device) -> bool:
    """Whether the card computes in fp16 only: NVIDIA below compute capability 8.0."""
    capability = device.compute_capability
    return capability is not None and float(capability) < 8.0


def plans(workload: Workload, plan: Plan, quantization_name: str | None) -> list[tuple[str, Plan]]:
    """The options to compare: one where the quantization was named, else what people choose between."""
    if quantization_name is not None:
        exact = named_quantization(quantization_name, plan)
        return [(quantization(exact).title, replace(plan, quantization=exact))]
    if workload.method == "full":
        pure = replace(plan, weights_dtype="bf16", mixed_precision="none")
        return [
            ("mixed precision", replace(plan, weights_dtype="fp32", mixed_precision=plan.mixed_precision or "bf16")),
            ("pure bf16", pure),
            ("bf16, 8-bit AdamW", replace(pure, optimizer="adamw_bnb_8bit")),
        ]
    names = {"FP16": "bf16", "Q8": "int8", "Q4": "nf4_double"}
    if plan.runtime == "vllm":
        names |= {"Q8": "fp8", "Q4": "awq_int4"}
    if workload.method == "qlora":
        del names["FP16"]
    return [(title, replace(plan, quantization=name)) for title, name in names.items()]


def named_quantization(name: str, plan: Plan) -> str:
    """The exact name of a storage format; ``fp16``, ``q8`` and ``q4`` mean what the runtime makes of them."""
    lowered = name.lower().replace("-", "_")
    if plan.runtime == "vllm" and lowered in ("q8", "q4"):
        return {"q8": "fp8", "q4": "awq_int4"}[lowered]
    return quantization(SHORT_NAMES.get(lowered, lowered)).name


def check(
    model: str | ModelSpec,
    *,
    gpu: str | None = None,
    gpu_index: int | None = None,
    quantization: str | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    coefficients: Coefficients = NOMINAL,
    **choices: Any,
) -> Answer:
    """Will it fit?

    Args:
        model: catalogue alias, path to a configuration, folder or safetensors file, or Hugging Face id.
        gpu: a card of the catalogue; None: the one in this machine.
        gpu_index: which GPU of this machine.
        quantization: how the base is stored; None compares what people choose between.
        workload, plan: the ask and the levers as values.
        choices: fields of Workload and Plan by name, instead of or on top of the values.

    Raises:
        BadInput: a name, file or number cannot be used.
        Missing: something that was asked for is not there.
    """
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    if quantization is None:
        quantization = plan.quantization
    named = storage(named_quantization(quantization, plan)) if quantization else None
    refuse_contradictions(workload, replace(plan, quantization=quantization), named)
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    if plan.num_gpus > 1 and plan.sharding == "none" and workload.trains:
        plan = replace(plan, sharding="ddp")
    device = resolve_device(gpu, gpu_index, plan.num_gpus)
    if workload.trains and device is not None and lacks_bf16(device):
        plan = replace(plan, weights_dtype=plan.weights_dtype or "fp16")
    habits = recipe(plan.recipe)
    options: list[Option] = []
    warnings: list[str] = []
    refused: NotModelled | None = None
    for title, candidate in plans(workload, plan, quantization):
        try:
            value = estimate(spec, workload, candidate, habits, device, coefficients)
        except NotModelled as error:
            refused = error
            warnings.append(f"{title}: {error}")
            continue
        options.append(Option(title, value.plan, habits, value.estimate, judge(value.estimate, device)))
    if not options:
        assert refused is not None
        raise refused
    return Answer(
        model=spec,
        parameters=count_parameters(spec),
        active_parameters=active_parameters(spec),
        workload=workload,
        device=device,
        calibration=None,
        options=tuple(options),
        recommended=recommend(options),
        smallest_gpus=smallest(options) if device is None or all(o.verdict.outcome not in RANK for o in options) else (),
        assumptions=assumptions(spec, workload, options, device),
        warnings=tuple(dict.fromkeys([*warnings, *option_notes(options), *spec.notes])),
    )


def option_notes(options: Sequence[Option]) -> list[str]:
    """What the estimates have to say; a note that some options only have begins with their title."""
    found = dict.fromkeys(note for option in options for note in option.estimate.notes)
    titles = {note: [o.title for o in options if note in o.estimate.notes] for note in found}
    return [note if len(titles[note]) == len(options) else f"{', '.join(titles[note])}: {note}" for note in found]


def list_gpus() -> tuple[GpuSpec, ...]:
    """All cards of the catalogue, a chip with several memory sizes once per size."""
    return catalog_gpus.list_gpus()


def list_models() -> tuple[ModelRecord, ...]:
    """All models of the catalogue."""
    return tuple(catalog_models.find_record(entry.id) for entry in catalog_models.list_models())


def score(files: Sequence[str | Path] = ()) -> Report:
    """Score the model on ledgers of measurements; without files on the ones that come with the program.

    Raises:
        BadInput: a file is missing or has the columns of no ledger.
    """
    # Ledgers are not on the way of a check: their readers are imported when they are asked for.
    from vram_advisor.accuracy.ledger import read_ledger
    from vram_advisor.accuracy.score import score_ledgers
    from vram_advisor.sources.data_files import data_path

    paths = [Path(file) for file in files] or sorted(data_path("measurements").glob("*.csv"))
    return score_ledgers([read_ledger(path) for path in paths])


def with_choices(workload: Workload, plan: Plan, choices: dict[str, Any]) -> tuple[Workload, Plan]:
    """Workload and plan with fields set by name.

    Raises:
        BadInput: no field has that name, or the value is out of range.
    """
    asked = {name: value for name, value in choices.items() if name in WORKLOAD}
    pulled = {name: value for name, value in choices.items() if name in PLAN}
    for name in choices:
        if name not in asked and name not in pulled:
            raise BadInput(f"'{name}' is no option: use one of {', '.join([*WORKLOAD, *PLAN])}.")
    return replace(workload, **asked) if asked else workload, replace(plan, **pulled) if pulled else plan


def recommend(options: list[Option]) -> int | None:
    """The best precision that fits, else one that fits tightly, else none. Options are ordered best first."""
    ranked = [(RANK[o.verdict.outcome], i) for i, o in enumerate(options) if o.verdict.outcome in RANK]
    return min(ranked)[1] if ranked else None


def smallest(options: list[Option]) -> tuple[SmallestGpu, ...]:
    """For each option the smallest card that holds it: fewest bytes, desktop before laptop, then newest.

    Cards of NVIDIA that compute in bf16: the stacks whose memory is modelled run on them.
    """
    found: list[SmallestGpu] = []
    for i, option in enumerate(options):
        need, sd = option.estimate.minimum_mean, option.estimate.minimum_sd
        rows = [row for row in gpus_with(int(need)) if row.vendor == "NVIDIA"]
        for row in sorted(rows, key=lambda row: (row.vram_bytes or 0, row.form != "desktop", _descending(row.launch_date))):
            spec = find_gpu(row.id)
            if not spec.bf16:
                continue
            device = device_from_spec(spec, 1, "linux")
            p = probability_of_fit(need, sd, device.free_bytes, device.free_sd_bytes)
            if p >= FITS:
                found.append(SmallestGpu(i, row.id, row.name, device.total_bytes, round(p, 4)))
                break
    return tuple(found)


def _descending(date: str | None) -> str:
    """A key that sorts later dates first."""
    return "".join(chr(255 - ord(c)) for c in date or "")


def assumptions(model: ModelSpec, workload: Workload, options: list[Option], device: Device | None) -> tuple[str, ...]:
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
            said.append(f"LoRA rank {plan.lora_r}, alpha {plan.lora_alpha:g}, dropout {plan.lora_dropout:g} on {' '.join(plan.target_modules)}")
        said.append(
            f"checkpointing {plan.gradient_checkpointing}, attention {plan.attn_implementation}, loss {plan.loss}, "
            f"optimizer {plan.optimizer}, mixed precision {plan.mixed_precision}"
        )
    else:
        said.append(f"runtime {plan.runtime}, {workload.num_sequences} sequence(s) of {workload.context_length} tokens")
    if plan.num_gpus > 1:
        said.append(f"{plan.num_gpus} GPUs, {plan.sharding}; figures are those of one GPU")
    if device is not None and device.source == "catalogue":
        said.append(f"{device.name} as an empty card: {gib(device.free_bytes)} usable")
    return tuple(said)
