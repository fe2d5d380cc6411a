"""Needs of GGUF files that share all but the bytes of their weights: one estimate serves every quantization of a model."""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.need import Need, Needs
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import gguf_serving
from vram_advisor.memory.llama_cpp.alike import Shape, Shaped, course, shaped
from vram_advisor.memory.llama_cpp.estimate import outside_of, spread_of, started
from vram_advisor.memory.llama_cpp.start import start_of, weights_of
from vram_advisor.units.errors import NotModelled


@dataclass(slots=True)
class Line:
    """Starts of one shape with the same options, by cells of context."""

    outside: float
    """Context and pool, which no length changes [B]."""
    needs: Needs
    """What llama.cpp counts as its own, without weights."""


class SharedNeeds:
    """What files of a survey were found to need on one card, by their shape."""

    def __init__(self, device: Device | None) -> None:
        self.device = device
        self.numbers: dict[Shape, int] = {}
        self.lines: dict[tuple[int, LlamaCppOptions], Line] = {}

    def number(self, shape: Shape) -> int:
        """A shape in short."""
        return self.numbers.setdefault(shape, len(self.numbers))


class FileNeeds:
    """One file, with what files of its shape were found to need."""

    def __init__(self, model: ModelSpec, plan: Plan, shared: SharedNeeds) -> None:
        self.model, self.plan, self.shared = model, plan, shared
        self.tensors = weights_of(model, plan)
        self.recipe = recipe(plan.recipe)
        self.row = gguf_serving(self.recipe.name, plan.runtime)
        self.shaped: Shaped | None = None
        self.number: int | None = None

    def at(self, context_length: int, estimated: bool) -> Need:
        """The minimum to run at a context.

        Args:
            estimated: of this very context, not from the line through others.

        Raises:
            BadInput, NotModelled: as ``estimate``.
        """
        if not self.model.causal:
            raise NotModelled(f"Encoders such as {self.model.id} are not modelled under llama.cpp.")
        workload = Workload(context_length=context_length)
        options = start_of(self.model, workload, self.plan, self.row, self.tensors, self.shared.device)
        if self.number is None:
            self.shaped = shaped(self.model, self.plan, options)
            self.number = self.shared.number(self.shaped.shape) if self.shaped else -1
        if self.shaped is None:
            own, outside, sd = self.estimated(workload)
            return Need(context_length, own + outside, sd)
        steady, cells = course(options)
        key = (self.number, steady)
        line = self.shared.lines.get(key)
        found = line.needs.at(cells) if line is not None else None
        if line is None or found is None or (estimated and found not in line.needs.points):
            own, outside, sd = self.estimated(workload)
            found = Need(cells, own - self.shaped.nbytes, sd)
            line = line or Line(outside, Needs(0, 1, ()))
            line.needs = line.needs.with_point(found)
            self.shared.lines[key] = line
        return Need(context_length, found.mean + self.shaped.nbytes + line.outside, found.sd)

    def estimated(self, workload: Workload) -> tuple[int, float, float]:
        """Own bytes, what the process holds beside them, and the standard deviation of both [B]."""
        made = started(self.model, workload, self.plan, self.recipe, self.shared.device)
        tokens = made.memory.sizes.n_tokens
        return made.own, *outside_of(self.model, self.shared.device, tokens, spread_of(made))
