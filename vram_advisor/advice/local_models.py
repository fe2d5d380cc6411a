"""Whether a model that is on this machine fits the card, how long its context may be, and what it takes when loaded."""

from __future__ import annotations

from dataclasses import replace

from vram_advisor.advice.longest import lacking, longest_length
from vram_advisor.advice.options import plans
from vram_advisor.advice.reach import GRAIN
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.local_model import LoadedModel, LocalFit, LocalModel, Store
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Runtime, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.errors import AdvisorError

RUNTIMES: dict[Store, Runtime] = {
    "ollama": "ollama", "lm-studio": "lm-studio", "llama.cpp": "llama.cpp", "huggingface": "llama.cpp",
}  # fmt: skip
"""Program that runs the GGUF files of a store."""
BEYOND = 131_072
"""Longest context that is asked about where the model does not say what it was made for [tokens]."""


def plan_of(local: LocalModel, spec: ModelSpec, device: Device | None) -> Plan:
    """How the program that owns a file runs it, in the format in which it is stored."""
    plan = Plan(runtime=RUNTIMES[local.store] if local.format == "gguf" else "transformers")
    return plans(spec, Workload(), plan, plan.quantization, device)[0][1]


def local_fit(
    local: LocalModel, spec: ModelSpec, context_length: int, device: Device | None, coefficients: Coefficients
) -> LocalFit:
    """One model beside the card."""
    parameters = count_parameters(spec)
    try:
        plan = plan_of(local, spec, device)
        habits = recipe(plan.recipe)

        def at(context: int) -> Estimate:
            return estimate(spec, Workload(context_length=context), plan, habits, device, coefficients).estimate

        most = spec.max_position_embeddings or BEYOND
        found = at(min(context_length, most))
        longest = None
        if device is not None:
            card = device
            longest = longest_length(lambda context: lacking(at(context), card), most, GRAIN["context_length"])
    except AdvisorError as error:
        return LocalFit(model=local, parameters=parameters, refused=str(error))
    return LocalFit(
        model=local,
        parameters=parameters,
        need_bytes=int(found.minimum_mean),
        verdict=None if device is None else judge(found, device),
        longest_context=longest,
    )


def predicted(
    loaded: LoadedModel, spec: ModelSpec, runtime: Runtime, device: Device | None, coefficients: Coefficients
) -> LoadedModel:
    """A loaded model with what it should take, at the settings that its program states."""
    plan = Plan(runtime=runtime, n_parallel=loaded.slots)
    try:
        plan = plans(spec, Workload(), plan, plan.quantization, device)[0][1]
        workload = Workload(context_length=loaded.context_length or Workload().context_length)
        found = estimate(spec, workload, plan, recipe(plan.recipe), device, coefficients).estimate
    except AdvisorError:
        return loaded
    return replace(
        loaded,
        predicted_bytes=found.peak.allocated_bytes.mid,
        predicted_process_bytes=found.peak.process_bytes.mid,
    )
