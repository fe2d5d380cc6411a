"""The one door: resolve names, look at the machine, answer. The faces call this and nothing below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vram_advisor.advice.options import lacks_bf16, named_quantization, plans, recommend
from vram_advisor.advice.remarks import assumptions, limits, option_notes, without_effect
from vram_advisor.advice.smallest import smallest
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.answer import Answer, AppliedCalibration, Download, Option
from vram_advisor.domain.architectures import build
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.contradictions import refuse_contradictions
from vram_advisor.domain.gpu import Device, GpuSpec, Machine
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization as storage
from vram_advisor.domain.recipe import Recipe, recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES, runtime_of
from vram_advisor.domain.tensors import active_parameters, count_parameters
from vram_advisor.hardware.host import read_host
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources import calibrations, catalog_gpus, catalog_models
from vram_advisor.sources.calibrations import Stored, stored
from vram_advisor.sources.catalog_gpus import find_gpu, with_spec
from vram_advisor.sources.models import REPOSITORY, looks_like_path, resolve_model
from vram_advisor.units.errors import BadInput, Missing, NotModelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from vram_advisor.accuracy.score import Report
    from vram_advisor.advice.cards import CardRanking
    from vram_advisor.advice.choices import FittingModels
    from vram_advisor.calibration.calibrate import Calibrated
    from vram_advisor.domain.advice import Advice, AdviceAnswer
    from vram_advisor.domain.calibration import Calibration
    from vram_advisor.domain.imported import Exported, Imported
    from vram_advisor.domain.job import Dataset
    from vram_advisor.domain.local_model import LocalAnswer, LocalModels
    from vram_advisor.domain.protocol import Progress, Protocol
    from vram_advisor.domain.served import ServedResult
    from vram_advisor.domain.trace import TraceAnswer
    from vram_advisor.domain.trial import Backend
    from vram_advisor.memory.estimate import Estimated
    from vram_advisor.sources.catalog_models import ModelRecord

WORKLOAD = tuple(field.name for field in fields(Workload))
PLAN = tuple(field.name for field in fields(Plan))
TRACED = "allocated bytes are those of the real training code, traced on tensors without memory"
BEST = 2
"""Pieces of advice at the end of a check."""
MOST_STEPS = 10_000
"""Optimizer steps of a calibration run."""


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


def check(
    model: str | ModelSpec,
    *,
    gpu: str | None = None,
    gpu_index: int | None = None,
    quantization: str | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    coefficients: Coefficients = NOMINAL,
    calibrated: bool = True,
    trace: bool = False,
    advised: bool = False,
    machine: Machine | None = None,
    **choices: Any,
) -> Answer:
    """Will it fit?

    Args:
        model: catalogue alias, path to a configuration, folder or safetensors file, or Hugging Face id.
        gpu: a card of the catalogue; None: the one in this machine.
        gpu_index: which GPU of this machine.
        quantization: how the base is stored; None compares what people choose between.
        workload, plan: the ask and the levers as values.
        coefficients: measured numbers; others than the nominal ones are taken as they are.
        calibrated: correct the nominal ones by what was measured on this card, or with this recipe.
        trace: run the real training code on tensors without memory, and answer by what it allocates.
        advised: where it does not fit, or only just, look for what would make it fit.
        machine: what ``detect`` found; None: look now, where no card is named.
        choices: fields of Workload and Plan by name, instead of or on top of the values.

    Raises:
        BadInput: a name, file or number cannot be used.
        Missing: something that was asked for is not there.
    """
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices, quantization)
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    if quantization is None:
        quantization = plan.quantization
    named = storage(named_quantization(quantization, plan)) if quantization else None
    refuse_contradictions(workload, replace(plan, quantization=quantization), named)
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    if plan.num_gpus > 1 and plan.sharding == "none" and workload.trains:
        plan = replace(plan, sharding="ddp")
    device = resolve_device(gpu, gpu_index, plan.num_gpus, machine)
    if workload.trains and lacks_bf16(device):
        plan = replace(plan, weights_dtype=plan.weights_dtype or "fp16")
    habits = recipe(plan.recipe)
    kept = stored() if calibrated and device is not None and coefficients is NOMINAL else Stored()
    estimates = _traced(model, workload) if trace else estimate
    applied: list[AppliedCalibration | None] = []
    options: list[Option] = []
    candidates: list[Plan] = []
    warnings: list[str] = []
    refused: NotModelled | None = None
    for title, candidate in plans(spec, workload, plan, quantization, device):
        try:
            k, used = measured(kept, workload, candidate, habits, device, coefficients)
            value = estimates(spec, workload, candidate, habits, device, k)
        except NotModelled as error:
            refused = error
            warnings.append(f"{title}: {error}")
            continue
        options.append(Option(title, value.plan, habits, value.estimate, judge(value.estimate, device)))
        applied.append(used)
        candidates.append(candidate)
    if not options:
        assert refused is not None
        raise refused
    recommended = recommend(options)
    least = min(range(len(options)), key=lambda i: options[i].estimate.minimum_mean)
    said = [
        *warnings,
        *kept.problems,
        *limits(spec, workload, options[0].plan, device),
        *without_effect(workload, plan),
    ]
    if plan.runtime in GGUF_RUNTIMES and recommended is None and device is not None:
        said += offloading(spec, workload, options[least], device, named_card=gpu is not None)
    shown = least if recommended is None else recommended
    advices: tuple[Advice, ...] = ()
    if advised and not trace and device is not None and options[shown].verdict.outcome != "fits":
        setting = (spec, workload, candidates[shown], options[shown].plan)
        advices = _best_advice(*setting, device, kept, coefficients)
    return Answer(
        model=spec,
        parameters=count_parameters(spec),
        active_parameters=active_parameters(spec),
        workload=workload,
        device=device,
        calibration=applied[shown],
        options=tuple(options),
        recommended=recommended,
        smallest_gpus=smallest(options) if recommended is None else (),
        assumptions=assumptions(spec, workload, options, device) + ((TRACED,) if trace else ()),
        warnings=tuple(dict.fromkeys([*said, *option_notes(options, recommended), *spec.notes])),
        advices=advices,
        download=_download(model, spec, options[0 if device is None else shown].plan),
    )


def _best_advice(
    model: ModelSpec,
    workload: Workload,
    asked: Plan,
    plan: Plan,
    device: Device,
    kept: Stored,
    coefficients: Coefficients,
) -> tuple[Advice, ...]:
    """The two best changes to a plan that does not fit. The search is imported where one is needed."""
    from vram_advisor.advice.advise import Desk, best_advices
    from vram_advisor.advice.levers import Setting
    from vram_advisor.advice.pace import Pace

    def learnt(workload: Workload, plan: Plan) -> Coefficients:
        return measured(kept, workload, plan, recipe(plan.recipe), device, coefficients)[0]

    pace = Pace(device, learnt)
    smaller = catalog_models.smaller_siblings(model.id)
    desk = Desk(Setting(model, workload, asked, plan), device, learnt, pace.seconds, smaller, pace.speed)
    return best_advices(desk, BEST)


def _download(name: str | ModelSpec, model: ModelSpec, plan: Plan) -> Download | None:
    """What has to be fetched; nothing for a model that is a file of this machine already."""
    known = catalog_models.model_id(name if isinstance(name, str) else model.id)
    if known is None and not (isinstance(name, str) and REPOSITORY.fullmatch(name) and not looks_like_path(name)):
        return None
    if model.stored_tensors:
        return None
    from vram_advisor.advice.download import download_of

    return download_of(model, catalog_models.entries()[known][0].hf_repo if known else str(name), plan)


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
    from vram_advisor.advice.job import at_longest, planned_job, read_examples
    from vram_advisor.advice.levers import Setting
    from vram_advisor.advice.pace import Pace

    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    examples, notes = None, tuple[str, ...]()
    if dataset is not None and dataset.asked:
        name = model.id if isinstance(model, ModelSpec) else model
        examples = read_examples(dataset, name, workload)
        workload, notes = at_longest(workload, examples)
    answer = check(
        model, gpu=gpu, gpu_index=gpu_index, workload=workload, plan=plan, calibrated=calibrated, machine=machine
    )
    device = answer.device
    if device is None:
        raise Missing("There is no GPU in this machine to advise on: name a card with --gpu, such as --gpu rtx-5070.")
    asked = plans(answer.model, workload, plan, plan.quantization, device)[0][1]
    smaller = catalog_models.smaller_siblings(answer.model.id)
    setting = Setting(answer.model, workload, asked, answer.options[0].plan)
    kept = stored() if calibrated else Stored()

    def learnt(workload: Workload, plan: Plan) -> Coefficients:
        return measured(kept, workload, plan, recipe(plan.recipe), device, NOMINAL)[0]

    pace = Pace(device, learnt)
    found = advised(Desk(setting, device, learnt, pace.seconds, smaller, pace.speed))
    used = measured(kept, workload, setting.plan, recipe(asked.recipe), device, NOMINAL)[1]
    found = replace(found, calibration=used, notes=(*found.notes, *notes, *kept.problems))
    if examples is None or dataset is None:
        return found
    if found.asked.verdict.outcome != "fits" and found.advices:
        best = found.advices[0]
        title = " + ".join(move.title for move in best.moves)
        job = planned_job(examples, dataset, best.model, best.workload, best.plan, title, pace)
    else:
        job = planned_job(examples, dataset, answer.model, workload, setting.plan, "as asked", pace)
    if job is None:
        unknown = f"How long it takes is not known: the catalogue lacks the rates of {device.name}."
        return replace(found, notes=(*found.notes, unknown))
    return replace(found, job=job)


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


def trace(
    model: str,
    *,
    workload: Workload | None = None,
    plan: Plan | None = None,
    full_depth: bool = False,
    time_limit: float = 600.0,
    stop: threading.Event | None = None,
    **choices: Any,
) -> TraceAnswer:
    """What the real training code allocates, on tensors without memory, and the closed form beside it.

    Args:
        model: catalogue alias, path to a configuration or folder, or Hugging Face id; an architecture without a closed
            form too.
        workload, plan: the ask and the levers as values.
        full_depth: run every layer, which tells what an allocator reserves too.
        time_limit: after which it is stopped [s].
        stop: set by another thread to stop it.
        choices: fields of Workload and Plan by name.

    Raises:
        BadInput: a name, file or number cannot be used.
        Missing: torch, transformers or PEFT is not installed.
    """
    from vram_advisor.calibration.beside import answer_of
    from vram_advisor.calibration.trace import trace as traced
    from vram_advisor.sources.configs import resolve_config

    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    plan = one_plan(workload, plan)
    found = resolve_config(model)
    made = traced(found.config, workload, plan, full_depth=full_depth, seconds=time_limit, stop=stop)
    return answer_of(found.id, found.config, found.source, workload, plan, made)


def _traced(model: str | ModelSpec, workload: Workload) -> Callable[..., Estimated]:
    """``estimate`` by a trace of the model that a name means."""
    from vram_advisor.calibration.traced_estimate import estimate_by_trace
    from vram_advisor.sources.configs import resolve_config

    if isinstance(model, ModelSpec):
        raise BadInput("A trace needs the configuration of the model: give its name or path.")
    if not workload.trains:
        raise BadInput(f"--method {workload.method} does not train, so there is no step to trace: leave out --trace.")
    return partial(estimate_by_trace, resolve_config(model).config)


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


def measured(
    kept: Stored, workload: Workload, plan: Plan, habits: Recipe, device: Device | None, nominal: Coefficients
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
    asked = Wanted(device=device, workload=workload, plan=chosen, program=__version__, torch=torch)
    return correction(kept.calibrations, asked, nominal)


def list_calibrations() -> Stored:
    """All calibrations that are kept, and the files that cannot be used."""
    return stored()


def find_calibration(name: str) -> Calibration:
    """The calibration of this id, or the only one whose id begins so. Raises BadInput."""
    return calibrations.find(name)


def remove_calibrations(names: Sequence[str]) -> list[str]:
    """Forget calibrations; their ids are returned.

    Raises:
        BadInput: there is no such calibration; those before it are forgotten.
        Missing: the system refuses.
    """
    return [calibrations.remove(name) for name in names]


def export_calibration(name: str, file: str | Path) -> Calibration:
    """Write a calibration to a file that is not there yet. Raises BadInput, Missing."""
    return calibrations.export_to(name, Path(file))


def import_calibration(file: str | Path) -> Calibration:
    """Keep the calibration of a file from elsewhere, whatever is in it. Raises BadInput, Missing."""
    return calibrations.import_from(Path(file))


def offloading(model: ModelSpec, workload: Workload, option: Option, device: Device, *, named_card: bool) -> list[str]:
    """What of a model could stay in system memory, in words; a named card says nothing about the computer's memory."""
    # Only a model that does not fit asks for this search.
    from vram_advisor.advice.offload import offload, sentences

    ram = None if named_card else read_host().ram_total_bytes
    found = offload(model, workload, option.plan, option.recipe, device, ram)
    return [f"{option.title}: {sentence}" for sentence in sentences(found)]


