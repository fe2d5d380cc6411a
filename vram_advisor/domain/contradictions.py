"""Options that contradict each other: refused by name, so that none is silently left out of the answer."""

from dataclasses import fields

from vram_advisor.domain.plan import LLAMA_CPP_ONLY, Plan, Workload
from vram_advisor.domain.quantization import Quantization
from vram_advisor.domain.recipe import SERVED
from vram_advisor.domain.serving import GGML_CACHES, GGUF_RUNTIMES, GGUF_SERVING
from vram_advisor.units.errors import BadInput

MAY_BE_EMPTY = frozenset({"modules_to_save", "override_tensor", "tensor_split", "lora"})
"""Lists that are empty as a rule."""


def refuse_llama_cpp_options(plan: Plan) -> None:
    """Options of llama.cpp under another program.

    Raises:
        BadInput: one is set.
    """
    if plan.runtime in GGUF_RUNTIMES:
        return
    for entry in fields(plan):
        if entry.name in LLAMA_CPP_ONLY and getattr(plan, entry.name) != entry.default:
            option = entry.name.replace("_", "-")
            raise BadInput(
                f"--{option} is an option of llama.cpp: use it with --runtime llama.cpp, ollama or lm-studio."
            )
    if plan.swa_full and plan.runtime == "transformers":
        raise BadInput("--swa-full is an option of llama.cpp and vLLM: transformers has none of that kind.")
    for name in {plan.cache_type_k, plan.cache_type_v} & GGML_CACHES:
        raise BadInput(f"A cache in {name} is for --runtime llama.cpp; {plan.runtime} has others.")


def refuse_contradictions(workload: Workload, plan: Plan, base: Quantization | None) -> None:
    """Refuse what cannot be meant. ``base`` is the storage that was named; None: several are compared.

    Raises:
        BadInput: one sentence that names the options and a way out.
    """
    for record in (workload, plan):
        for name, value in vars(record).items():
            if (value in ("", ()) and name not in MAY_BE_EMPTY) or (isinstance(value, tuple) and "" in value):
                raise BadInput(f"--{name.replace('_', '-')} is empty: give a value or leave the option out.")
    if workload.trains and plan.runtime not in (None, "transformers"):
        raise BadInput(
            f"--runtime {plan.runtime} serves models and --method {workload.method} trains one: leave out one of the two."
        )
    refuse_llama_cpp_options(plan)
    if workload.trains and plan.recipe in SERVED:
        raise BadInput(f"--recipe {plan.recipe} serves models and trains none: use it with --method inference.")
    row = GGUF_SERVING.get(plan.recipe)
    if row is not None and plan.runtime not in (None, row.runtime):
        raise BadInput(
            f"--recipe {plan.recipe} is a version of {row.runtime}, and --runtime {plan.runtime} is another."
        )
    if workload.method == "qlora" and base is not None and not base.is_quantised:
        raise BadInput(
            f"--method qlora trains on a quantised base, which --quantization {base.name} is not: "
            "use --method lora or --quantization nf4_double."
        )
    prompt = workload.prompt_length
    if not workload.trains and prompt is not None and prompt > workload.context_length:
        raise BadInput(
            f"--prompt-length {prompt} is more than --context-length {workload.context_length}, which holds the prompt "
            "and the answer."
        )
