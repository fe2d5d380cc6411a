"""What a server of llama.cpp holds beside its model, in the same process: a draft model, a vision or audio tower."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vram_advisor.domain.estimate import Component
from vram_advisor.domain.llama_cpp import ALL_LAYERS, CacheType, LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.memory.llama_cpp.draft import draft_memory
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.parts import cache_components, compute_component, weights_component
from vram_advisor.memory.llama_cpp.start import cache_type, file_tensors, file_type
from vram_advisor.memory.llama_cpp.tower import Tower, tower_components, tower_of
from vram_advisor.units.bytes import gib


@dataclass(frozen=True, slots=True)
class Company:
    """How a plan starts what is beside its model."""

    file_type: str
    """Of a draft model that is no file."""
    n_gpu_layers: int
    cache_type_k: CacheType
    cache_type_v: CacheType
    tower_on_gpu: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Beside:
    """The buffers of what is beside a model."""

    draft: LlamaCppMemory | None = None
    tower: Tower | None = None

    def nbytes(self, place: int) -> int:
        """All of it in one place [B]."""
        found = 0 if self.draft is None else self.draft.buffers(place).total
        if self.tower is not None and self.tower.place == place:
            found += self.tower.nbytes
        return found

    def sd(self, place: int) -> float:
        """Standard deviation of what is estimated in that [B]."""
        return self.tower.compute_sd if self.tower is not None and self.tower.place == place else 0.0


def company_of(plan: Plan) -> Company:
    """What a plan says about a draft model and a tower.

    Raises:
        BadInput, NotModelled: a type of cache or file that llama.cpp has not.
    """
    layers = ALL_LAYERS if plan.n_gpu_layers_draft is None else plan.n_gpu_layers_draft
    stored = replace(plan, quantization=plan.quantization_draft or plan.quantization)
    return Company(
        file_type=file_type(stored),
        n_gpu_layers=layers,
        cache_type_k=cache_type(plan.cache_type_k_draft),  # type: ignore[arg-type]
        cache_type_v=cache_type(plan.cache_type_v_draft),  # type: ignore[arg-type]
        tower_on_gpu=plan.mmproj_offload,
    )


def beside(model: ModelSpec, options: LlamaCppOptions, company: Company) -> Beside:
    """The buffers of what is beside a model.

    Raises:
        BadInput, NotModelled: as ``draft_memory``.
    """
    draft, tower = None, None
    if model.draft is not None:
        small = model.draft
        tensors = small.stored_tensors or file_tensors(small, company.file_type)
        types = company.cache_type_k, company.cache_type_v
        draft = draft_memory(model, small, tensors, options, company.n_gpu_layers, *types)
    if model.projector is not None:
        tower = tower_of(model.projector, 0 if company.tower_on_gpu and options.num_gpus else HOST)
    return Beside(draft, tower)


def beside_components(found: Beside, place: int) -> list[Component]:
    """The same as components, for one place."""
    parts: list[Component] = []
    if found.draft is not None:
        draft = found.draft
        own = [weights_component(draft, place), *cache_components(draft, place), compute_component(draft, place)]
        parts += [replace(c, kind="draft", label=f"draft model: {c.label}") for c in own]
    if found.tower is not None and found.tower.place == place:
        parts += tower_components(found.tower)
    return parts


def beside_notes(model: ModelSpec, found: Beside, place: int) -> list[str]:
    """What a person should know about it."""
    said = []
    if found.draft is not None and model.draft is not None:
        layers = model.draft.num_hidden_layers
        on_gpu = sum(at != HOST for at in found.draft.layout.layers)
        said.append(
            f"The draft model {model.draft.id} takes {gib(found.draft.buffers(place).total)} of it, "
            f"with {on_gpu} of its {layers} layers on GPUs and a cache as long as that of the model."
        )
    if found.tower is not None:
        said.append(found.tower.said)
    return said