def list_gpus() -> tuple[GpuSpec, ...]:
    """All cards of the catalogue, a chip with several memory sizes once per size."""
    return catalog_gpus.list_gpus()


def list_models() -> tuple[ModelRecord, ...]:
    """All models of the catalogue."""
    return tuple(catalog_models.find_record(entry.id) for entry in catalog_models.list_models())


def list_local_models() -> LocalModels:
    """Models in the stores of this machine: Ollama, LM Studio, llama.cpp, Hugging Face. Never raises."""
    from vram_advisor.sources.local_models import list_local_models as listed

    return listed()


def survey(
    *,
    gpu: str | None = None,
    gpu_index: int | None = None,
    context_length: int = 4096,
    words: Sequence[str] = (),
    machine: Machine | None = None,
    tell: Callable[[str], None] | None = None,
) -> LocalAnswer:
    """What is on this machine: models of its stores and whether they fit, programs and what they have loaded.

    Args:
        gpu, gpu_index, machine: as for ``check``.
        context_length: that needs and verdicts are for [tokens].
        words: that one of the names of a model has to contain.
        tell: called with what is being done.

    Raises:
        BadInput: no card has that name.
        Missing: the machine has no GPU of that index.
    """
    from vram_advisor.advice.local_survey import survey as surveyed

    Workload(context_length=context_length)
    device = resolve_device(gpu, gpu_index, 1, machine)
    return surveyed(device, context_length, NOMINAL, tell or (lambda text: None), words)


