"""Answers with fixed numbers, so that the golden screens do not move when the memory model does."""

from dataclasses import replace
from typing import Literal

from vram_advisor.domain.advice import Advice, Change, Move
from vram_advisor.domain.amount import SYMBOLS, Amount
from vram_advisor.domain.answer import Answer, AppliedCalibration, Download, Option, SmallestGpu
from vram_advisor.domain.calibration import CalibrationKey, Learnt
from vram_advisor.domain.estimate import (
    PHASE_TITLES,
    Adapter,
    Component,
    Estimate,
    Interval,
    Peak,
    Phase,
    PhasePeak,
    Verdict,
)
from vram_advisor.domain.gpu import Device, GpuProcess
from vram_advisor.domain.model import Attention, Block, Experts, Mlp, ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import RECIPES
from vram_advisor.units.bytes import GIB, MIB

STEP: tuple[Phase, ...] = (
    "forward",
    "loss_forward",
    "loss_backward",
    "backward_first",
    "backward_last",
    "optimizer_step",
)
TOKENS = 2048
VALUES = tuple(1 if name == "one" else TOKENS for name in SYMBOLS)
MODEL = ModelSpec(
    id="sample-7b",
    architecture="llama",
    hidden_size=4096,
    vocab_size=32000,
    blocks=(Block(attention=Attention(32, 32, 128, 128), mlp=Mlp(11008)),),
    layer_kinds=(0,) * 32,
    source="catalogue, checked 2026-11-23: sample/sample-7b",
)
MIXTURE = replace(
    MODEL, id="sample-moe", blocks=(Block(attention=Attention(32, 8, 128, 128), experts=Experts(8, 2, 14336)),)
)
CARD = Device("Sample 12 GB", 1, "catalogue", 12 * GIB, 12 * GIB - 340 * MIB, sm_count=48, free_sd_bytes=100 * MIB)
CALIBRATION = AppliedCalibration(
    "2026-11-21-153012-sample-12-gb-trl", "2026-11-21T15:30:12Z",
    CalibrationKey(backend="cuda", gpu="Sample 12 GB", torch="2.13", recipe="transformers-peft", system="linux"),
    "gpu and recipe", (),
    (
        Learnt(name="activation_scale", prior=1.0, prior_sd=0.06, value=1.02, sd=0.004),
        Learnt(name="context_base", prior=15.0, prior_sd=55.0, value=-25.0, sd=14.0),
    ),
)  # fmt: skip
BUSY = replace(
    CARD,
    source="detected",
    free_bytes=8 * GIB,
    free_sd_bytes=0,
    processes=(GpuProcess(4242, "python", 3 * GIB), GpuProcess(77, None, None)),
)


def component(
    kind: str, label: str, amounts: tuple[Amount, ...], alive: tuple[Phase, ...], reference: str
) -> Component:
    """A component that is the sum of its amounts."""
    nbytes = sum(int(amount.nbytes(VALUES)) for amount in amounts)
    return Component(kind, label, nbytes, amounts, VALUES, alive, reference)


def components(weights: int) -> tuple[Component, ...]:
    """What a small LoRA run holds, with base weights of this size [B]."""
    always: tuple[Phase, ...] = ("load", *STEP)
    return (
        component(
            "weights", "weights of the model",
            (Amount("linear layers", "one", weights, 1, "weights"), Amount("norms", "one", 266_240, 2, "weights")),
            always, "torch.bfloat16",
        ),
        component(
            "loss", "logits and loss",
            (
                Amount("log-softmax", "T", 32000, 4, "logits"), Amount("gradient of log-softmax", "T", 32000, 4, "logits"),
                Amount("gradient of logits in fp32", "T", 32000, 4, "logits"), Amount("final norm", "T", 4096, 4, "logits"),
            ),
            ("loss_backward",), "torch/csrc/autograd/engine.cpp",
        ),
        component("checkpoints", "layer inputs kept", (Amount("layer input", "T", 4096, 2, "activation", 32),), STEP[:4], "transformers modeling_layers.py"),
        component("optimizer_state", "optimizer state, AdamW, fused", (Amount("moments", "one", 39_976_960, 4, "state", 2),), STEP, "torch optim/adamw.py"),
        component("adapters", "adapters", (Amount("lora_A and lora_B", "one", 39_976_960, 4, "adapter"),), always, "peft tuners/lora"),
        component("workspace", "cuBLAS workspaces", (Amount("one per thread", "one", 8_519_680, 1, "workspace", 2),), STEP, "torch ATen/cuda"),
        component("inputs", "positions and token ids", (Amount("token ids, labels, mask", "T", 3, 8, "activation"),), STEP[:5], "transformers modeling_llama.py"),
        component("working_set", "one layer at work", (Amount("down_proj adapter input", "T", 11008, 4, "activation", 3),), ("backward_first", "backward_last"), "torch/csrc/autograd/engine.cpp"),
        component("gradients", "gradients", (Amount("lora_A and lora_B", "one", 39_976_960, 4, "gradient"),), ("backward_last", "optimizer_step"), "dtype of the parameter"),
    )  # fmt: skip


