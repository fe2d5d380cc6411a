"""What the program answers on the golden screens: fixed numbers, so that they do not move when the model of memory does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Literal

import sample_answers
from sample_answers import CARD, GIB

from vram_advisor.advice.options import recommend
from vram_advisor.domain.advice import Advice, AdviceAnswer, Bound, Change, Move
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Device, GpuProcess, GpuSnapshot, GpuSpec, HostSnapshot, Machine
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.hardware.reading import Reading
from vram_advisor.sources.catalog_models import ModelRecord, Parameters
from vram_advisor.tui.app import AdvisorApp
from vram_advisor.units.errors import BadInput

MakeApp = Callable[..., AdvisorApp]
"""Makes an app in some state."""
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Kind = Literal["fits", "tight", "no", "unknown", "busy", "offload"]
HOST = HostSnapshot("linux", "Sample processor", 8, 32 * GIB, 20 * GIB)


def snapshot(index: int = 0, name: str = "Sample 12 GB", free: int = 8 * GIB) -> GpuSnapshot:
    """A card as its driver describes it."""
    return GpuSnapshot(
        index, name, "NVIDIA", 12 * GIB, free, used_bytes=12 * GIB - free, utilisation_percent=37, temperature_c=51,
        power_w=120.5, power_limit_w=200.0,
        processes=(GpuProcess(4242, "python", 3 * GIB), GpuProcess(77, "Xorg", GIB // 2)),
    )  # fmt: skip


NONE = Reading(absent="No NVIDIA driver: its library NVML is not on this computer.")
LOST = Reading(notes=("NVML: GPU is lost.",))
ONE = Reading((snapshot(),), driver="570.86.10", next_index=1)
TWO = Reading((snapshot(), snapshot(1, "Sample 24 GB", 11 * GIB)), driver="570.86.10", next_index=2)


class Door:
    """Stands in for the program behind the screen: answers of one kind, whatever is asked."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.asked: list[tuple[Workload, Plan]] = []

    def check(
        self,
        model: Any,
        *,
        gpu: str | None,
        gpu_index: int | None,
        workload: Workload,
        plan: Plan,
        machine: Machine | None,
    ) -> Answer:
        """An answer; what is larger than the sample fits worse."""
        self.asked.append((workload, plan))
        if plan.lora_r == 2**10:
            raise BadInput("--lora-r 1024: the sample refuses it.")
        tokens = workload.micro_batch_size * workload.sequence_length if workload.trains else workload.context_length
        kind = self.kind
        if kind == "fits" and tokens > 16384:
            kind = "no"
        elif kind == "fits" and tokens > 4096:
            kind = "tight"
        there = machine is not None and bool(machine.gpus)
        if gpu is None and not there:
            kind = "unknown"
        answer = offloaded() if kind == "offload" else sample_answers.answer(kind)
        device = None if kind == "unknown" else card(gpu, machine, answer.device)
        return replace(answer, workload=workload, device=device)

    def advise(
        self,
        model: Any,
        *,
        gpu: str | None,
        gpu_index: int | None,
        workload: Workload,
        plan: Plan,
        machine: Machine | None,
    ) -> AdviceAnswer:
        """Two changes, and how far the card goes."""
        answer = self.check(model, gpu=gpu, gpu_index=gpu_index, workload=workload, plan=plan, machine=machine)
        return advice(answer, workload, plan)


def card(gpu: str | None, machine: Machine | None, usual: Device | None) -> Device:
    """The card of a name, or the one that is here."""
    if gpu is not None:
        return replace(CARD, name=f"Sample {gpu}")
    assert usual is not None
    return replace(usual, name=machine.gpus[0].name if machine is not None and machine.gpus else usual.name)


def offloaded() -> Answer:
    """Inference whose last layers stay in system memory."""
    answer = sample_answers.answer("tight")
    options = tuple(
        replace(
            each,
            title=title,
            plan=replace(each.plan, runtime="llama.cpp", quantization=name, n_gpu_layers=24),
            estimate=replace(each.estimate, host_bytes=5 * GIB, adapter=None),
            verdict=replace(each.verdict, outcome=outcome, probability=probability),
        )
        for each, title, name, outcome, probability in zip(
            answer.options, ("F16", "Q8_0", "Q4_K_M"), ("fp16", "q8_0", "q4_k_m"), ("no", "spill", "fits"),
            (1e-9, 0.2, 0.999), strict=True,
        )
    )  # fmt: skip
    return replace(answer, options=options, recommended=recommend(options), workload=Workload(method="inference"))


def advice(answer: Answer, workload: Workload, plan: Plan) -> AdviceAnswer:
    """What would make it better."""
    small, least = sample_answers.estimate(3 * GIB), sample_answers.estimate(2 * GIB)
    asked = answer.options[0]
    found = []
    for number, estimate in enumerate((small, least)):
        moves = (
            Move("loss", "loss fused with the output layer (Liger)", (Change("loss", "standard", "liger"),), "same result",
                 0.0, "none: as fast or faster", "liger-kernel"),
            Move("rank", "rank 16 → 8", (Change("lora_r", 16, 8),), "same model", 1.0, "less can be learnt", ""),
        )[: number + 1]  # fmt: skip
        changed = replace(plan, loss="liger", lora_r=plan.lora_r if number == 0 else 8)
        verdict = replace(asked.verdict, outcome="fits", probability=0.9999, headroom_bytes=4 * GIB)
        found.append(
            Advice(
                moves=moves,
                model=answer.model,
                workload=workload,
                asked=changed,
                plan=changed,
                estimate=estimate,
                verdict=verdict,
                saved_bytes=(2 + number) * GIB,
                relative_time=0.9 + number * 0.2,
                tier=moves[-1].tier,
                quality=moves[-1].quality,
                peak_before="loss_backward",
                peak_after="backward_first",
                reasons=("smallest change", "fastest") if number == 0 else (),
                then=("batch 1 → 4",),
            )
        )
    bounds = (Bound("sequence_length", 2048, 10752, ""), Bound("lora_r", 16, 256, ""))
    return AdviceAnswer(asked, answer.model, workload, answer.device, tuple(found), tuple(found), bounds, 42, ())


def records() -> tuple[ModelRecord, ...]:
    """Two models of a catalogue."""
    return tuple(
        ModelRecord(
            id=name, aliases=(alias,), hf_repo=f"sample/{name}", family="sample", checked=date(2026, 11, 23), sources=(),
            parameters=Parameters(total=size, vision_audio=0, mtp=0, active=size, match="exact"), config={"model_type": "llama"},
        )
        for name, alias, size in (("sample-7b", "7b", 6_738_415_616), ("sample-70b", "70b", 68_976_648_192))
    )  # fmt: skip


def cards() -> tuple[GpuSpec, ...]:
    """Two cards of a catalogue."""
    return tuple(
        GpuSpec(name, f"Sample Card {size} GB", "NVIDIA", "Ada", "desktop", size * GIB, bandwidth_gb_per_s=504.2, launch_date="2024")
        for name, size in (("card-12", 12), ("card-24", 24))
    )  # fmt: skip


def readings(*values: Reading) -> Iterator[Reading]:
    """One reading after another; the last one stays."""
    yield from values
    while True:
        yield values[-1]