def fitting(
    *,
    models: Sequence[str] | None = None,
    gpu: str | None = None,
    gpu_index: int | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    machine: Machine | None = None,
    tell: Callable[[str], None] | None = None,
    **choices: Any,
) -> FittingModels:
    """The models of the catalogue that fit a card, the largest first, each as exact as it fits.

    Args:
        models: ids of the catalogue; None: all.
        tell: called with what is being done.
        others: as for ``check``.

    Raises:
        BadInput: a name or number cannot be used.
        Missing: there is no card.
    """
    from vram_advisor.advice.choices import fitting_models

    workload, plan = _asked(workload, plan, choices)
    device = resolve_device(gpu, gpu_index, plan.num_gpus, machine)
    if device is None:
        raise Missing("There is no GPU in this machine to fit models to: name a card with --gpu, such as rtx-5070.")
    return fitting_models(catalog_models.modelled(models), workload, plan, device, NOMINAL, tell or (lambda text: None))


def rank(
    model: str | ModelSpec,
    *,
    cards: Sequence[str] | None = None,
    gpu: str | None = None,
    gpu_index: int | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    machine: Machine | None = None,
    **choices: Any,
) -> CardRanking:
    """The cards of the catalogue by how they do a job, those first that fit and are smallest.

    Args:
        cards: ids of the catalogue; None: all.
        gpu, gpu_index: the present card, that others are compared with; None: the one of this machine, if any.
        others: as for ``check``; without a quantization the most exact is what is asked.

    Raises:
        BadInput: a name or number cannot be used.
        NotModelled: the model cannot be estimated.
        Missing: the machine has no GPU of that index.
    """
    from vram_advisor.advice.cards import CardRanking, rank_cards

    workload, plan = _asked(workload, plan, choices)
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    title, plan = plans(spec, workload, plan, plan.quantization, None)[0]
    present = resolve_device(gpu, gpu_index, plan.num_gpus, machine)
    chosen = [card for card in list_gpus() if cards is None or card.id in cards]
    found = rank_cards(spec, workload, plan, chosen, NOMINAL, present)
    return CardRanking(spec, workload, plan, title, present, found)


