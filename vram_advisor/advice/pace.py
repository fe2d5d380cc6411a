"""Time for one token of the work on a card, so that plans can be compared."""

from __future__ import annotations

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Speed
from vram_advisor.throughput.decode import decode_speed
from vram_advisor.throughput.stored import stored, stored_gguf
from vram_advisor.throughput.training import training_speed

SAME = 1.0
"""Where nothing is known of the speed of a card every plan is as fast as any other."""


class Pace:
    """Times on one card; a plan that is asked for twice is computed once."""

    def __init__(self, device: Device, coefficients: Coefficients) -> None:
        self.device, self.coefficients = device, coefficients
        self.kept: dict[tuple[str, Workload, Plan], float] = {}

    def seconds(self, model: ModelSpec, workload: Workload, plan: Plan) -> float:
        """Time for one token [s]."""
        key = (model.id, workload, plan)
        if key not in self.kept:
            found = self.speed(model, workload, plan)
            self.kept[key] = 1 / float(found.tokens_per_second.mid) if found is not None else SAME
        return self.kept[key]

    def speed(self, model: ModelSpec, workload: Workload, plan: Plan) -> Speed | None:
        """The speed of a plan; None where the catalogue lacks the rates of the card."""
        gpu = self.device.spec
        if gpu is None:
            return None
        if workload.trains:
            habits = recipe(plan.recipe)
            return training_speed(model, workload, plan, gpu, habits, coefficients=self.coefficients)
        fmt = quantization(plan.quantization)
        gguf = fmt.kernel == "gguf"
        weights = stored_gguf(gguf_tensors(model, fmt.name)) if gguf else stored(model, fmt)
        return decode_speed(
            model,
            gpu,
            weights,
            "vllm" if plan.runtime == "vllm" else "transformers" if plan.runtime == "transformers" else "llama.cpp",
            context=workload.context_length,
            sequences=workload.num_sequences,
            gpus=plan.num_gpus,
            coefficients=self.coefficients,
        )
