"""The life of every storage of a computation, real or on tensors without memory (torch).

A storage begins where an operator returns it and ends where nothing refers to it any more. Sizes are rounded up to 512
bytes as the caching allocator of a GPU does.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vram_advisor.calibration.extrapolation import Moment
from vram_advisor.calibration.kernel_temporaries import GPU, Table

ROUNDING = 512
"""Bytes that the caching allocator rounds up to (c10/cuda/CUDACachingAllocator.cpp kMinBlockSize)."""
CATEGORIES = ("weights", "adapters", "gradients", "optimizer", "logits", "activations", "temporaries")
LOSS = frozenset({"loss_forward", "loss_backward"})


def rounded(nbytes: int) -> int:
    """Bytes that the allocator hands out for a request [B]."""
    return -(-nbytes // ROUNDING) * ROUNDING


@dataclass(slots=True)
class Storage:
    """One storage."""

    nbytes: int
    window: int
    """Window in which it began."""
    category: str | None = None
    """What its owner says that it is."""
    wide: bool = False
    """One of its dimensions is the vocabulary."""


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts live storages of one kind of device, and where the most are alive between two borders."""

    def __init__(self, device: str, vocabulary: int = 0, kernels: Table = GPU) -> None:
        """Args:
        device: cuda or cpu, the kind of device whose storages count.
        vocabulary: entries of the vocabulary, by which logits are known.
        kernels: what kernels allocate for themselves.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind, self.vocabulary, self.kernels = device, vocabulary, kernels
        self.storages: list[Storage] = []
        self.events: list[tuple[int, int]] = []
        """Allocations (number of the storage, bytes) and frees (number, minus bytes) in order [B]."""
        self.windows: list[tuple[str, int]] = [("", 0)]
        """Borders, each with the event that comes next."""
        self.live_bytes = 0
        """Bytes alive now, rounded [B]."""
        self._numbers: dict[int, int] = {}
        self._watched: dict[int, weakref.ref[Any]] = {}
        self._trained: list[nn.Parameter] = []
        self._sole_owner = sole_owner_counts()

    def enter(self, phase: str) -> None:
        """A border between phases. Gradients that are there are gradients from now on."""
        self.label((p.grad for p in self._trained if p.grad is not None), "gradients")
        self.windows.append((phase, len(self.events)))

    def label(self, tensors: Iterable[torch.Tensor], category: str) -> None:
        """Say what tensors are; those that are new to the tracker count from now on."""
        for tensor in tensors:
            number = self._follow(tensor)
            if number is not None and self.storages[number].category is None:
                self.storages[number].category = category

    def label_model(self, model: nn.Module, trained: str) -> None:
        """Say what the tensors of a model are; ``trained`` is the category of those that are trained."""
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self.label(self._trained, trained)
        self.label(model.parameters(), "weights")
        self.label(model.buffers(), "weights")
        self.label((t for p in model.parameters() for t in _beside(p)), "weights")

    def label_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Say what the states of an optimizer are."""
        self.label((t for t in tree_leaves(dict(optimizer.state)) if isinstance(t, torch.Tensor)), "optimizer")

    def moments(self) -> list[Moment]:
        """The largest moment of each window, in order; what is alive where a window begins belongs to it.

        What began before the window and has no other category is an activation, what began in it a temporary, or a
        logit where it is as wide as the vocabulary and the window computes the loss.
        """
        found: list[Moment] = []
        now = dict.fromkeys(CATEGORIES, 0)
        stops = [start for _, start in self.windows[1:]] + [len(self.events)]
        where: dict[int, str] = {}
        for index, ((border, start), stop) in enumerate(zip(self.windows, stops, strict=True)):
            now["activations"] += now["temporaries"]
            now["temporaries"] = 0
            where = {n: "activations" if kind == "temporaries" else kind for n, kind in where.items()}
            total = most = sum(now.values())
            at = dict(now)
            for number, nbytes in self.events[start:stop]:
                if nbytes > 0:
                    where[number] = self._kind(self.storages[number], border, index)
                    now[where[number]] += rounded(nbytes)
                    total += rounded(nbytes)
                else:
                    now[where.pop(number)] -= rounded(-nbytes)
                    total -= rounded(-nbytes)
                if total > most:
                    most, at = total, dict(now)
            found.append(Moment(border, most, at))
        return found

    def _kind(self, storage: Storage, border: str, window: int) -> str:
        if storage.category is not None:
            return storage.category
        return "logits" if storage.wide and border in LOSS else "temporaries"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and follow what it returns."""
        kwargs = kwargs or {}
        if func is torch.ops.aten.add.Tensor and not kwargs and self._adds_in_place(*args):
            torch.ops.aten.add_.Tensor(*args)
            return args[0]
        inside = self.kernels.get(func._schema.name)
        own = [self._begin(n) for n in inside(args, kwargs)] if inside else ()
        result = func(*args, **kwargs)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor)
        for number in own:
            self._end(number)
        return result

    def _adds_in_place(self, x: Any, y: Any) -> bool:
        """Whether the engine of autograd would add a second gradient into the first without this mode.

        It does so where nothing else owns the first (torch/csrc/autograd/input_buffer.cpp can_accumulate_inplace), but
        never while a dispatch mode is active.
        """
        if self._sole_owner is None or torch.is_grad_enabled() or not isinstance(y, torch.Tensor):
            return False
        return (
            bool(self.windows[-1][0].startswith(("backward", "loss_backward")))
            and x.shape == y.shape
            and x.dtype == y.dtype
            and all(have <= sole for have, sole in zip(owners(x), self._sole_owner, strict=True))
            and bool(torch.ops.aten.is_non_overlapping_and_dense.default(x))
        )

    def _follow(self, tensor: torch.Tensor) -> int | None:
        """The number of a tensor's storage, which counts from now on; None where it does not count."""
        if tensor.device.type != self.kind:
            return None
        storage = tensor.untyped_storage()
        key = storage._cdata
        number = self._numbers.get(key)
        if number is None and (nbytes := storage.nbytes()):
            number = self._begin(nbytes, self.vocabulary in tensor.shape)
            self._numbers[key] = number
            self._watched[number] = weakref.ref(storage, self._forget(key, number))
        return number

    def _forget(self, key: int, number: int) -> Any:
        def forget(_: Any) -> None:
            if self._numbers.get(key) == number:
                del self._numbers[key]
            self._watched.pop(number, None)
            self._end(number)

        return forget

    def _begin(self, nbytes: int, wide: bool = False) -> int:
        self.storages.append(Storage(nbytes, len(self.windows) - 1, wide=wide))
        self.events.append((len(self.storages) - 1, nbytes))
        self.live_bytes += rounded(nbytes)
        return len(self.storages) - 1

    def _end(self, number: int) -> None:
        nbytes = self.storages[number].nbytes
        self.events.append((number, -nbytes))
        self.live_bytes -= rounded(nbytes)


