"""From live tensors to what PyTorch's caching allocator takes from the card.

Two humps of a step that cannot share cached blocks, the loss and one layer at work, leave slack in proportion to
themselves; under pressure the allocator gives cached blocks back, so slack is what is lost first
(c10/cuda/CUDACachingAllocator.cpp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vram_advisor.domain.coefficients import NOMINAL, Coefficients, narrowed
from vram_advisor.domain.gpu import Device
from vram_advisor.memory.overhead import workspace_bytes
from vram_advisor.units.bytes import GIB

FIXED_SHARE = 0.01
"""Part of the allocated bytes that rounding always costs."""
THREADS = 2
"""Threads that multiply matrices in a step, each with a workspace: forward and autograd."""
COMMON_SD, COMMON_SHARE = 0.063, 0.9
"""Relative spread of reserved memory that runs of one stack have in common, and the most of all spread that it can be;
the rest changes with the workload."""


@dataclass(frozen=True, slots=True)
class Humps:
    """What comes and goes within a step [B]."""

    loss: int = 0
    """Logits and loss at their largest."""
    layer: int = 0
    """One layer at work at its largest."""
    step: int = 0
    """Where the peak is the optimizer step: what forward and backward pass need beside what is resident."""
    gathered: int = 0
    """Layers gathered whole by FSDP1."""
    fused_loss: bool = False
    """The loss is written over shifted 16- or 32-bit logits."""
    fused_head: bool = False
    """The output layer is fused with the loss: no logits at all."""
    varied: bool = False
    """Sequence lengths vary from step to step."""
    expandable: bool = False


@dataclass(frozen=True, slots=True)
class Slack:
    """Reserved minus allocated [B], and the relative spread of the reserved bytes that published runs leave."""

    nbytes: float
    growing: float
    """What of it ``slack_scale`` scales, scaled [B]."""
    constant: bool
    """Whether the rest is ``slack_constant``; expandable segments have none."""
    relative_sd: float


def causes(humps: Humps) -> dict[str, float]:
    """What leaves slack behind, by the coefficient that scales it [B]."""
    constant = {"slack_gathered": float(humps.gathered), "slack_constant": float(GIB)}
    if humps.step:
        # What the passes leave cached does not serve the optimizer: its temporaries are of other sizes.
        return {"slack_step": humps.step, **constant}
    found = {"slack_layer": humps.layer, **constant}
    if not humps.fused_head:
        found["slack_fused_loss" if humps.fused_loss else "slack_loss"] = humps.loss
    if humps.varied:
        found["slack_varied"] = humps.loss
    return found


def slack(allocated: int, humps: Humps, k: Coefficients) -> Slack:
    """What the allocator holds beyond live tensors at the peak; at a scale of 1 that of published runs."""
    scale = k.slack_scale.value
    if humps.expandable:
        nbytes = allocated * k.slack_expandable.value * scale
        return Slack(nbytes, nbytes, False, k.slack_expandable.sd)
    found = {
        name: getattr(k, name).value * size * (1.0 if name == "slack_constant" else scale)
        for name, size in causes(humps).items()
    }
    nbytes = sum(found.values())
    spread = (k.reserved_sd_varied if humps.varied else k.reserved_sd).value
    return Slack(nbytes, nbytes - found["slack_constant"], True, spread)


def simulated_reserved(simulated: int, device: Device | None, k: Coefficients) -> float:
    """What a real allocator takes where a simulated one takes ``simulated`` [B]: workspaces are in no simulation."""
    return k.simulation_scale.value * simulated + workspace_bytes(device, k, THREADS)


def simulated_slack(allocated: int, simulated: int, device: Device | None, k: Coefficients) -> Slack:
    """As ``slack``, from what a simulated allocator takes for the whole step [B]."""
    reserved = simulated_reserved(simulated, device, k)
    learnt = k.simulation_scale.sd * simulated / reserved
    return Slack(max(0.0, reserved - allocated), 0.0, False, math.hypot(learnt, reserved_residual(k.reserved_sd.value)))


def reserved_residual(relative_sd: float) -> float:
    """What measurements of the allocator's slack leave of a relative spread of reserved bytes."""
    return math.sqrt(relative_sd**2 - min(COMMON_SD, COMMON_SHARE * relative_sd) ** 2)


def reserved_spread(allocated: int, found: Slack, k: Coefficients) -> float:
    """Relative spread of reserved beside that of allocated bytes.

    Learnt scale and constant count as independent, though an error of one makes up for one of the other in the runs
    that they come from: elsewhere it does not.

    Args:
        allocated: bytes of live tensors [B].
        found: what the allocator holds beyond them.
        k: measured numbers.
    """
    if not k.learnt & {"slack_scale", "slack_constant"}:
        return found.relative_sd
    reserved = allocated + found.nbytes
    constant = float(GIB) if found.constant else 0.0
    grown = found.growing / k.slack_scale.value
    learnt = math.hypot(k.slack_scale.sd * grown, k.slack_constant.sd * constant)
    moved = (k.slack_scale.value - 1) * grown + (k.slack_constant.value - NOMINAL.slack_constant.value) * constant
    return narrowed(found.relative_sd, reserved_residual(found.relative_sd), learnt / reserved, moved / reserved)


def unavoidable(humps: Humps) -> float:
    """Slack that remains when the allocator has given back all it can, as a share of what comes and goes in a step.

    Published runs at the limit of their card: 9 % of the allocated bytes of a QLoRA with full logits, 6 % with chunked
    or fused ones, 2 % with expandable segments; full fine-tunes, mostly weights and states, ran with 5 % to spare. Half
    of the allocated bytes of those QLoRAs come and go.
    """
    if humps.expandable:
        return 0.04
    return 0.12 if humps.fused_head or not humps.loss else 0.18
