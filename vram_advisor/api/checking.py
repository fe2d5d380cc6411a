"""Will it fit, and how: one answer per way of storing the model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from vram_advisor.advice.options import lacks_bf16, named_quantization, plans, recommend
from vram_advisor.advice.remarks import assumptions, limits, not_llama_cpp, option_notes, without_effect
from vram_advisor.advice.smallest import smallest
from vram_advisor.advice.verdict import judge
from vram_advisor.api.asking import measured, resolve_device, split, with_choices, with_company
from vram_advisor.domain.answer import Answer, AppliedCalibration, Download, Option
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.contradictions import refuse_contradictions
from vram_advisor.domain.gpu import Device, Machine
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization as storage
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES
from vram_advisor.domain.tensors import active_parameters, count_parameters
from vram_advisor.hardware.host import read_host
from vram_advisor.memory.estimate import estimate
from vram_advisor.sources import catalog_models
from vram_advisor.sources.calibrations import Stored, stored
from vram_advisor.sources.models import REPOSITORY, looks_like_path, resolve_model
from vram_advisor.units.errors import BadInput, NotModelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from vram_advisor.domain.advice import Advice
    from vram_advisor.memory.estimate import Estimated

TRACED = "allocated bytes are those of the real training code, traced on tensors without memory"
BEST = 2
"""Pieces of advice at the end of a check."""


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
    offloads: bool = True,
    machine: Machine | None = None,
    **choices: Any,
) -> Answer:
    """Will it fit?

    Args:
        model: catalogue alias, path to a configuration, folder, safetensors or ``.gguf`` file, or Hugging Face id; a GGUF
            file of the hub as ``owner/name:Q4_K_M``; what Ollama or LM Studio has on this machine as ``ollama:NAME``
            (``ollama:llama3.1:8b``), ``lm-studio:KEY``.
        gpu: a card of the catalogue; None: the one in this machine.
        gpu_index: which GPU of this machine.
        quantization: how the base is stored; None compares what people choose between.
        workload, plan: the ask and the levers as values.
        coefficients: measured numbers; others than the nominal ones are taken as they are.
        calibrated: correct the nominal ones by what was measured on this card, or with this recipe.
        trace: run the real training code on tensors without memory, and answer by what it allocates.
        advised: where it does not fit, or only just, look for what would make it fit.
        offloads: where a model of llama.cpp does not fit, look for what could stay in system memory.
        machine: what ``detect`` found; None: look now, where no card is named.
        choices: fields of Workload and Plan by name, instead of or on top of the values.

    Raises:
        BadInput: a name, file or number cannot be used.
        Missing: something that was asked for is not there.
    """
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    named_runtime = choices.get("runtime", plan.runtime if plan is not None else None)
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices, quantization, spec)
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    if quantization is None:
        quantization = plan.quantization
    named = storage(named_quantization(quantization, plan)) if quantization else None
    refuse_contradictions(workload, replace(plan, quantization=quantization), named)
    spec = with_company(spec, plan)
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
            k, used = measured(kept, workload, candidate, habits, device, coefficients, trace)
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
        *(not_llama_cpp(spec, workload, plan) if named_runtime is None else ()),
    ]
    if offloads and plan.runtime in GGUF_RUNTIMES and recommended is None and device is not None:
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


def _traced(model: str | ModelSpec, workload: Workload) -> Callable[..., Estimated]:
    """``estimate`` by a trace of the model that a name means."""
    from vram_advisor.calibration.traced_estimate import estimate_by_trace
    from vram_advisor.sources.configs import resolve_config

    if isinstance(model, ModelSpec):
        raise BadInput("A trace needs the configuration of the model: give its name or path.")
    if not workload.trains:
        raise BadInput(f"--method {workload.method} does not train, so there is no step to trace: leave out --trace.")
    return partial(estimate_by_trace, resolve_config(model).config)


def offloading(model: ModelSpec, workload: Workload, option: Option, device: Device, *, named_card: bool) -> list[str]:
    """What of a model could stay in system memory, in words; a named card says nothing about the computer's memory."""
    # Only a model that does not fit asks for this search.
    from vram_advisor.advice.offload import offload, sentences

    ram = None if named_card else read_host().ram_total_bytes
    found = offload(model, workload, option.plan, option.recipe, device, ram)
    return [f"{option.title}: {sentence}" for sentence in sentences(found)]
