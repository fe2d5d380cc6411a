"""How long a training step takes.

A step is micro batches and an update. In a micro batch one stream computes (products with weights, attention, what lies
between them, dequantisation), the processor starts its kernels, weights are gathered or fetched beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies, matrix_efficiency
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.kernels import attention_kernel
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.optimizer import optimizer
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import ITEMSIZE, Quantization, quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.throughput import Speed, SpeedTerm
from vram_advisor.throughput.communication import exchanged
from vram_advisor.throughput.offload import (
    host_update,
    offloaded_activations,
    over_pcie,
    paged_out,
    streamed_weights,
)
from vram_advisor.throughput.roofline import (
    OVERLAP_GATHERED,
    bandwidth,
    launches,
    matrix_rate,
    overlapped,
    peer_link,
    speed,
    term,
    total,
)
from vram_advisor.throughput.step_bytes import (
    BACKWARD,
    SCORES,
    adapter_bytes,
    kernels,
    layer_bytes,
    logit_bytes,
    state_bytes,
    stored_bytes,
    update_bytes,
)
from vram_advisor.throughput.work import (
    Adapted,
    Work,
    adapted,
    all_parameters,
    attention_flops,
    head_pairs,
    most_experts,
    touched,
    work,
)
from vram_advisor.units.grid import Number

RECOMPUTED = {"none": 0.0, "selective": 0.5, "full": 1.0, "offload": 1.0}
"""Share of the forward pass that is computed again; selective: every other product (torchtitan
distributed/activation_checkpoint.py)."""
ATTENTION_BACKWARD = 2.5
"""Five products against two, the scores being formed again (Dao 2023, arXiv 2307.08691, 3.1)."""
LAUNCHED_BACKWARD = 1.5
"""Launches of a backward pass, in forward passes: the engine of autograd starts them without Python."""
LAUNCHED_EXPERT = 0.25
"""Launches of one expert of a loop over experts, in layers."""
LAUNCHED_STACK = 2.0
"""The same for all experts in one grouped product."""
CAST = 6
"""Bytes to read a weight in fp32 and write it in 16 bit, as autocast does in each forward pass."""
STAYS = 0.92
"""Share of the card that weights, gradients and states may fill; activations need the rest."""


@dataclass(frozen=True, slots=True)
class Run:
    """A fine-tune with every choice made, and its counts."""

    model: ModelSpec
    counts: Work
    gpu: GpuSpec
    recipe: Recipe
    storage: Quantization
    plan: Plan
    full: bool
    adapted: Adapted
    trained: int
    """Parameters that are trained [elements]."""
    itemsize: int
    """Of a trained parameter [B]."""
    forwards: float
    """Forward passes of a micro batch, those of checkpointing and of a reference model included."""
    answers: int
    """Sequences of a micro batch per sequence asked: two where pairs are compared."""
    compiled: bool


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
    busy = overlapped([total(products[:1]), total(products[1:])]) + total(between)
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
    return speed(seconds, everything, terms, efficiencies.training, coefficients, notes(run))


def set_up(
    model: ModelSpec, workload: Workload, plan: Plan, gpu: GpuSpec, recipe: Recipe, compiled: bool = False
) -> Run:
    """The run with every choice made."""
    full = workload.method == "full"
    storage = quantization(plan.quantization)
    found = Adapted(0, 0, 0) if full else adapted(model, plan.target_modules, plan.modules_to_save)
    again = RECOMPUTED[plan.gradient_checkpointing or recipe.gradient_checkpointing]
    reference = 1 if workload.objective in ("dpo", "kto") else 0
    if full:
        itemsize = ITEMSIZE[plan.weights_dtype or recipe.full_weights_dtype]
    else:
        itemsize = 4 if recipe.adapter_dtype == "fp32" else 2
    return Run(
        model=model,
        counts=work(model),
        gpu=gpu,
        recipe=recipe,
        storage=storage,
        plan=plan,
        full=full,
        adapted=found,
        trained=all_parameters(model) if full else plan.lora_r * found.width + found.saved,
        itemsize=itemsize,
        forwards=1 + again + reference,
        answers=2 if workload.objective in ("dpo", "orpo") else 1,
        compiled=compiled,
    )


def computed(
    run: Run, sequences: Number, length: Number, efficiencies: Efficiencies
) -> tuple[list[SpeedTerm], list[SpeedTerm]] | None:
    """What one micro batch computes: the products with weights, bounded by arithmetic or by reading the weights, and
    the rest. None where the catalogue lacks the rates of the card."""
    rate, bytes_per_s = matrix_rate(run.gpu, compute_dtype(run)), bandwidth(run.gpu)
    if rate is None or bytes_per_s is None:
        return None
    counts, tokens = run.counts, sequences * length
    passes = run.forwards + 1 + (1 if run.full else 0)
    head_passes = 2 + (1 if run.full or run.adapted.saved else 0)
    flops = 2 * tokens * (counts.linear * passes + counts.head * head_passes)
    if not run.full:
        flops = flops + 2 * tokens * run.plan.lora_r * run.adapted.width * (run.forwards + 2)
    read = counts.stored - counts.experts * (1 - touched(run.model, tokens))
    products = [
        term("products with the weights", "compute", flops, "FLOP", rate, matrix_efficiency(run.gpu, efficiencies)),
        term("weights read", "bandwidth", 2 * read * passes, "B", bytes_per_s, efficiencies.elementwise),
    ]
    between = [
        *attention_terms(run, sequences, length, rate, bytes_per_s, efficiencies),
        term(
            "between the products", "bandwidth", tokens * element_bytes(run), "B", bytes_per_s, efficiencies.elementwise
        ),
    ]
    if run.storage.is_quantised:
        quantised = read if reaches_experts(run) else counts.stored - counts.experts
        unpacked = quantised * (run.forwards + 1) * (stored_bytes(run.storage) + 2)
        reached = {"bnb_4bit": efficiencies.dequantize_bnb, "bnb_8bit": efficiencies.dequantize_int8}.get(
            run.storage.kernel, efficiencies.dequantize_gptq
        )
        between.append(term("dequantisation", "bandwidth", unpacked, "B", bytes_per_s, reached))
    elif run.plan.weights_dtype == "fp32" and compute_dtype(run) != "fp32":
        cast = CAST * (counts.stored + counts.head) * run.forwards
        between.append(term("casts of weights", "bandwidth", cast, "B", bytes_per_s, efficiencies.elementwise))
    return products, between


def attention_terms(
    run: Run, sequences: Number, length: Number, rate: float, bytes_per_s: float, efficiencies: Efficiencies
) -> list[SpeedTerm]:
    """Attention: its products, and its scores where it is written out."""
    tokens = sequences * length
    flops = attention_flops(run.counts, length) * tokens * (run.forwards + ATTENTION_BACKWARD)
    found = [term("attention", "compute", flops, "FLOP", rate, efficiencies.attention)]
    kernel = attention_kernel(run.plan.attn_implementation or run.recipe.attn_implementation).kernel
    if kernel in ("eager", "math"):
        scores = SCORES * head_pairs(run.counts, length) * tokens * (run.forwards + BACKWARD)
        found.append(term("scores of attention", "bandwidth", scores, "B", bytes_per_s, efficiencies.elementwise))
    return found


def element_bytes(run: Run) -> float:
    """Between the products of one micro batch, per token [B]."""
    loss = run.plan.loss or run.recipe.loss
    layers, adapters = kernels(run.recipe, loss, run.compiled)
    upcast = run.recipe.kbit_prepared and run.storage.kernel in ("bnb_4bit", "bnb_8bit")
    forward = layer_bytes(run.counts, layers, upcast) + adapter_bytes(run.adapted, adapters)
    return forward * (run.forwards + BACKWARD) + logit_bytes(run.model.vocab_size, loss)


def compute_dtype(run: Run) -> str:
    """In which the products run."""
    plan, recipe = run.plan, run.recipe
    if plan.mixed_precision not in (None, "none"):
        return str(plan.mixed_precision)
    stored = plan.weights_dtype or (recipe.full_weights_dtype if run.full else run.storage.kept_dtype)
    if stored == "fp32":
        casts = plan.mixed_precision is None and (recipe.autocast or recipe.gathered_dtype == "bf16")
        return "bf16" if casts else "fp32"
    return stored


def reaches_experts(run: Run) -> bool:
    """Whether experts are quantised too."""
    return run.recipe.linear_experts or run.storage.expert_stacks


def started(run: Run, efficiencies: Efficiencies) -> list[SpeedTerm]:
    """Kernels that one micro batch starts."""
    passes = run.forwards + LAUNCHED_BACKWARD
    layers = float(run.counts.layers)
    experts = most_experts(run.model)
    if experts:
        layers *= 1 + LAUNCHED_EXPERT * experts if run.recipe.linear_experts else LAUNCHED_STACK
    found = [launches("starting kernels", layers * passes, efficiencies.launch_layer)]
    if run.adapted.modules and not run.compiled:
        found.append(
            launches("starting kernels of adapters", run.adapted.modules * passes, efficiencies.launch_adapter)
        )
    if run.plan.sharding == "zero3":
        found.append(launches("hooks of ZeRO-3", layers * passes, efficiencies.launch_zero3))
    return found


def base_bytes(run: Run) -> float:
    """Weights of the base as they are gathered or fetched [B]."""
    counts = run.counts
    packed = counts.stored if not run.storage.is_quantised or reaches_experts(run) else counts.stored - counts.experts
    tied = 1 if run.model.tie_word_embeddings else 2
    return packed * stored_bytes(run.storage) + 2 * (counts.stored - packed + counts.head * tied)


def fetches(run: Run, weights: float, tokens: Number, efficiencies: Efficiencies) -> list[SpeedTerm]:
    """What one micro batch fetches from the host or sends there."""
    found: list[SpeedTerm] = []
    if run.plan.offload == "parameters":
        found.append(streamed_weights(weights, run.plan.num_gpus, run.gpu, efficiencies))
    if (run.plan.gradient_checkpointing or run.recipe.gradient_checkpointing) == "offload":
        found.append(offloaded_activations(2 * run.counts.hidden * tokens, run.gpu, efficiencies))
    return found


def updated(run: Run, efficiencies: Efficiencies, host_gb_per_s: float | None) -> list[SpeedTerm]:
    """The optimizer step."""
    plan = run.plan
    row = optimizer(plan.optimizer or run.recipe.optimizer)
    split = plan.num_gpus if plan.sharding not in ("none", "ddp") else 1
    parameters = run.trained / split
    found = [launches("optimizer step", 1, efficiencies.launch_step)]
    if plan.offload != "none":
        found += host_update(parameters, run.itemsize, run.gpu, efficiencies, host_gb_per_s)
        return found
    moved = parameters * update_bytes(row, run.itemsize, run.recipe.clips_gradients)
    bytes_per_s = bandwidth(run.gpu)
    assert bytes_per_s is not None
    found.append(term("update of the weights", "bandwidth", moved, "B", bytes_per_s, efficiencies.elementwise))
    if row.paged_numel:
        states = parameters * state_bytes(row, run.itemsize)
        gradients = 0.0 if row.in_backward else parameters * run.itemsize
        resident = base_bytes(run) / split + gradients
        out = paged_out(states, resident, STAYS * run.gpu.vram_bytes)
        if out:
            found.append(over_pcie("pages of optimizer states", 2 * out, run.gpu, efficiencies))
    return found


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
