"""A model shared by several processes, as DDP and FSDP2 share it (torch).

Sources: torch ``nn/parallel/distributed.py``, ``distributed/fsdp/_fully_shard``; accelerate 1.15 ``utils/fsdp_utils.py``
fsdp2_prepare_model (trained parameters in fp32 under mixed precision; units: each layer, the embedding, and what comes
behind the layers, which stays gathered; tied embeddings are of the last).
"""

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from vram_advisor.calibration.decoder_layers import decoder_layers
from vram_advisor.calibration.trained_model import DTYPES, check_trial, trained_model
from vram_advisor.calibration.training_step import Run
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import NotModelled

SHARDED = ("fsdp_full", "fsdp_grad_op")
"""Ways in which every process keeps a part of the weights."""


def build_shared(trial: Trial, device: str) -> Run:
    """The model of a trial on this process's device, shared with the other processes, and its optimizer.

    The process group has to be there.

    Raises:
        NotModelled, BadInput, Missing: the combination does not run here.
    """
    plan = trial.plan
    alone = replace(trial, plan=replace(plan, sharding="none"))
    if plan.sharding in SHARDED:
        if quantization(plan.quantization).is_quantised:
            raise NotModelled("Quantised weights are not sharded here: use --sharding ddp.")
        check_trial(alone)
        with warnings.catch_warnings():
            # Deprecations between the libraries are not the user's.
            warnings.simplefilter("ignore")
            model = trained_model(alone, recipe(plan.recipe), device)
        return Run(trial, _sharded(model, trial), device)
    check_trial(trial)
    run = Run(trial, trained_model(alone, recipe(plan.recipe), device), device)
    index = torch.device(device).index
    run.model = DistributedDataParallel(run.model, device_ids=None if index is None else [index])
    return run


def _sharded(model: Any, trial: Trial) -> Any:
    """The model with its weights in parts, unit by unit."""
    options: dict[str, Any] = {"reshard_after_forward": trial.plan.sharding == "fsdp_full"}
    kind = trial.plan.mixed_precision
    if kind and kind != "none":
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
        dtype = DTYPES[kind]
        options["mp_policy"] = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=dtype, output_dtype=dtype)
    for layer in decoder_layers(model):
        fully_shard(layer, **options)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and head.weight is embedding.weight
    if not tied:
        fully_shard(embedding, **options)
    last = [_final_norm(model), *((embedding, head) if tied else (head,))]
    kept = {name: value for name, value in options.items() if name != "reshard_after_forward"}
    fully_shard([module for module in last if module is not None], **kept, reshard_after_forward=False)
    return fully_shard(model, **kept)


def _final_norm(model: Any) -> Any:
    """The last norm among the direct children of the base model (accelerate ``_find_final_norm``)."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    inner = getattr(base, base.base_model_prefix, base)
    norms = [module for _, module in inner.named_children() if "Norm" in type(module).__name__]
    return norms[-1] if norms else None
