"""Optimizers by the names of transformers, made as its Trainer makes them (torch, bitsandbytes).

Source: transformers ``trainer_optimizer.py``.
"""

import importlib.util
from typing import Any

import torch
from torch import nn

from vram_advisor.domain.optimizer import optimizer as row_of
from vram_advisor.units.errors import Missing, NotModelled

LEARNING_RATE = 1e-5
TORCH: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adamw_torch": (torch.optim.AdamW, {}),
    "adamw_torch_fused": (torch.optim.AdamW, {"fused": True}),
    "adamw_torch_for_loop": (torch.optim.AdamW, {"foreach": False}),
    "sgd": (torch.optim.SGD, {}),
    "sgd_momentum": (torch.optim.SGD, {"momentum": 0.9}),
}
BITSANDBYTES: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw_bnb_32bit": ("AdamW", {"optim_bits": 32}),
    "adamw_bnb_8bit": ("AdamW", {"optim_bits": 8}),
    "paged_adamw_32bit": ("AdamW", {"optim_bits": 32, "is_paged": True}),
    "paged_adamw_8bit": ("AdamW", {"optim_bits": 8, "is_paged": True}),
    "lion_32bit": ("Lion", {"optim_bits": 32}),
    "lion_8bit": ("Lion", {"optim_bits": 8}),
    "paged_lion_8bit": ("Lion", {"optim_bits": 8, "is_paged": True}),
}


def make_optimizer(
    name: str, model: nn.Module, foreach: bool | None = None, of_trainer: bool = True
) -> torch.optim.Optimizer:
    """The optimizer of the trained parameters of a model.

    Args:
        name: by transformers' names.
        model: its parameters that require a gradient are trained.
        foreach: whether torch's optimizers work on all tensors at once where the name leaves it open; None: as torch
            does on the device.
        of_trainer: whether the Trainer makes it.

    Raises:
        BadInput: no such optimizer.
        Missing: bitsandbytes is not installed.
        NotModelled: the optimizer is not run here.
    """
    row_of(name)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if name in TORCH:
        cls, options = TORCH[name]
        if not {"fused", "foreach"} & set(options):
            options = {**options, "foreach": foreach}
        return cls(parameters, lr=LEARNING_RATE, **options)  # type: ignore[call-arg]
    if name == "adafactor":
        from transformers.optimization import Adafactor

        return Adafactor(parameters, lr=LEARNING_RATE, scale_parameter=False, relative_step=False)  # type: ignore[no-untyped-call]
    if name in BITSANDBYTES:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise Missing(f"--optimizer {name} needs bitsandbytes: pip install 'vram-advisor[calibrate]'.")
        return _bitsandbytes(name, model, parameters, of_trainer)
    raise NotModelled(
        f"--optimizer {name} does not run here: use one of {', '.join((*TORCH, 'adafactor', *BITSANDBYTES))}."
    )


def _bitsandbytes(
    name: str, model: nn.Module, parameters: list[nn.Parameter], of_trainer: bool
) -> torch.optim.Optimizer:
    import bitsandbytes

    optim: Any = bitsandbytes.optim
    cls, options = BITSANDBYTES[name]
    made: torch.optim.Optimizer = getattr(optim, cls)(parameters, lr=LEARNING_RATE, **options)
    # There is one manager per process, so what it knows of an earlier model is taken away.
    manager = optim.GlobalOptimManager.get_instance()
    manager.initialize()
    if of_trainer and options["optim_bits"] == 8:
        # States of embeddings stay in 32 bits (transformers trainer.py create_optimizer).
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                manager.register_module_override(module, "weight", {"optim_bits": 32})
    return made
