"""Where the layers of a model begin and end while it trains (torch)."""

from collections.abc import Callable

import torch
from torch import nn

from vram_advisor.calibration.decoder_layers import kind_of
from vram_advisor.calibration.phases import BACKWARD_MIDDLE


class Borders:
    """Tells a listener at each border between layers.

    Layers of transformers checkpoint their ``forward``, so the hooks of the module stay outside of the checkpoint and
    run once per step (transformers modeling_layers.py).
    """

    def __init__(self, layers: nn.ModuleList) -> None:
        self.tell: Callable[[str], None] | None = None
        """The listener, while a step runs."""
        self._last = len(layers) - 1
        self._backward = backward_borders([kind_of(layer) for layer in layers])
        for i, layer in enumerate(layers):
            layer.register_forward_hook(self._ended(i))

    def _ended(self, i: int) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if self.tell is None:
                return
            self.tell("loss_forward" if i == self._last else "forward")
            hidden = output[0] if isinstance(output, (tuple, list)) else output
            if isinstance(hidden, torch.Tensor) and hidden.requires_grad:
                hidden.register_hook(lambda gradient: self._gradient(i))  # type: ignore[no-untyped-call]

        return hook

    def _gradient(self, i: int) -> None:
        """The gradient of the output of layer i is there."""
        if self.tell is not None:
            self.tell(self._backward[i])


def backward_borders(kinds: list[object]) -> list[str]:
    """The border at which the backward pass of each layer begins, by the kinds of the layers.

    The last layer of each kind is visited first of its kind, the first one last; a layer that is alone of its kind
    counts by the half of the model in which it lies.
    """
    first = {kind: i for i, kind in reversed(list(enumerate(kinds)))}
    last = {kind: i for i, kind in enumerate(kinds)}
    names = []
    for i, kind in enumerate(kinds):
        ends = (last[kind] == i, first[kind] == i)
        upper = i == len(kinds) - 1 or (i and 2 * i >= len(kinds))
        if ends == (True, True):
            names.append("backward_first" if upper else "backward_last")
        else:
            names.append("backward_first" if ends[0] else "backward_last" if ends[1] else BACKWARD_MIDDLE)
    return names
