"""How long a training step takes.

A step is micro batches and an update. In a micro batch one stream computes (products with weights, attention, what lies
between them, dequantisation), the processor starts its kernels, weights are gathered or fetched beside it.
"""

from __future__ import annotations

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.throughput import Speed, SpeedTerm
from vram_advisor.throughput.communication import exchanged
from vram_advisor.throughput.roofline import OVERLAP_GATHERED, overlapped, peer_link, speed, total
from vram_advisor.throughput.training_run import Run, base_bytes, set_up
from vram_advisor.throughput.training_terms import computed, fetches, started, updated
from vram_advisor.units.grid import Number, largest, smallest


def training_speed(
    model: ModelSpec, workload: Workload, plan: Plan, gpu: GpuSpec, recipe: Recipe, *,
    micro_batch_size: Number | None = None, sequence_length: Number | None = None,
    efficiencies: Efficiencies = EFFICIENCIES, coefficients: Coefficients = NOMINAL,
    link_gb_per_s: float | None = None, host_gb_per_s: float | None = None, compiled: bool = False,
) -> Speed | None:  # fmt: skip
    """Seconds of an optimizer step, tokens per second over all GPUs.

    Args:
        plan: what it leaves open the recipe decides.
        micro_batch_size, sequence_length: instead of the workload's; numbers or arrays.
        link_gb_per_s: rate between the GPUs in one direction; None: by the card.
        host_gb_per_s: bandwidth of system memory; None: two channels of DDR5.
        compiled: torch.compile fuses what lies between the products.

    Returns:
        None where the catalogue lacks the rates of the card.
    """
    run = set_up(model, workload, plan, gpu, recipe, compiled)
    length = workload.sequence_length if sequence_length is None else sequence_length
    batch = workload.micro_batch_size if micro_batch_size is None else micro_batch_size
    computing = computed(run, batch * run.answers, length, efficiencies)
    if computing is None:
        return None
    products, between = computing
    accumulated = workload.gradient_accumulation_steps
    tokens = batch * run.answers * length
    weights = base_bytes(run)
    busy = overlapped([total(products[:2]), total(products[2:])]) + total(between)
    starting = started(run, efficiencies)
    shared = exchanged(
        plan.sharding, plan.num_gpus, weights, run.trained * run.itemsize, peer_link(gpu, link_gb_per_s), efficiencies
    )
    fetched = fetches(run, weights, tokens, efficiencies)
    micro = overlapped([busy, total(starting), *([total(fetched)] if fetched else [])])
    if shared.per_pass is not None:
        micro = overlapped([micro, shared.per_pass.seconds], OVERLAP_GATHERED)
    update = updated(run, efficiencies, host_gb_per_s)
    if shared.per_step is not None:
        update.append(shared.per_step)
    each = [*products, *between, *starting, *fetched, *([shared.per_pass] if shared.per_pass else [])]
    terms = [*(repeated(t, accumulated) for t in each), *update]
    seconds = accumulated * micro + total(update)
    everything = tokens * accumulated * plan.num_gpus
    further = short_sd(tokens, efficiencies)
    return speed(seconds, everything, terms, efficiencies.training, coefficients, notes(run), further)


SHORT, LONG = 512, 2048
"""Tokens of a micro batch up to which, and from which on, a prior on the speed of a step is known [tokens]."""


def short_sd(tokens: Number, efficiencies: Efficiencies) -> Number:
    """Further spread of ln(time) of micro batches of few tokens."""
    return efficiencies.training_short.sd * smallest(1.0, largest(0.0, (LONG - tokens) / (LONG - SHORT)))


def repeated(one: SpeedTerm, times: int) -> SpeedTerm:
    """The term of a micro batch, over all of a step."""
    return SpeedTerm(
        one.label, one.resource, one.work * times, one.unit, one.rate, one.efficiency, one.sd, one.reference
    )


def notes(run: Run) -> tuple[str, ...]:
    """What a person has to know."""
    said = []
    if run.plan.num_gpus > 1 and run.plan.sharding != "none":
        said.append("How fast the GPUs exchange data varies by a factor of two between computers.")
    if any(block.state for block in run.model.blocks):
        said.append("The recurrence of state layers is not counted; without its fused kernels it is far slower.")
    if run.gpu.vendor != "NVIDIA":
        said.append("No measured fine-tune on a card of this maker stands behind the figure.")
    return tuple(said)