def estimate(weights: int) -> Estimate:
    """The estimate that follows from the components."""
    parts = components(weights)
    phases = tuple(PhasePeak(phase, sum(c.nbytes for c in parts if phase in c.alive)) for phase in ("load", *STEP))
    top = max(phases, key=lambda phase: phase.allocated_bytes)
    allocated = top.allocated_bytes
    minimum = allocated + 500 * MIB

    def around(mid: int, spread: int) -> Interval:
        return Interval(mid - spread, mid, mid + spread)

    peak = Peak(
        top.phase, around(allocated, 50 * MIB), around(allocated + 900 * MIB, 700 * MIB),
        around(allocated + 1100 * MIB, 750 * MIB), around(minimum, 300 * MIB),
    )  # fmt: skip
    return Estimate(peak, phases, parts, 0, Adapter(39_976_960, 0.00589770503, 160_000_000), minimum, 182 * MIB)


def option(title: str, quantization: str, weights: int, device: Device | None, probability: float | None) -> Option:
    """An option with the verdict of a probability."""
    value = estimate(weights)
    plan = Plan(
        quantization=quantization, optimizer="adamw_torch_fused", gradient_checkpointing="full",
        attn_implementation="sdpa", loss="standard", mixed_precision="bf16", weights_dtype="bf16",
    )  # fmt: skip
    if device is None:
        verdict = Verdict("unknown", None, None, None, "It needs some memory; there is nothing to compare with.")
    else:
        assert probability is not None
        spare = device.free_bytes - int(value.minimum_mean)
        outcome: Literal["fits", "tight", "no"] = (
            "fits" if probability >= 0.95 else "tight" if probability >= 0.5 else "no"
        )
        reason = (
            f"It needs more than is free; the peak is at {PHASE_TITLES[value.peak.phase]}."
            if outcome == "no"
            else "It fits."
        )
        verdict = Verdict(outcome, probability, device.free_bytes, spare, reason)
    return Option(title, plan, RECIPES["transformers-peft"], value, verdict)


FUSED = (
    Move(
        "loss",
        "loss fused with the output layer (Liger)",
        (Change("loss", "standard", "liger"),),
        "same result",
        0.0,
        "none",
        "liger-kernel",
    ),
)
SMALLER = (
    Move("rank", "rank 16 → 8", (Change("lora_r", 16, 8),), "same model", 1.0, "less can be learnt", ""),
    Move("targets", "adapters on q_proj and v_proj alone", (Change("target_modules", ("all-linear",), ("q_proj", "v_proj")),), "same model", 2.0, "less can be learnt", ""),
)  # fmt: skip
"""Moves of made-up advice."""


def advice(moves: tuple[Move, ...], device: Device) -> Advice:
    """Advice that leaves a GiB to spare."""
    value = estimate(4)
    need = device.free_bytes - GIB
    verdict = Verdict("fits", 0.99, device.free_bytes, GIB, "It fits.")
    return Advice(
        moves=moves, model=MODEL, workload=Workload(method="lora"), asked=Plan(), plan=Plan(),
        estimate=replace(value, minimum_mean=need), verdict=verdict, saved_bytes=GIB, relative_time=0.92,
        tier=moves[0].tier, quality=sum(move.quality for move in moves), peak_before="loss_backward",
        peak_after="backward_first", reasons=("smallest change",),
    )  # fmt: skip


def answer(kind: Literal["fits", "tight", "no", "unknown", "busy"]) -> Answer:
    """An answer of one kind."""
    device = {"unknown": None, "busy": BUSY}.get(kind, CARD)
    odds: dict[str, tuple[float, float, float]] = {
        "fits": (1e-9, 0.9999973, 1.0), "tight": (1e-9, 1e-5, 0.72), "no": (1e-9, 1e-9, 1e-4), "busy": (1e-9, 0.01, 0.99),
    }  # fmt: skip
    weights = {"fits": (13, 7, 4), "tight": (20, 15, 9), "no": (40, 30, 15)}.get(kind, (13, 7, 4))
    chances: tuple[float | None, ...] = odds.get(kind, (None, None, None))
    names = (("FP16", "bf16"), ("Q8", "int8"), ("Q4", "nf4_double"))
    options = tuple(
        option(title, name, size * GIB, device, chance)
        for (title, name), size, chance in zip(names, weights, chances, strict=True)
    )
    smallest = (
        SmallestGpu(0, "card-24", "Card 24 GB", 24 * GIB, 0.9991234567),
        SmallestGpu(2, "card-8", "Card 8 GB", 8 * GIB, 1.0),
    )
    advices = {"no": (FUSED, SMALLER), "tight": (FUSED,)}.get(kind, ())
    return Answer(
        advices=tuple(advice(moves, device) for moves in advices if device is not None),
        download=Download("owner/sample-7b", 13_476_831_232, present=kind == "busy"),
        model=MODEL,
        parameters=6_738_415_616,
        active_parameters=6_738_415_616,
        workload=Workload(method="lora"),
        device=device,
        calibration=CALIBRATION if kind == "fits" else None,
        options=options,
        recommended={"fits": 1, "tight": 2, "busy": 2}.get(kind),
        smallest_gpus=smallest if kind in ("no", "unknown") else (),
        assumptions=("model sample-7b: catalogue, checked 2026-11-23", "1 x 2048 tokens per micro batch"),
        warnings=("Something that is worth knowing.",) if kind == "fits" else (),
    )
