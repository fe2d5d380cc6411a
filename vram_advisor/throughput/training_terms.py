"""The terms of a training step: what is computed, started, fetched and updated."""

from __future__ import annotations

from vram_advisor.domain.efficiencies import Efficiencies, product_efficiency
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.kernels import attention_kernel
from vram_advisor.domain.optimizer import optimizer
from vram_advisor.domain.throughput import SpeedTerm
from vram_advisor.throughput.cache import FASTER, last_cache, reaching_memory
from vram_advisor.throughput.offload import (
    host_update,
    offloaded_activations,
    over_pcie,
    paged_out,
    streamed_weights,
)
from vram_advisor.throughput.roofline import bandwidth, launches, matrix_rate, term
from vram_advisor.throughput.step_bytes import (
    BACKWARD,
    SCORES,
    UPCAST_STREAM,
    adapter_traffic,
    gain_bytes,
    layer_bytes,
    layer_traffic,
    logit_bytes,
    state_bytes,
    stored_bytes,
    update_bytes,
)
from vram_advisor.throughput.training_run import (
    Run,
    autocast,
    base_bytes,
    compute_dtype,
    reaches_experts,
    stored_dtype,
)
from vram_advisor.throughput.work import attention_flops, head_pairs, most_experts, touched
from vram_advisor.units.grid import Number

ATTENTION_BACKWARD = 2.5
"""Five products against two, the scores being formed again (Dao 2023, arXiv 2307.08691, 3.1)."""
LAUNCHED_BACKWARD = 1.5
"""Launches of a backward pass, in forward passes, assumed: twice as many kernels, but the engine of autograd starts them without Python."""
LAUNCHED_EXPERT = 0.25
"""Launches of one expert of a loop over experts, in layers, assumed."""
LAUNCHED_STACK = 2.0
"""The same for all experts in one grouped product, assumed."""
UNFILLED = "products that do not fill the card"
FILLS = 512
"""Products of few rows leave parts of a card idle: they take as long as if they had so many tokens more. So whole steps
of up to 512 tokens and of 2,048 and more both reach the shares of the prior; a count of it would need each card's tiles."""
PROCESSOR = "processor"
"""Vendor of a device that is no card."""
CAST = 6
"""Bytes to read a weight in fp32 and write it in 16 bit, as autocast does in each forward pass."""
STAYS = 0.92
"""Share of the card that weights, gradients and states may fill; activations need the rest."""


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
    reached = product_efficiency(run.gpu, efficiencies)
    products = [
        term("products with the weights", "compute", flops, "FLOP", rate, reached),
        term(UNFILLED, "compute", flops / tokens * fills(run.gpu), "FLOP", rate, reached),
        term("weights read", "bandwidth", 2 * read * passes, "B", bytes_per_s, efficiencies.elementwise),
    ]
    between = [
        *attention_terms(run, sequences, length, rate, bytes_per_s, efficiencies),
        *element_terms(run, tokens, bytes_per_s, efficiencies),
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


def fills(gpu: GpuSpec) -> int:
    """Tokens that products lack to fill a card; one core of a processor has nothing to fill."""
    return 0 if gpu.vendor == PROCESSOR else FILLS


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


def element_terms(run: Run, tokens: Number, bytes_per_s: float, efficiencies: Efficiencies) -> list[SpeedTerm]:
    """Elements of layers and logits; what of the layers the last cache of the card hands on costs less."""
    layers = tokens * element_bytes(run)
    logits = tokens * logit_bytes(run.model.vocab_size, run.plan.loss or run.recipe.loss)
    reaching = reaching_memory(run.gpu, tokens, run.model.hidden_size)
    share = efficiencies.elementwise
    found = [term("between the products", "bandwidth", layers * reaching + logits, "B", bytes_per_s, share)]
    if last_cache(run.gpu):
        cached = layers * (1 - reaching)
        found.append(term("between the products, in cache", "bandwidth", cached, "B", FASTER * bytes_per_s, share))
    return found


def element_bytes(run: Run) -> float:
    """Between the products of the layers of one micro batch, per token [B]."""
    loss = run.plan.loss or run.recipe.loss
    fp32, cast = stored_dtype(run) == "fp32", autocast(run)
    layers = layer_traffic(run.recipe, loss, run.compiled, fp32, cast)
    forward, backward = layer_bytes(run.counts, layers.forward), layer_bytes(run.counts, layers.backward)
    if run.full:
        backward += gain_bytes(run.counts, layers)
    elif run.recipe.kbit_prepared and run.storage.kernel in ("bnb_4bit", "bnb_8bit"):
        forward += UPCAST_STREAM[0] * run.counts.hidden
        backward += UPCAST_STREAM[1] * run.counts.hidden
    adapters = adapter_traffic(run.recipe, run.itemsize, run.compiled, fp32, cast)
    forward += adapters.forward * run.adapted.width
    backward += adapters.backward * run.adapted.width
    return forward * run.forwards + backward


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