def _asked(workload: Workload | None, plan: Plan | None, choices: dict[str, Any]) -> tuple[Workload, Plan]:
    """Workload and plan as they are meant. Raises BadInput."""
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    named = storage(named_quantization(plan.quantization, plan)) if plan.quantization else None
    refuse_contradictions(workload, plan, named)
    if plan.num_gpus > 1 and plan.sharding == "none" and workload.trains:
        plan = replace(plan, sharding="ddp")
    return workload, plan


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


def plan_calibration(
    model: str,
    *,
    backend: Backend | None = None,
    gpu_index: int | None = None,
    steps: int = 3,
    full: bool = False,
    dataset: str | Path | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    **choices: Any,
) -> Protocol:
    """The short runs that would calibrate the predictions for this machine, all of which fit on it.

    Args:
        model: catalogue alias, path to a configuration or folder, or Hugging Face id.
        backend: where they run; None: the GPU of this machine.
        gpu_index: which GPU of this machine.
        steps: optimizer steps of each run.
        full: the whole model instead of two small depths.
        dataset: file whose examples give the lengths of sequences.
        workload, plan, choices: as for ``check``.

    Raises:
        BadInput: a name, file or number cannot be used, or nothing fits.
        Missing: there is no such GPU, or the training code is not installed.
    """
    from vram_advisor.calibration.place import find_place
    from vram_advisor.calibration.protocol import Asked, plan_runs
    from vram_advisor.calibration.versions import require
    from vram_advisor.memory.setup import resolved
    from vram_advisor.sources.configs import resolve_config
    from vram_advisor.sources.dataset import read_lengths

    require("calibrate")
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    if not workload.trains:
        raise BadInput(
            "--method inference does not train, and fine-tunes are calibrated: use lora, qlora, dora or full."
        )
    if not 2 <= steps <= MOST_STEPS:
        raise BadInput(f"--steps {steps}: should be from 2, as the first does not count, to {MOST_STEPS:,}.")
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    named = storage(named_quantization(plan.quantization, plan)) if plan.quantization else None
    refuse_contradictions(workload, plan, named)
    if plan.num_gpus > 1 and plan.sharding == "none":
        plan = replace(plan, sharding="ddp")
    source = resolve_config(model)
    spec = build(source.config, id=source.id)
    lengths = read_lengths(dataset, model) if dataset is not None else None
    place = find_place(detect(), backend, gpu_index, plan.num_gpus)
    if lacks_bf16(place.device):
        plan = replace(plan, weights_dtype=plan.weights_dtype or "fp16")
    _, plan = plans(spec, workload, plan, plan.quantization, place.device)[0]
    plan = resolved(workload, plan, recipe(plan.recipe))
    tokens = lengths.tokens if lengths else ()
    asked = Asked(source.config, spec, workload, plan, place.backend, place.device, steps, full, tokens)
    protocol = replace(plan_runs(asked), gpu_index=gpu_index)
    if lengths:
        counted = f"The dataset has {len(tokens):,} examples of up to {max(tokens):,} tokens, counted {lengths.how}."
        protocol = replace(protocol, notes=(counted, *protocol.notes))
    return protocol


