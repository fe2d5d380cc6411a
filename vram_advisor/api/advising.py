"""What would make it fit, and what the result needs when it is served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vram_advisor.advice.options import lacks_bf16, plans
from vram_advisor.advice.remarks import limits, not_llama_cpp, without_effect
from vram_advisor.api.asking import asked as meant
from vram_advisor.api.asking import measured, resolve_device
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.gpu import Device, Machine
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.estimate import estimate
from vram_advisor.sources import catalog_models
from vram_advisor.sources.calibrations import Stored, stored
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput, Missing, NotModelled

if TYPE_CHECKING:
    from vram_advisor.domain.advice import AdviceAnswer
    from vram_advisor.domain.job import Dataset
    from vram_advisor.domain.served import ServedResult


def advise(
    model: str | ModelSpec,
    *,
    gpu: str | None = None,
    gpu_index: int | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    dataset: Dataset | None = None,
    calibrated: bool = True,
    machine: Machine | None = None,
    **choices: Any,
) -> AdviceAnswer:
    """What would make it fit, and how far the card goes.

    Args:
        dataset: what a fine-tune is run on; the longest of its batches decides the length that is estimated.
        others: as for ``check``. Without a quantization the most exact of those that ``check`` compares is what is asked.

    Raises:
        BadInput: a name, file or number cannot be used.
        Missing: there is no card to compare with, or a library that reads the dataset is not installed.
    """
    from vram_advisor.advice.advise import Desk
    from vram_advisor.advice.advise import advise as advised
    from vram_advisor.advice.job import at_longest, planned_job, price_of_a_million, read_examples, without_dataset
    from vram_advisor.advice.levers import Setting
    from vram_advisor.advice.pace import Pace

    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    named_runtime = choices.get("runtime", plan.runtime if plan is not None else None)
    workload, plan = meant(workload, plan, choices, spec)
    examples, notes = None, tuple[str, ...]()
    if dataset is not None and dataset.asked:
        examples = read_examples(dataset, spec.id if isinstance(model, ModelSpec) else model, workload)
        workload, notes = at_longest(workload, examples, spec.max_position_embeddings)
    device = resolve_device(gpu, gpu_index, plan.num_gpus, machine)
    if device is None:
        raise Missing("There is no GPU in this machine to advise on: name a card with --gpu, such as --gpu rtx-5070.")
    if workload.trains and lacks_bf16(device):
        plan = replace(plan, weights_dtype=plan.weights_dtype or "fp16")
    title, asked, chosen, refusals = first_modelled(spec, workload, plan, device)
    said = [
        *refusals,
        *notes,
        *limits(spec, workload, chosen, device),
        *without_effect(workload, plan),
        *(without_dataset(dataset, workload) if dataset is not None else ()),
        *(not_llama_cpp(spec, workload, plan) if named_runtime is None else ()),
        *spec.notes,
    ]
    smaller = catalog_models.smaller_siblings(spec.id)
    setting = Setting(spec, workload, asked, chosen)
    kept = stored() if calibrated else Stored()

    def learnt(workload: Workload, plan: Plan) -> Coefficients:
        return measured(kept, workload, plan, recipe(plan.recipe), device, NOMINAL)[0]

    pace = Pace(device, learnt)
    found = advised(Desk(setting, device, learnt, pace.seconds, smaller, pace.speed))
    used = measured(kept, workload, setting.plan, recipe(asked.recipe), device, NOMINAL)[1]
    found = replace(
        found,
        asked=replace(found.asked, title=title),
        calibration=used,
        notes=tuple(dict.fromkeys([*found.notes, *said, *found.asked.estimate.notes, *kept.problems])),
    )
    if dataset is None:
        return found
    if found.asked.verdict.outcome != "fits" and found.advices:
        best = found.advices[0]
        run = (best.model, best.workload, best.plan, " + ".join(move.title for move in best.moves), pace)
    else:
        run = (spec, workload, setting.plan, "as asked", pace)
    if examples is None:
        price = price_of_a_million(dataset, *run)
        return found if price is None else replace(found, notes=(*found.notes, price))
    job = planned_job(examples, dataset, *run)
    if job is None:
        unknown = f"How long it takes is not known: the catalogue lacks the rates of {device.name}."
        return replace(found, notes=(*found.notes, unknown))
    return replace(found, job=job)


def first_modelled(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device
) -> tuple[str, Plan, Plan, tuple[str, ...]]:
    """The most exact of the options of a check that can be estimated: its title, what is asked, the same with every
    choice made; and why others before it cannot.

    Raises:
        NotModelled: none can.
    """
    refused: list[tuple[str, NotModelled]] = []
    for title, candidate in plans(model, workload, plan, plan.quantization, device):
        try:
            made = estimate(model, workload, candidate, recipe(candidate.recipe), device)
        except NotModelled as error:
            refused.append((title, error))
            continue
        return title, candidate, made.plan, tuple(f"{title}: {error}" for title, error in refused)
    raise refused[-1][1]


def serve_result(answer: AdviceAnswer, base: str) -> ServedResult:
    """What the result of the fine-tune weighs and needs at inference, and the commands that run it.

    Args:
        answer: of ``advise``; where its plan does not fit, the first advice is what is trained.
        base: the name that the model was asked by.

    Raises:
        BadInput: nothing is trained.
    """
    from vram_advisor.advice.served import served

    if not answer.workload.trains:
        raise BadInput("--method inference trains nothing that could be served: name a method, such as --method lora.")
    fits = answer.asked.verdict.outcome == "fits" or not answer.advices
    best = None if fits else answer.advices[0]
    model, workload, plan, made = (
        (answer.model, answer.workload, answer.asked.plan, answer.asked.estimate)
        if best is None
        else (best.model, best.workload, best.plan, best.estimate)
    )
    known = catalog_models.model_id(model.id)
    if known is not None:
        base = catalog_models.find_record(known).hf_repo
    return served(model, base, workload, plan, made.adapter, answer.device, NOMINAL)
