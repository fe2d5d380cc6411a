"""Memory of serving with vLLM, which takes a share of the card whatever is asked.

At start vLLM loads the weights, runs a batch as large as it will ever run, and gives what is left of
``gpu_memory_utilization x total`` to the cache: ``pool = share - weights - peak of that batch - other memory - CUDA
graphs``. So the questions are how many tokens the pool holds, and what the least share is that runs.

Sources: vLLM ``v1/worker/gpu_worker.py`` (determine_available_memory), ``utils/mem_utils.py``, ``engine/arg_utils.py``
(defaults by size of the card), ``v1/kv_cache_interface.py`` (pages, windows); start-up logs of five models on an H100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.coefficients import Coefficient, Coefficients
from vram_advisor.domain.estimate import Component, Estimate, Peak, Phase, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import ITEMSIZE, quantization
from vram_advisor.memory.forward import forward_moments
from vram_advisor.memory.kv_cache import Cached, CacheForm, cached
from vram_advisor.memory.numbers import interval
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.overhead import context_bytes
from vram_advisor.memory.resident import Resident, fixed
from vram_advisor.memory.timeline import symbols as prompt_symbols
from vram_advisor.memory.usable import DRIVER_RESERVE_BYTES, DRIVER_RESERVE_SHARE
from vram_advisor.memory.vllm_pool import PAGE, pool_components, pool_notes
from vram_advisor.memory.weights import weight_bytes
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import BadInput, NotModelled
from vram_advisor.units.grid import ceil_div

SAMPLER = Coefficient(
    38.7, 1.0, "B per sequence and vocabulary entry", "peak of the profiled batch, five models on an H100"
)
"""The sampler of the profiled batch sorts fp32 logits of ``max_num_seqs`` rows: Llama-3.1-8B 4.76 GiB, Qwen3-0.6B 5.56,
Qwen3-32B 5.64, gpt-oss-20b 7.38, Llama-3.1-70B on two cards 4.84, all with 1,024 rows."""
OTHER = Coefficient(0.13, 0.1, "GiB", "vLLM start-up logs, one H100; 0.33 on an RTX 5090")
OTHER_SHARED = Coefficient(0.55, 0.15, "GiB", "vLLM start-up logs, tensor parallel over two H100")
GRAPHS = Coefficient(0.4, 0.3, "GiB", "vLLM start-up logs: 0.1 to 1.0")
LARGE = 70 * GIB
"""From this size on, A100 excepted, vLLM profiles 1,024 sequences instead of 256."""
FORMATS = frozenset(("fp32", "bf16", "fp16", "fp8", "gptq_int4", "gptq_int8", "awq_int4", "mxfp4", "nf4", "nf4_double"))
"""Weight formats whose bytes under vLLM are those of the table."""
ALL: tuple[Phase, ...] = ("load", "prefill", "decode")
RUNNING: tuple[Phase, ...] = ("prefill", "decode")


@dataclass(frozen=True, slots=True)
class Engine:
    """What vLLM chooses at start."""

    max_num_seqs: int
    max_num_batched_tokens: int


def engine(device: Device | None) -> Engine:
    """The defaults of ``vllm serve`` for a card; those of a smaller one where there is none."""
    if device is not None and device.total_bytes >= LARGE and "a100" not in device.name.lower():
        return Engine(1024, 8192)
    return Engine(256, 2048)


def card_bytes(device: Device) -> float:
    """The total of the card as CUDA reports it, which the share is of: without what the driver keeps [B]."""
    return max(float(device.free_bytes), device.total_bytes * (1 - DRIVER_RESERVE_SHARE) - DRIVER_RESERVE_BYTES)


def check_vllm(plan: Plan) -> None:
    """Refuse what vLLM does not do or what has no evidence.

    Raises:
        BadInput, NotModelled: a choice that does not go with vLLM.
    """
    fmt = quantization(plan.quantization)
    if fmt.name not in FORMATS:
        raise NotModelled(f"{fmt.title} weights under vLLM are not modelled: use fp8, awq_int4, gptq_int4 or bf16.")
    if plan.offload != "none":
        raise NotModelled("vLLM with weights in host memory is not modelled: use --offload none.")
    if plan.sharding != "none":
        raise BadInput("--sharding is for training; under vLLM --num-gpus alone splits the model.")
    if plan.cache_implementation == "static":
        raise BadInput("vLLM keeps its cache in pages: --cache-implementation static is for transformers.")
    types = {plan.cache_type_k, plan.cache_type_v} - {None}
    if types & {"int8", "int4"} or len(types) > 1:
        raise BadInput(
            "vLLM keeps keys and values both in the dtype of the model or both in fp8: set --cache-type-k and --cache-type-v alike."
        )


@lru_cache(maxsize=512)
def weights(model: ModelSpec, plan: Plan) -> Resident:
    """One GPU's share of the weights; tensor parallelism cuts layers, embeddings and output layer."""
    fmt = quantization(plan.quantization)
    itemsize = ITEMSIZE[plan.weights_dtype or fmt.kept_dtype]
    found = weight_bytes(model, fmt, itemsize, fmt.kernel == "gptq")
    gpus = plan.num_gpus
    pieces = (
        (f"linear layers, {fmt.title}", found.layers, gpus),
        ("experts", found.experts, gpus),
        ("embeddings and output layer", found.embeddings, gpus),
        ("norms, biases and others", found.rest, 1),
    )
    amounts = tuple(fixed(label, int(ceil_div(nbytes, parts)), "weights") for label, nbytes, parts in pieces if nbytes)
    return Resident(
        "weights",
        "weights of the model" if gpus == 1 else f"1 of {gpus} shares of the weights",
        amounts,
        ALL,
        fmt.source,
    )


