"""One training step in the order of the Trainer: the same code on a GPU, on the processor and on fake tensors (torch).

Sources: transformers ``trainer.py`` training_step, compute_loss; accelerate ``accelerator.py`` prepare_model;
peft ``method_comparison/MetaMathQA/run.py``.
"""

import contextlib
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vram_advisor.calibration.borders import Borders
from vram_advisor.calibration.decoder_layers import decoder_layers
from vram_advisor.calibration.optimizers import make_optimizer
from vram_advisor.calibration.phases import Observer
from vram_advisor.calibration.trained_model import DTYPES, check_trial, trained_model
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Trial

IGNORED = -100
"""Label of positions without a loss."""
KERNELS = {"sdpa_efficient": SDPBackend.EFFICIENT_ATTENTION, "sdpa_math": SDPBackend.MATH}
"""Kernels of scaled_dot_product_attention that a plan may ask for by name."""
MAX_NORM = 1.0
"""Norm that gradients are clipped to, the default of the Trainer."""


class Run:
    """A model, its optimizer, and the step that trains it."""

    def __init__(self, trial: Trial, model: Any, device: str) -> None:
        self.trial, self.model, self.device = trial, model, device
        self.recipe = recipe(trial.plan.recipe)
        self.layers = decoder_layers(model)
        self.parameters: list[nn.Parameter] = [p for p in model.parameters() if p.requires_grad]
        # Fake tensors stand for those of a GPU, where torch's optimizers take all tensors at once.
        foreach = True if trial.backend == "fake" else None
        assert trial.plan.optimizer
        self.optimizer = make_optimizer(
            trial.plan.optimizer, model, foreach, of_trainer=trial.plan.recipe != "peft-loop"
        )
        self.foreach = foreach
        self.vocabulary = int(model.config.get_text_config().vocab_size)
        self.positions = learned_positions(model)
        """Longest sequence that a model of learned positions can take; None: any."""
        self.accepts_count = _accepts_count(model)
        half = trial.plan.mixed_precision == "fp16"
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=half)
        self._borders = Borders(self.layers)
        self._outputs: Any = None
        """Of the last pass, where the stack keeps them."""

    def lengths(self, step: int) -> tuple[int, ...]:
        """Tokens of the sequences of a step, all micro batches: the dataset's in order and round again, cut to what the
        model has positions for.
        """
        workload = self.trial.workload
        count = workload.micro_batch_size * workload.gradient_accumulation_steps
        dataset = self.trial.lengths or (workload.sequence_length,)
        lengths = (dataset[(step * count + i) % len(dataset)] for i in range(count))
        return tuple(min(length, self.positions or length) for length in lengths)

    def make_states(self) -> None:
        """Create the states of the optimizer as a first step would, without one."""
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def step(self, lengths: Sequence[int], observer: Observer) -> None:
        """One optimizer step.

        Args:
            lengths: tokens of each sequence of every micro batch in order; a micro batch is padded to its longest.
            observer: told at each border between phases.
        """
        size = self.trial.workload.micro_batch_size
        micro = [self._batch(lengths[i : i + size]) for i in range(0, len(lengths), size)]
        count = torch.stack([(batch["labels"][..., 1:] != IGNORED).sum() for batch in micro]).sum()
        self._borders.tell = observer.enter
        try:
            # Around the backward pass too, where checkpointed layers run once more.
            with self._attention():
                for i, batch in enumerate(micro):
                    observer.enter("forward")
                    self._reduces(i == len(micro) - 1)
                    self._pass(batch, count, len(micro), observer)
        finally:
            self._borders.tell = None
        if self.recipe.clips_gradients:
            observer.enter("clip")
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, MAX_NORM, foreach=self.foreach)
        observer.enter("optimizer_step")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _pass(self, batch: dict[str, torch.Tensor], count: torch.Tensor, parts: int, observer: Observer) -> None:
        """Forward and backward pass of one micro batch."""
        inputs: dict[str, Any] = dict(batch)
        if self.accepts_count:
            inputs["num_items_in_batch"] = count
        if self.trial.plan.loss == "trl_fused_head":
            inputs["fused_lm_head"] = True
        with self._autocast():
            outputs = self.model(**inputs, use_cache=False)
        # Copies of weights go with autocast; what follows is seen apart from them.
        observer.enter("loss_forward")
        if self.recipe.outputs_in_fp32 and self.trial.plan.mixed_precision != "none":
            from accelerate.utils.operations import convert_to_fp32  # type: ignore[import-untyped]

            outputs = convert_to_fp32(outputs)
        loss = outputs.loss
        # The loop of PEFT holds the outputs of a pass until those of the next are there.
        self._outputs = outputs if self.recipe.outputs_kept else None
        del outputs
        del inputs
        if not self.accepts_count:
            loss = loss / parts
        observer.enter("loss_backward")
        self.scaler.scale(loss).backward()

    def _reduces(self, last: bool) -> None:
        """FSDP2 reduces gradients behind the last micro batch only, as the Trainer has it (accelerate no_sync)."""
        tell = getattr(self.model, "set_requires_gradient_sync", None)
        if tell is not None:
            tell(last)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        kind = self.trial.plan.mixed_precision
        if kind is None or kind == "none":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=DTYPES[kind])

    def _attention(self) -> contextlib.AbstractContextManager[Any]:
        backend = KERNELS.get(self.trial.plan.attn_implementation or "")
        return sdpa_kernel(backend) if backend is not None else contextlib.nullcontext()

    def _batch(self, lengths: Sequence[int]) -> dict[str, torch.Tensor]:
        """Random tokens; with a padding mask where sequences differ or the workload says so."""
        longest = max(lengths)
        ids = torch.randint(0, self.vocabulary, (len(lengths), longest), device=self.device)
        batch = {"input_ids": ids, "labels": ids}
        padded = self.trial.workload.padding == "padded"
        if padded or min(lengths) < longest:
            mask = torch.ones((len(lengths), longest), dtype=torch.int64, device=self.device)
            for row, length in enumerate(lengths):
                mask[row, length:] = 0
            if padded and min(lengths) == longest:
                # A mask without a zero is left out on the way to the attention.
                mask[-1, -1] = 0
            batch["attention_mask"] = mask
            batch["labels"] = ids.masked_fill(mask == 0, IGNORED)
        return batch


def build(trial: Trial, device: str) -> Run:
    """The model and the optimizer of a trial on a device, ready for steps.

    Args:
        trial: with every choice of the plan made (``memory.setup.resolved``).
        device: as torch names it: cuda, cuda:1, mps, xpu, cpu.

    Raises:
        NotModelled, BadInput, Missing: the combination does not run here.
    """
    check_trial(trial)
    with warnings.catch_warnings():
        # Deprecations between the libraries are not the user's.
        warnings.simplefilter("ignore")
        model = trained_model(trial, recipe(trial.plan.recipe), device)
        return Run(trial, model, device)


def _accepts_count(model: Any) -> bool:
    """Whether the forward pass takes the number of items that the loss is divided by, as the Trainer finds out."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    said = getattr(base, "accepts_loss_kwargs", None)
    if said is not None:
        return bool(said)
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(base.forward).parameters.values())


def learned_positions(model: nn.Module) -> int | None:
    """Positions that a model has learned [tokens]; None: positions are computed."""
    learned = any(
        isinstance(module, nn.Embedding) and ("position" in name or name.endswith("wpe"))
        for name, module in model.named_modules()
    )
    config: Any = model.config
    return int(config.get_text_config().max_position_embeddings) if learned else None
