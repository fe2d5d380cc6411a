"""One answer for any workload: the fold of training and inference behind one name."""

from dataclasses import dataclass

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.timeline import estimate_training


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Estimated:
    """An estimate with the plan it is for, every choice filled in."""

    plan: Plan
    estimate: Estimate


def estimate(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> Estimated:
    """Memory of a workload on one GPU.

    Raises:
        BadInput, NotModelled: a choice is unknown, contradicts another, or has no evidence.
    """
    if not workload.trains:
        # A question about training is answered without importing what only inference needs.
        if plan.runtime in GGUF_RUNTIMES:
            from vram_advisor.memory.llama_cpp.estimate import estimate_llama_cpp

            return Estimated(plan, estimate_llama_cpp(model, workload, plan, recipe, device, coefficients))
        from vram_advisor.memory.inference import estimate_inference
        from vram_advisor.memory.session import resolved_inference

        plan = resolved_inference(plan)
        return Estimated(plan, estimate_inference(model, workload, plan, recipe, device, coefficients))
    plan = resolved(workload, plan, recipe)
    return Estimated(plan, estimate_training(model, workload, plan, recipe, device, coefficients))