def calibrate(
    protocol: Protocol,
    *,
    time_limit: float | None = None,
    hear: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    coefficients: Coefficients = NOMINAL,
    save: bool = True,
) -> Calibrated:
    """Make the runs of a protocol, each in a process of its own, and learn from what they measure.

    Args:
        protocol: from ``plan_calibration``.
        time_limit: of each run [s]; None: a quarter of an hour, or five times the rough time of the longest.
        hear: called with what happens.
        stop: set by another thread to end it.
        coefficients: what is believed before.
        save: keep the calibration, so that ``check`` uses it.

    Raises:
        BadInput: another calibration is running, or the runs are refused by the training code.
        Missing: nothing was measured.
    """
    import tempfile

    from vram_advisor.calibration.calibrate import calibrate as make_runs
    from vram_advisor.calibration.lock import only_one
    from vram_advisor.calibration.place import find_place
    from vram_advisor.calibration.supervisor import Limits
    from vram_advisor.domain.protocol import Progress
    from vram_advisor.sources import calibrations
    from vram_advisor.sources.user_data import data_directory

    tell = hear or (lambda event: None)
    place = find_place(detect(), protocol.backend, protocol.gpu_index, protocol.runs[0].trial.processes)
    seconds = time_limit or max(Limits().seconds, 5 * max(run.seconds for run in protocol.runs))
    limits = Limits(seconds, min(seconds, Limits().silence))
    with only_one((data_directory() or Path(tempfile.gettempdir())) / "calibrate.lock"):
        done = make_runs(protocol, place, limits, tell, stop=stop, nominal=coefficients)
        if not save or not done.calibration.learnt:
            return done
        try:
            file = calibrations.save(done.calibration)
        except Missing as error:
            return replace(done, notes=(*done.notes, f"The calibration could not be kept: {error}"))
        tell(Progress(event="saved", message=str(file)))
        return replace(done, saved=str(file))


