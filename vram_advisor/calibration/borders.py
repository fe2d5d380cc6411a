"""Where the layers of a model begin and end while it trains (torch)."""

from collections.abc import Callable

import torch
from torch import nn

from vram_advisor.calibration.phases import BACKWARD_MIDDLE
from vram_advisor.units.errors import NotModelled


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The stack of layers: of the lists of modules in a model the one that holds most parameters.

    Raises:
        NotModelled: the model has no list of layers.
    """
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    if not lists:
        raise NotModelled(f"{type(model).__name__} has no list of layers, so its step cannot be cut into phases.")
    return max(lists, key=lambda each: sum(p.numel() for p in each.parameters()))


class Borders:
    """Tells a listener at each border between layers.

    Layers of transformers checkpoint their ``forward``, so the hooks of the module stay outside of the checkpoint and
    run once per step (transformers modeling_layers.py).
    """

    def __init__(self, layers: nn.ModuleList) -> None:
        self.tell: Callable[[str], None] | None = None
        """The listener, while a step runs."""
        last = len(layers) - 1
        for i, layer in enumerate(layers):
            layer.register_forward_hook(self._ended(i, last))

    def _ended(self, i: int, last: int) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if self.tell is None:
                return
            self.tell("loss_forward" if i == last else "forward")
            hidden = output[0] if isinstance(output, (tuple, list)) else output
            if isinstance(hidden, torch.Tensor) and hidden.requires_grad:
                hidden.register_hook(lambda gradient: self._gradient(i, last))  # type: ignore[no-untyped-call]

        return hook

    def _gradient(self, i: int, last: int) -> None:
        """The gradient of the output of layer i is there."""
        if self.tell is not None:
            self.tell("backward_first" if i == last else BACKWARD_MIDDLE if i else "backward_last")
