"""Storages of a process that shares its model with others: sharded tensors, and storages that change their size (torch).

FSDP2 keeps the storage of a gathered weight and takes its memory away and gives it back by resizing it
(torch ``distributed/fsdp/_fully_shard/_fsdp_param.py`` free_storage, alloc_storage).
"""

import weakref
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from vram_advisor.calibration.tracker import Tracker


class SharedTracker(Tracker):  # type: ignore[no-untyped-call]
    """Follows the part of a sharded tensor that is in this process."""

    def __enter__(self) -> Any:
        self._resize = torch.UntypedStorage.resize_

        def resize(storage: Any, nbytes: int) -> Any:
            result = self._resize(storage, nbytes)
            self._resized(storage)
            return result

        torch.UntypedStorage.resize_ = resize  # type: ignore[assignment]
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.UntypedStorage.resize_ = self._resize  # type: ignore[method-assign]

    def _follow(self, tensor: torch.Tensor) -> int | None:
        return super()._follow(tensor._local_tensor if isinstance(tensor, DTensor) else tensor)

    def _resized(self, storage: Any) -> None:
        """A storage of the run has another size: it ends, and begins anew."""
        if storage.device.type != self.kind:
            return
        key = storage._cdata
        number = self._numbers.pop(key, None)
        if number is not None:
            self._watched.pop(number, None)
            self._end(number)
        if nbytes := storage.nbytes():
            number = self._begin(nbytes)
            self._numbers[key] = number
            self._watched[number] = weakref.ref(storage, self._forget(key, number))
