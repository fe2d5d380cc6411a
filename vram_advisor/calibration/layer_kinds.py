"""Which layers of the model of a trial are alike, by the code that builds them (torch).

A configuration may not say what its code does with the number of a layer, so layers are compared as they were built.
"""

import warnings
from collections.abc import Hashable

import torch

from vram_advisor.calibration.decoder_layers import decoder_layers, kind_of
from vram_advisor.calibration.trained_model import bare_model
from vram_advisor.domain.trial import Trial


def kinds_of(trial: Trial) -> list[Hashable]:
    """A value per layer of the model of a trial, equal for layers that are built alike.

    Raises:
        NotModelled, BadInput: as ``trained_model.bare_model``.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        model = bare_model(trial)
    return [kind_of(layer) for layer in decoder_layers(model)]
