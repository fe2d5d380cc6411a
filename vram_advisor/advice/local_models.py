"""Whether a model that is on this machine fits the card, how long its context may be, and what it takes when loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vram_advisor.advice.longest import lacking, longest_length
from vram_advisor.advice.options import plans
from vram_advisor.advice.reach import GRAIN
from vram_advisor.advice.shared_needs import FileNeeds, SharedNeeds
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Estimate, Interval, Peak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.local_model import LoadedModel, LocalFit, LocalModel, Store
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.need import Need, Needs
from vram_advisor.domain.plan import Plan, Runtime, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES
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


def local_fit(local: LocalModel, needs: LocalNeeds, context_length: int) -> LocalFit:
    """One model beside the card."""
    device = needs.device
    try:
        found = needs.at(min(context_length, needs.most), estimated=True)
        longest = None
        if device is not None:
            card = device
            longest = longest_length(
                lambda context: lacking(bare(needs.at(context)), card), needs.most, GRAIN["context_length"]
            )
    except AdvisorError as error:
        return LocalFit(model=local, parameters=needs.parameters, refused=str(error))
    return LocalFit(
        model=local,
        parameters=needs.parameters,
        need_bytes=int(found.mean),
        verdict=None if device is None else judge(bare(found), device),
        longest_context=longest,
    )


class LocalNeeds:
    """What one model needs by context: as kept from an earlier run, else by estimate."""

    def __init__(
        self,
        local: LocalModel,
        read: Callable[[], ModelSpec],
        known: Needs | None,
        shared: SharedNeeds,
        coefficients: Coefficients,
    ) -> None:
        self.local, self.read, self.shared, self.coefficients = local, read, shared, coefficients
        self.run: tuple[ModelSpec, Plan] | None = None
        self.file: FileNeeds | None = None
        self.needs = known or self.unknown()

    def unknown(self) -> Needs:
        """Raises BadInput, Missing, NotModelled where the model cannot be read."""
        spec, _ = self.run = self.opened()
        return Needs(count_parameters(spec), spec.max_position_embeddings or BEYOND, ())

    def opened(self) -> tuple[ModelSpec, Plan]:
        """The model, and how it is run. Raises as ``unknown``."""
        spec = self.read()
        return spec, plan_of(self.local, spec, self.device)

    @property
    def device(self) -> Device | None:
        """The card that it is compared with."""
        return self.shared.device

    @property
    def parameters(self) -> int:
        """Of the model."""
        return self.needs.parameters

    @property
    def most(self) -> int:
        """The longest context that is asked about [tokens]."""
        return self.needs.most

    def at(self, context_length: int, estimated: bool = False) -> Need:
        """The minimum to run at a context. Raises BadInput, NotModelled.

        Args:
            estimated: of this very context where no earlier run knows it, not from the line through others.
        """
        need = self.needs.at(context_length)
        if need is None:
            spec, plan = self.run = self.run or self.opened()
            need = self.found(spec, plan, context_length, estimated)
        # A next run asks for the same contexts: what it is told is the same.
        self.needs = self.needs.with_point(need)
        return need

    def found(self, spec: ModelSpec, plan: Plan, context_length: int, estimated: bool) -> Need:
        """What is not kept: shared with files of the same shape, else by an estimate."""
        if plan.runtime in GGUF_RUNTIMES:
            self.file = self.file or FileNeeds(spec, plan, self.shared)
            return self.file.at(context_length, estimated)
        workload = Workload(context_length=context_length)
        found = estimate(spec, workload, plan, recipe(plan.recipe), self.device, self.coefficients).estimate
        return Need(context_length, found.minimum_mean, found.minimum_sd)


def bare(need: Need) -> Estimate:
    """A need as an estimate without its parts. GGUF runtimes and transformers take all they need when they start."""
    middle = int(need.mean)
    whole = Interval(middle, middle, middle)
    return Estimate(
        peak=Peak("prefill", whole, whole, whole, whole),
        phases=(),
        components=(),
        host_bytes=0,
        adapter=None,
        minimum_mean=need.mean,
        minimum_sd=need.sd,
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