def cache_parts(model: ModelSpec, plan: Plan, batched: int) -> tuple[Cached, ...]:
    """The cache of one sequence as vLLM keeps it; a window is kept with the batch that runs over it."""
    fmt = quantization(plan.quantization)
    itemsize = 1 if plan.cache_type_k == "fp8" else ITEMSIZE[plan.weights_dtype or fmt.kept_dtype]
    form = CacheForm(itemsize, windows=not plan.swa_full, window_margin=batched - 1, parts=plan.num_gpus)
    return cached(model, form)


def profiled(model: ModelSpec, plan: Plan, made: Engine) -> tuple[tuple[Amount, ...], tuple[int, ...], str]:
    """The peak of the profiled batch: the sampler's logits, or the layers on the largest batch of tokens."""
    nbytes = int(SAMPLER.value * made.max_num_seqs * model.vocab_size)
    sampler = (
        Amount(
            f"{SAMPLER.value} B for {made.max_num_seqs:,} sequences x {model.vocab_size:,} vocabulary",
            "one",
            nbytes,
            1,
            "working_set",
        ),
    )
    values = prompt_symbols(model, "standard", 1, made.max_num_batched_tokens)
    numerics = Numerics(attention="flash")
    gpus = plan.num_gpus
    best: tuple[Amount, ...] = ()
    largest = 0
    for block in model.blocks:
        if block.state is not None:
            continue
        for moment in forward_moments(model, block, numerics, False):
            size = sum(a.nbytes(values) for a in moment.amounts)
            if size // gpus > largest:
                best, largest = moment.amounts, size // gpus
    if largest <= nbytes:
        return sampler, values, "the sampler of the profiled batch"
    if gpus > 1:
        best = (fixed("one layer at work on one GPU", largest, "working_set"),)
    return best, values, "one layer at work on the profiled batch"


def estimate_vllm(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device | None, coefficients: Coefficients
) -> Estimate:
    """Memory of one GPU under vLLM; with a card, what the pool of its share holds.

    Raises:
        BadInput, NotModelled: a choice that does not go with vLLM, or that has no evidence.
    """
    check_vllm(plan)
    if not model.causal:
        raise NotModelled(f"vLLM with {model.id} is not modelled: an encoder generates nothing.")
    made = engine(device)
    held = weights(model, plan)
    working, values, label = profiled(model, plan, made)
    peak_batch = sum(a.nbytes(values) for a in working)
    other = OTHER_SHARED if plan.num_gpus > 1 else OTHER
    outside = int((other.value + GRAPHS.value) * GIB)
    context, context_sd = context_bytes(device, coefficients)
    pages = int(ceil_div(workload.context_length, PAGE)) * PAGE
    asked = cache_parts(model, plan, made.max_num_batched_tokens)
    wanted = sum(int(c.nbytes(workload.num_sequences, pages)) for c in asked)
    fixed_bytes = held.nbytes + peak_batch + outside
    need = fixed_bytes + wanted
    one = sum(int(c.nbytes(1, pages)) for c in asked)
    taken = int(plan.gpu_memory_utilization * card_bytes(device)) if device is not None else need
    pool = taken - fixed_bytes
    spread = math.hypot(other.sd * GIB, GRAPHS.sd * GIB, peak_batch * SAMPLER.sd / SAMPLER.value, 0.003 * held.nbytes)
    said = pool_notes(workload, plan, None if device is None else pool, made.max_num_seqs, wanted, asked)
    # vLLM starts where the pool holds one sequence; where it does not, what it would need is counted.
    shown = max(pool, one)
    together = max(1, min(workload.num_sequences, shown // one)) if one else workload.num_sequences
    components = [Component(held.kind, held.label, held.nbytes, held.amounts, values, ALL, held.reference)]
    components += pool_components(asked, together, pages, shown)
    components += [
        Component("working_set", label, peak_batch, working, values, ("prefill",), "vLLM v1/worker/gpu_worker.py profile_run", peak_batch * 0.05),
        Component("other", "CUDA graphs and memory outside of PyTorch", outside, (fixed("measured", outside, "other"),), values, RUNNING, OTHER.reference, math.hypot(other.sd, GRAPHS.sd) * GIB),
    ]  # fmt: skip
    totals = (held.nbytes, held.nbytes + shown + peak_batch + outside, held.nbytes + shown + outside)
    phases = tuple(PhasePeak(phase, nbytes) for phase, nbytes in zip(ALL, totals, strict=True))
    top = phases[1]
    minimum = float(fixed_bytes + one if device is not None else need)
    minimum_sd = math.hypot(spread, context_sd)
    peak = Peak(
        top.phase,
        interval(top.allocated_bytes, spread),
        interval(top.allocated_bytes, spread),
        interval(top.allocated_bytes + context, math.hypot(spread, context_sd)),
        interval(minimum, minimum_sd),
    )
    share = None if device is None else taken
    return Estimate(peak, phases, tuple(components), 0, None, minimum, minimum_sd, said, share)
