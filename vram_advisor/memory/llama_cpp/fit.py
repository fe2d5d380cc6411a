"""What ``--fit`` decides: llama.cpp plans again and again until its plan leaves enough memory free.

It gives up, in this order, context that nobody asked for, the experts of layers, whole layers; a last layer may be split.
It knows neither the CUDA context nor the pool of its kernels: the margin of 1 GiB stands for them; and system memory has
no end for it. Source: llama.cpp v0.5.0 ``common/fit.cpp``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.beside import Company, beside
from vram_advisor.memory.llama_cpp.memory import llama_cpp_memory
from vram_advisor.units.bytes import GIB

MARGIN = GIB
"""--fit-target: memory that is left free on each GPU [B]."""
LEAST_CONTEXT = 4096
"""--fit-ctx: context is not reduced below this [tokens]."""
PATTERNS = {
    "attention": r"blk\.{}\.ffn_(gate|up|gate_up|down).*",
    "up": r"blk\.{}\.ffn_(gate|gate_up|down).*",
    "gate": r"blk\.{}\.ffn_down.*",
    "experts": r"blk\.{}\.ffn_(up|down|gate_up|gate)_(ch|)exps",
}
"""What leaves a layer that is on a GPU in part."""
ALL_EXPERTS = r"blk\.\d+\.ffn_(up|down|gate_up|gate)_(ch|)exps"


@dataclass(frozen=True, slots=True)
class Share:
    """Layers of one GPU: ``part`` of them without what their overflow names."""

    layers: int = 0
    part: int = 0
    overflow: str = "experts"

    @property
    def full(self) -> int:
        """Layers that are there as a whole."""
        return self.layers - self.part


@dataclass(frozen=True, slots=True)
class Fitted:
    """The decision."""

    options: LlamaCppOptions
    fits: bool
    """The margin is met; False: llama.cpp says that it failed and starts all the same."""
    used: tuple[int, ...]
    """What it plans to use of each GPU [B]."""
    changed: bool
    reason: str = ""


Memory = Callable[[list[Share], list[str]], list[int]]
"""What a start with these shares and overflows would use of each GPU [B]."""


class Fitter:
    """One run of ``--fit``."""

    def __init__(
        self,
        model: ModelSpec,
        tensors: Sequence[StoredTensor],
        options: LlamaCppOptions,
        free: Sequence[int],
        context_given: bool,
        margin: int = MARGIN,
        layers_given: bool = False,
        company: Company | None = None,
    ) -> None:
        self.model = model
        self.tensors = tensors
        self.options = options
        self.free = list(free)
        self.context_given = context_given
        self.layers_given = layers_given
        self.margin = margin
        self.company = company
        self.targets = [f - margin for f in free]
        self.count = model.num_hidden_layers + 1
        self.experts = any(block.experts for block in model.blocks)

    @cached_property
    def streams(self) -> int:
        """Caches side by side."""
        return 1 if self.options.kv_unified else self.options.n_parallel

    def measure(self, options: LlamaCppOptions) -> list[int]:
        """What a start would use of each GPU [B]."""
        shares = tuple(float(f) for f in self.free)
        memory = llama_cpp_memory(self.model, self.tensors, options, shares, planned=True)
        if self.company is None:
            return [b.total for b in memory.gpus]
        held = beside(self.model, options, self.company)
        return [b.total + held.nbytes(b.place) for b in memory.gpus]

    def run(self) -> Fitted:
        """Decide."""
        options = self.options
        longest = (self.model.max_position_embeddings or options.n_ctx) * options.n_parallel
        if not self.context_given:
            options = replace(options, n_ctx=longest)
        used = self.measure(options)
        if all(u <= t for u, t in zip(used, self.targets, strict=True)):
            return Fitted(options, True, tuple(used), not self.context_given and options != self.options)
        if not self.context_given and sum(used) > sum(self.targets):
            options, done = self.shorten(options, used, longest)
            if done:
                return Fitted(options, True, tuple(self.measure(options)), True, "context reduced")
        if self.layers_given:
            return Fitted(options, False, tuple(self.measure(options)), False, "the number of layers was given")
        if options.override_tensor or options.cpu_moe or options.n_cpu_moe or options.tensor_split:
            return Fitted(options, False, tuple(self.measure(options)), False, "places of weights were given")
        return self.place_layers(options)

    def shorten(self, options: LlamaCppOptions, used: list[int], longest: int) -> tuple[LlamaCppOptions, bool]:
        """Reduce the context by a straight line between the longest and the shortest."""
        least = LEAST_CONTEXT * self.streams
        if longest <= least:
            return options, False
        target = sum(self.targets)
        gpus = len(self.free)
        if gpus > 1:
            weights = sum(b.model for b in llama_cpp_memory(self.model, self.tensors, options, planned=True).gpus)
            target -= (gpus + 1) * (weights // self.model.num_hidden_layers) // (6 if self.experts else 2)
        shortest = replace(options, n_ctx=least)
        low = sum(self.measure(shortest))
        if target <= low:
            return shortest, False
        n_ctx = least + (longest - least) * (target - low) // (sum(used) - low)
        step = 256 * self.streams
        return replace(options, n_ctx=max(n_ctx - n_ctx % step, least)), gpus <= 1

    def applied(self, options: LlamaCppOptions, shares: list[Share], spill: list[str]) -> LlamaCppOptions:
        """The options that give each GPU its share."""
        layers = sum(s.layers for s in shares)
        first = self.count - layers
        rules: list[tuple[str, str]] = []
        for share, device in zip(shares, spill, strict=True):
            first += share.full
            for i in range(first, first + share.part):
                head = i == first
                name = share.overflow if head else "experts"
                rules.append((PATTERNS[name].format(i), device if head else "CPU"))
            first += share.part
        split = tuple(float(s.layers) for s in shares) if len(shares) > 1 else ()
        return replace(options, n_gpu_layers=layers, tensor_split=split, override_tensor=tuple(rules))

    def place_layers(self, options: LlamaCppOptions) -> Fitted:
        """Fill GPUs from the last layer on, first without experts, then whole layers from the front."""
        surplus = 0
        if self.experts:
            moved = self.measure(replace(options, override_tensor=((ALL_EXPERTS, "CPU"),)))
            surplus = sum(self.targets) - sum(moved)
        gpus = len(self.free)
        spill = ["CPU"] * gpus
        shares = [Share() for _ in range(gpus)]

        def memory(tried: list[Share], places: list[str]) -> list[int]:
            return self.measure(self.applied(options, tried, places))

        used = memory(shares, spill)
        for i in range(gpus - 1, -1, -1):
            shares, used = self.fill(i, shares, used, spill, memory)
        if self.experts and surplus > 0:
            shares, used, spill = self.make_whole(shares, used, spill, memory)
        chosen = self.applied(options, shares, spill)
        fits = all(u <= t for u, t in zip(used, self.targets, strict=True))
        return Fitted(chosen, fits, tuple(used), True, "layers placed")

    def fill(
        self, i: int, shares: list[Share], used: list[int], spill: list[str], memory: Memory
    ) -> tuple[list[Share], list[int]]:
        """Give one GPU as many of the last layers as it holds, by false position."""
        last = len(shares) - 1
        open_layers = self.count - sum(s.layers for s in shares[i + 1 :])
        if open_layers == 0:
            return shares, used
        part = 0 if not self.experts else open_layers - (i == last)
        high = changed(shares, i, Share(open_layers, part))
        most = memory(high, spill)
        if most[i] <= self.targets[i]:
            return high, most
        while (delta := high[i].layers - shares[i].layers) > 1:
            step = between(delta, self.targets[i] - used[i], most[i] - used[i])
            now = shares[i]
            # The output layer, the first that the last GPU gets, is always whole.
            more = step - (i == last and now.part == 0) if self.experts else 0
            tried = changed(shares, i, Share(now.layers + step, now.part + more))
            found = memory(tried, spill)
            if found[i] <= self.targets[i]:
                shares, used = tried, found
            else:
                high, most = tried, found
        return shares, used

    def make_whole(
        self, shares: list[Share], used: list[int], spill: list[str], memory: Memory
    ) -> tuple[list[Share], list[int], list[str]]:
        """Bring experts back, layer by layer from the front, and a part of one more."""
        gpus = len(shares)
        start = gpus
        while start > 0 and shares[start - 1].layers:
            start -= 1
        i = 0
        while i <= start < gpus:
            high = list(shares)
            for j in range(start, gpus):
                move = high[j].layers - (j == gpus - 1)
                high = changed(high, i, replace(high[i], layers=high[i].layers + move))
                high = changed(high, j, replace(high[j], layers=high[j].layers - move, part=0))
            most = memory(high, spill)
            if most[i] <= self.targets[i]:
                shares, used, start = high, most, gpus - 1
            else:
                while (delta := high[i].full - shares[i].full) > 1:
                    step = between(delta, self.targets[i] - used[i], most[i] - used[i])
                    tried, next_start = self.converted(shares, i, start, step)
                    found = memory(tried, spill)
                    if found[i] <= self.targets[i]:
                        shares, used, start = tried, found, next_start
                    else:
                        high, most = tried, found
            if start < gpus and shares[start].layers > (i == gpus - 1):
                shares, used, spill, start = self.one_more(shares, used, spill, i, start, memory)
            i += 1
        return shares, used, spill

    def converted(self, shares: list[Share], i: int, start: int, count: int) -> tuple[list[Share], int]:
        """Move so many layers without experts from the GPUs that have them to GPU i, whole."""
        done = 0
        while start < len(shares):
            n = min(count - done, shares[start].part)
            giver = shares[start]
            shares = changed(shares, start, replace(giver, layers=giver.layers - n, part=giver.part - n))
            shares = changed(shares, i, replace(shares[i], layers=shares[i].layers + n))
            done += n
            if shares[start].part > 0:
                break
            start += 1
        return shares, start

    def one_more(
        self, shares: list[Share], used: list[int], spill: list[str], i: int, start: int, memory: Memory
    ) -> tuple[list[Share], list[int], list[str], int]:
        """Try a part of one more layer: with up and gate, with up, or with its attention alone."""
        gpus = len(shares)
        giver = shares[start]
        moved = changed(shares, start, replace(giver, layers=giver.layers - 1, part=giver.part - 1))
        next_start = start + 1 if moved[start].part == 0 else start
        moved = changed(moved, i, replace(moved[i], layers=moved[i].layers + 1, part=moved[i].part + 1))
        places = list(spill)
        if i < gpus - 1:
            places[i] = f"CUDA{i + 1}"

        def holds(found: list[int]) -> bool:
            return found[i] < self.targets[i] and (i + 1 == gpus or found[i + 1] < self.targets[i + 1])

        for overflow in ("up", "attention"):
            tried = changed(moved, i, replace(moved[i], overflow=overflow))
            found = memory(tried, places)
            if not holds(found):
                continue
            if overflow == "up":
                better = changed(moved, i, replace(moved[i], overflow="gate"))
                if holds(more := memory(better, places)):
                    tried, found = better, more
            return tried, found, places, next_start
        return shares, used, spill, start


def changed(shares: list[Share], i: int, share: Share) -> list[Share]:
    """The shares with one replaced."""
    return [share if j == i else old for j, old in enumerate(shares)]


def between(delta: int, room: int, span: int) -> int:
    """The next step of the search, at least 1 and less than ``delta``."""
    step = delta * room // span if span > 0 and room >= 0 else delta
    return min(max(step, 1), delta - 1)