def _beside(parameter: nn.Parameter) -> Iterable[torch.Tensor]:
    """Tensors that a quantised weight carries beside itself (bitsandbytes QuantState, Int8Params)."""
    state = getattr(parameter, "quant_state", None)
    nested = getattr(state, "state2", None)
    for owner, names in (
        (state, ("absmax", "code", "offset")), (nested, ("absmax", "code")), (parameter, ("CB", "SCB")),
    ):  # fmt: skip
        for name in names:
            tensor = getattr(owner, name, None)
            if isinstance(tensor, torch.Tensor):
                yield tensor


def owners(tensor: Any) -> tuple[int, int]:
    """Owners of a tensor and of its storage, Python's among them."""
    return tensor._use_count(), torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)


class _FirstSum(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Reads the owners of a gradient that the engine adds another to."""

    counts: tuple[int, int] | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.add.Tensor and not torch.is_grad_enabled():
            self.counts = owners(args[0])
        return func(*args, **(kwargs or {}))


def sole_owner_counts() -> tuple[int, int] | None:
    """What ``owners`` says, seen from a dispatch mode, of a gradient that nothing but the engine owns.

    None where this version of torch does not count them.
    """
    x = torch.ones(2, requires_grad=True)
    mode: Any = _FirstSum()  # type: ignore[no-untyped-call]
    with mode:
        y = x * 2.0
        (y * 2.0 + y * 3.0).sum().backward()  # type: ignore[no-untyped-call]
    counts: tuple[int, int] | None = mode.counts
    return counts
