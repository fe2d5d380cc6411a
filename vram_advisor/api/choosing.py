"""Lists of models and cards, and which of them do a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vram_advisor.advice.options import plans
from vram_advisor.api.asking import asked, measured, resolve_device, with_company
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.gpu import Device, GpuSpec, Machine
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.hardware.host import read_host
from vram_advisor.sources import catalog_gpus, catalog_models
from vram_advisor.sources.calibrations import Stored, stored
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput, Missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from vram_advisor.advice.cards import CardRanking
    from vram_advisor.advice.choices import FittingModels
    from vram_advisor.domain.answer import AppliedCalibration
    from vram_advisor.domain.local_model import LocalAnswer, LocalModels
    from vram_advisor.sources.catalog_models import ModelRecord


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
    calibrated: bool = True,
) -> LocalAnswer:
    """What is on this machine: models of its stores and whether they fit, programs and what they have loaded.

    Args:
        gpu, gpu_index, machine: as for ``check``.
        context_length: that needs and verdicts are for [tokens].
        words: that one of the names of a model has to contain.
        tell: called with what is being done.
        calibrated: correct the nominal coefficients by what was measured on this card.

    Raises:
        BadInput: no card has that name.
        Missing: the machine has no GPU of that index.
    """
    from vram_advisor.advice.local_survey import survey as surveyed

    workload = Workload(context_length=context_length)
    device = resolve_device(gpu, gpu_index, 1, machine)
    plan = Plan(runtime="llama.cpp")
    kept = stored() if calibrated else Stored()
    k, used = measured(kept, workload, plan, recipe(plan.recipe), device, NOMINAL)
    return replace(surveyed(device, context_length, k, tell or (lambda text: None), words), calibration=used)


def fitting(
    *,
    models: Sequence[str] | None = None,
    gpu: str | None = None,
    gpu_index: int | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    machine: Machine | None = None,
    tell: Callable[[str], None] | None = None,
    calibrated: bool = True,
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

    named = choices.get("runtime", plan.runtime if plan is not None else None)
    workload, plan = asked(workload, plan, choices)
    device = resolve_device(gpu, gpu_index, plan.num_gpus, machine)
    if device is None:
        raise Missing("There is no GPU in this machine to fit models to: name a card with --gpu, such as rtx-5070.")
    if plan.model_draft or plan.mmproj or plan.lora:
        raise BadInput("--model-draft, --mmproj and --lora belong to one model: use them with check or advise.")
    # Without a runtime that was named each model gets the one that runs it.
    plan = replace(plan, runtime=named)
    kept = stored() if calibrated else Stored()

    def learnt(workload: Workload, plan: Plan) -> Coefficients:
        return measured(kept, workload, plan, recipe(plan.recipe), device, NOMINAL)[0]

    some = catalog_models.modelled(models)
    found = fitting_models(some, workload, plan, device, learnt, tell or (lambda text: None))
    first = found.models[0].plan if found.models else plan
    used = measured(kept, workload, first, recipe(first.recipe), device, NOMINAL)[1]
    return replace(found, calibration=used)


def named_cards(names: Sequence[str]) -> tuple[GpuSpec, ...]:
    """The cards of these names, in the order of the catalogue. Raises BadInput with the nearest names."""
    known = {card.id: card for card in list_gpus()}
    wanted = {name if name in known else catalog_gpus.find_gpu(name).id for name in names}
    return tuple(card for id, card in known.items() if id in wanted)


def rank(
    model: str | ModelSpec,
    *,
    cards: Sequence[str] | None = None,
    gpu: str | None = None,
    gpu_index: int | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    machine: Machine | None = None,
    calibrated: bool = True,
    **choices: Any,
) -> CardRanking:
    """The cards of the catalogue by how they do a job, those first that fit and are smallest.

    Args:
        cards: names of the catalogue; None: all.
        gpu, gpu_index: the present card, that others are compared with; None: the one of this machine, if any.
        calibrated: correct the nominal coefficients by what was measured, on each card what applies to it.
        others: as for ``check``; without a quantization the most exact is what is asked.

    Raises:
        BadInput: a name or number cannot be used.
        NotModelled: the model cannot be estimated.
        Missing: the machine has no GPU of that index.
    """
    from vram_advisor.advice.cards import CardRanking, rank_cards, ranked

    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    workload, plan = asked(workload, plan, choices, spec)
    spec = with_company(spec, plan)
    title, plan = plans(spec, workload, plan, plan.quantization, None)[0]
    present = resolve_device(gpu, gpu_index, plan.num_gpus, machine)
    chosen = list_gpus() if cards is None else named_cards(cards)
    kept = stored() if calibrated else Stored()

    def learnt(workload: Workload, plan: Plan, device: Device) -> tuple[Coefficients, AppliedCalibration | None]:
        return measured(kept, workload, plan, recipe(plan.recipe), device, NOMINAL)

    found = rank_cards(spec, workload, plan, chosen, learnt, present, read_host().system)
    now = None
    if present is not None and present.spec is not None:
        now = ranked(spec, workload, plan, present.spec, present, learnt)
    return CardRanking(spec, workload, plan, title, present, found, now)
