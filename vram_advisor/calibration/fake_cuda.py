"""Makes automatic differentiation of fake CUDA tensors work in this process, where that is possible (torch, ctypes).

With a torch that is built for CUDA nothing but its own switch is needed, with or without a GPU. A torch for processors
only has no device guard for CUDA and its hooks say that CUDA is absent, which ends a backward pass. Both are data of
this process, so they are replaced by way of ctypes: a stub guard makes ``_ensureCUDADeviceGuardSet`` install torch's own
guard that does nothing, and two entries of the hooks' table of functions answer "CUDA is there" and "no context yet".
Which entries these are differs between versions and is found by trial, in a forked copy of the process: where that
copy fails or dies, nothing has been touched here and fake tensors stay on the processor.
"""

import atexit
import contextlib
import ctypes
import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

CUDA = 1
"""c10::DeviceType::CUDA."""
ENTRIES = 160
"""Entries of the copied table of functions; more than any version has."""
SECONDS = 30.0
"""Time that the trial may take [s]."""
KERNELS = ("silu_backward", "mish_backward", "_fused_rms_norm")
"""Operators that are one kernel on a GPU, and are taken apart where no such kernel is registered."""

_kept: list[object] = []
"""What C++ points to and Python must not free."""


def usable_device() -> str:
    """cuda where fake CUDA tensors can be differentiated from now on, cpu where not."""
    global _device
    if _device is None:
        _device = _enable()
    return _device


_device: str | None = None


def _enable() -> str:
    if torch.version.cuda is not None:
        _ensure_guard()
        with contextlib.suppress(RuntimeError):
            if _differentiates():
                return "cuda"
        return "cpu"
    if sys.platform != "linux":
        return "cpu"
    entries = _in_a_copy(_find_entries)
    if entries is None:
        return "cpu"
    _install_guard()
    _register_kernels()
    with _hooks() as table:
        _answer(table, entries)
    return "cuda"


def _differentiates() -> bool:
    """Whether the gradient of a fake CUDA tensor can be taken."""
    with FakeTensorMode():
        x = torch.empty(2, device="cuda", requires_grad=True)
        (x * 2).sum().backward()  # type: ignore[no-untyped-call]
        return x.grad is not None


def _in_a_copy(work: Callable[[], tuple[int, int]]) -> tuple[int, int] | None:
    """The result of work that a forked copy of the process does; None where it fails, dies or takes too long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # What a dying copy has to say is of no use to anybody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(write, " ".join(map(str, work())).encode())
        finally:
            os._exit(0)
    os.close(write)
    answer = os.read(read, 64).split() if select.select([read], [], [], SECONDS)[0] else []
    os.close(read)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, 9)
    os.waitpid(child, 0)
    return (int(answer[0]), int(answer[1])) if len(answer) == 2 else None


def _find_entries() -> tuple[int, int]:
    """The entries of hasCUDA and hasPrimaryContext. Leaves this process as ``_enable`` would."""
    _install_guard()
    _register_kernels()
    with _hooks() as table:
        yes, no = _yes(), _no()
        # The first four words are the offset to the top, the type and two destructors.
        for first in range(4, 90):
            before, table[first] = table[first], yes
            if _accelerator() == "cuda":
                break
            table[first] = before
        else:
            raise RuntimeError("no entry for hasCUDA")
        for second in range(4, 30):
            if second == first:
                continue
            before, table[second] = table[second], no
            with contextlib.suppress(RuntimeError):
                if _differentiates():
                    return first, second
            table[second] = before
    raise RuntimeError("no entry for hasPrimaryContext")


def _library(name: str) -> Any:
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name))


def _ensure_guard() -> None:
    """Have torch put a guard that does nothing in the place of one that counts no device."""
    core: Any = torch._C
    core._ensureCUDADeviceGuardSet()


def _install_guard() -> None:
    """Have torch put its guard that does nothing in the place of a stub."""
    library = _library("libc10.so")
    registry = (ctypes.c_void_p * 21).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    if registry[CUDA]:
        return
    register = library._ZN3c104impl19registerDeviceGuardENS_10DeviceTypeEPKNS0_24DeviceGuardImplInterfaceE
    register.argtypes, register.restype = [ctypes.c_int8, ctypes.c_void_p], None
    zero = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(lambda this: 0)
    table = (ctypes.c_void_p * 64)(*([ctypes.cast(zero, ctypes.c_void_p).value] * 64))
    stub = (ctypes.c_void_p * 8)(ctypes.addressof(table))
    _kept.extend((zero, table, stub))
    register(CUDA, ctypes.addressof(stub))
    _ensure_guard()
    if registry[CUDA] == ctypes.addressof(stub):
        raise RuntimeError("the stub guard was not replaced")


def _register_kernels() -> None:
    library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]

    def never_called(*args: object, **kwargs: object) -> object:
        raise RuntimeError("tensors without memory are not computed with")

    for name in KERNELS:
        with contextlib.suppress(RuntimeError):
            library.impl(name, never_called, "CUDA")
    _kept.append(library)


@contextlib.contextmanager
def _hooks() -> Iterator[Any]:
    """A copy of the table of functions of torch's CUDA hooks, which the hooks use from now on until the exit."""
    get = _library("libtorch_cpu.so")._ZN2at6detail12getCUDAHooksEv
    get.restype, get.argtypes = ctypes.c_void_p, []
    hooks = (ctypes.c_void_p * 1).from_address(get())
    original = hooks[0]
    assert original
    table = (ctypes.c_void_p * (ENTRIES + 2))(*(ctypes.c_void_p * (ENTRIES + 2)).from_address(original - 16))
    _kept.append(table)
    hooks[0] = ctypes.addressof(table) + 16
    # Destructors that run after Python has gone must not find the copy.
    atexit.register(lambda: hooks.__setitem__(0, original))
    yield table


def _answer(table: Any, entries: tuple[int, int]) -> None:
    table[entries[0]], table[entries[1]] = _yes(), _no()


def _yes() -> int | None:
    function = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(lambda this: True)
    _kept.append(function)
    return ctypes.cast(function, ctypes.c_void_p).value


def _no() -> int | None:
    function = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_long)(lambda this, index: False)
    _kept.append(function)
    return ctypes.cast(function, ctypes.c_void_p).value


def _accelerator() -> str | None:
    with contextlib.suppress(RuntimeError):
        found = torch.accelerator.current_accelerator()
        return found.type if found is not None else None
    return None
