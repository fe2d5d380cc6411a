"""The stack of layers of a model, and which of them are alike (torch)."""

from collections.abc import Hashable

from torch import nn

from vram_advisor.units.errors import NotModelled

NUMBERS = ("idx", "index", "layer_id", "layer_number", "layer_num")
"""Parts of the names of attributes that count layers."""


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The stack of layers: of the lists of modules in a model the one that holds most parameters.

    Raises:
        NotModelled: the model has no list of layers.
    """
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    if not lists:
        raise NotModelled(f"{type(model).__name__} has no list of layers, so its step cannot be cut into phases.")
    return max(lists, key=lambda each: sum(p.numel() for p in each.parameters()))


def kind_of(layer: nn.Module) -> Hashable:
    """A value that is equal for layers that are built alike: classes, shapes of weights, plain settings."""
    return tuple(
        (
            name,
            type(module).__qualname__,
            tuple((n, tuple(p.shape)) for n, p in module.named_parameters(recurse=False)),
            tuple(sorted((n, repr(v)) for n, v in vars(module).items() if _is_setting(n, v))),
        )
        for name, module in layer.named_modules()
    )


def _is_setting(name: str, value: object) -> bool:
    """Whether an attribute says what a module does; numbers with a fraction scale and allocate nothing."""
    if name.startswith("_") or any(part in name for part in NUMBERS):
        return False
    return value is None or isinstance(value, (bool, int, str))
