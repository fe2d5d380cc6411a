"""What is asked, from names and fields to values: a card, a workload, a plan, coefficients."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from vram_advisor.advice.options import named_quantization
from vram_advisor.domain.answer import AppliedCalibration
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.contradictions import refuse_contradictions
from vram_advisor.domain.gpu import Device, Machine
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization as storage
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.serving import runtime_of
from vram_advisor.hardware.host import read_host
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.calibrations import Stored
from vram_advisor.sources.catalog_gpus import find_gpu, with_spec
from vram_advisor.units.errors import BadInput

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


def resolve_device(
    gpu: str | None = None, gpu_index: int | None = None, num_gpus: int = 1, machine: Machine | None = None
) -> Device | None:
    """The card to compare with: a named one, or the one in the machine; None where there is neither.

    Args:
        gpu: a card of the catalogue.
        gpu_index: which GPU of the machine.
        num_gpus: how many of the named cards share the work.
        machine: what ``detect`` found; None: look now.

    Raises:
        BadInput: no card has that name.
        Missing: the machine has no GPU of that index.
    """
    if gpu is not None:
        return device_from_spec(find_gpu(gpu), num_gpus, read_host().system)
    from vram_advisor.hardware.machine import device

    machine = detect() if machine is None else machine
    if not machine.gpus and gpu_index is None:
        return None
    return device(machine, machine.gpus[0].index if gpu_index is None else gpu_index)


def with_company(model: ModelSpec, plan: Plan) -> ModelSpec:
    """The model with what a plan of llama.cpp loads beside it: a draft model, a tower, adapters. Raises as a model."""
    if not (plan.model_draft or plan.mmproj or plan.lora):
        return model
    from vram_advisor.sources.companions import with_companions

    return with_companions(model, plan)


def with_choices(
    workload: Workload,
    plan: Plan,
    choices: dict[str, Any],
    quantization: str | None = None,
    model: ModelSpec | None = None,
) -> tuple[Workload, Plan]:
    """Workload and plan with fields set by name, and the runtime that is meant.

    Raises:
        BadInput: no field has that name, or the value is out of range.
    """
    asked = {name: value for name, value in choices.items() if name in WORKLOAD}
    pulled = {name: value for name, value in choices.items() if name in PLAN}
    for name in choices:
        if name not in asked and name not in pulled:
            raise BadInput(f"'{name}' is no option: use one of {', '.join([*WORKLOAD, *PLAN])}.")
    workload, plan = replace(workload, **asked) if asked else workload, replace(plan, **pulled) if pulled else plan
    return workload, replace(plan, runtime=runtime_of(workload, plan, quantization, model))


def split(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names one by one: people write lists of modules with commas as often as with spaces."""
    return tuple(part for entry in names for part in (entry.split(",") if entry else [""]))


def one_plan(workload: Workload, plan: Plan) -> Plan:
    """The plan of a fine-tune where one is run rather than several compared: adapters on a base in 16 bits, QLoRA in 4.

    Raises:
        BadInput: the storage format is not known or contradicts the method.
    """
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    name = plan.quantization or ("q4" if workload.method == "qlora" else None)
    exact = named_quantization(name, plan) if name else None
    plan = replace(plan, quantization=exact)
    refuse_contradictions(workload, plan, storage(exact) if exact else None)
    return plan


def asked(
    workload: Workload | None, plan: Plan | None, choices: dict[str, Any], model: ModelSpec | None = None
) -> tuple[Workload, Plan]:
    """Workload and plan as they are meant, for a model where one is asked about. Raises BadInput."""
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices, None, model)
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    named = storage(named_quantization(plan.quantization, plan)) if plan.quantization else None
    refuse_contradictions(workload, plan, named)
    if plan.num_gpus > 1 and plan.sharding == "none" and workload.trains:
        plan = replace(plan, sharding="ddp")
    return workload, plan


def measured(
    kept: Stored,
    workload: Workload,
    plan: Plan,
    habits: Recipe,
    device: Device | None,
    nominal: Coefficients,
    traced: bool = False,
) -> tuple[Coefficients, AppliedCalibration | None]:
    """Coefficients for a plan as far as kept calibrations correct them, and which one does."""
    if not kept.calibrations or device is None:
        return nominal, None
    from importlib.metadata import PackageNotFoundError, version

    from vram_advisor import __version__
    from vram_advisor.calibration.matching import Wanted, correction
    from vram_advisor.domain.calibration import minor
    from vram_advisor.memory.session import resolved_inference
    from vram_advisor.memory.setup import resolved

    try:
        torch = minor(version("torch"))
    except PackageNotFoundError:
        torch = None
    chosen = resolved(workload, plan, habits) if workload.trains else resolved_inference(plan)
    asked = Wanted(device=device, workload=workload, plan=chosen, program=__version__, torch=torch, traced=traced)
    return correction(kept.calibrations, asked, nominal)
