"""Which layers of a real model are alike (torch).

A configuration may not say what its code does with the number of a layer, so layers are compared as they were built.
"""

import warnings
from collections.abc import Hashable

import torch
from torch import nn

from vram_advisor.calibration.borders import decoder_layers
from vram_advisor.calibration.trained_model import bare_model
from vram_advisor.domain.trial import Trial

NUMBERS = ("idx", "index", "layer_id", "layer_number", "layer_num")
"""Names of attributes that count layers."""


def kinds_of(trial: Trial) -> list[Hashable]:
    """A value per layer of the model of a trial, equal for layers that are built alike.

    Raises:
        NotModelled, BadInput: as ``trained_model.bare_model``.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        model = bare_model(trial)
    return [_kind(layer) for layer in decoder_layers(model)]


def _kind(layer: nn.Module) -> Hashable:
    """Classes, shapes of weights, and plain settings of a layer and all inside of it."""
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