def read_run(
    file: str | Path, *, data: bytes | None = None, program: str | None = None, model: str | None = None
) -> Imported:
    """The run that a configuration file or command line of another program describes. Nothing of it is executed.

    Args:
        file: path of the file, or what to call it in sentences.
        data: its content, where it does not lie at the path.
        program: whose file it is; None: found by its keys.
        model: taken instead of the one that the file names.

    Raises:
        BadInput: it cannot be read; the sentence names the file, the key and what was expected.
        NotModelled: it describes a run that is not estimated.
    """
    from vram_advisor.exchange.files import MAX_BYTES, import_run
    from vram_advisor.sources.json_files import expanded, read_bytes

    imported = import_run(read_bytes(expanded(file), MAX_BYTES) if data is None else data, str(file), program)
    imported = replace(imported, model=model or imported.model)
    if imported.model_context and imported.model is not None:
        # Such a server takes all of the context that the model was made for.
        context = resolve_model(imported.model).max_position_embeddings or imported.workload.context_length
        imported = replace(imported, workload=replace(imported.workload, context_length=context))
    return imported


def write_run(program: str, model: str | None, workload: Workload, plan: Plan) -> Exported:
    """A configuration file or a command line of another program for a plan, and what it cannot express.

    Raises:
        BadInput: there is no such program, or it does not do what is asked.
    """
    from vram_advisor.exchange.files import export_run

    if model is not None and "/" not in model and catalog_models.model_id(model) is not None:
        # Other programs do not know the names of the catalogue; a file in GGUF has none but its own.
        record = catalog_models.find_record(model)
        model = record.id if plan.runtime in GGUF_RUNTIMES else record.hf_repo
    return export_run(program, model, workload, plan)


def with_choices(
    workload: Workload, plan: Plan, choices: dict[str, Any], quantization: str | None = None
) -> tuple[Workload, Plan]:
    """Workload and plan with fields set by name.

    Raises:
        BadInput: no field has that name, or the value is out of range.
    """
    asked = {name: value for name, value in choices.items() if name in WORKLOAD}
    pulled = {name: value for name, value in choices.items() if name in PLAN}
    for name in choices:
        if name not in asked and name not in pulled:
            raise BadInput(f"'{name}' is no option: use one of {', '.join([*WORKLOAD, *PLAN])}.")
    workload, plan = replace(workload, **asked) if asked else workload, replace(plan, **pulled) if pulled else plan
    return workload, replace(plan, runtime=runtime_of(workload, plan, quantization))


def split(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names one by one: people write lists of modules with commas as often as with spaces."""
    return tuple(part for entry in names for part in (entry.split(",") if entry else [""]))
