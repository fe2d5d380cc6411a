"""Options that contradict each other: refused by name, so that none is silently left out of the answer."""

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import Quantization
from vram_advisor.units.errors import BadInput


def refuse_contradictions(workload: Workload, plan: Plan, base: Quantization | None) -> None:
    """Refuse what cannot be meant. ``base`` is the storage that was named; None: several are compared.

    Raises:
        BadInput: one sentence that names the options and a way out.
    """
    for record in (workload, plan):
        for name, value in vars(record).items():
            if (value in ("", ()) and name != "modules_to_save") or (isinstance(value, tuple) and "" in value):
                raise BadInput(f"--{name.replace('_', '-')} is empty: give a value or leave the option out.")
    if workload.trains and plan.runtime != "transformers":
        raise BadInput(
            f"--runtime {plan.runtime} serves models and --method {workload.method} trains one: leave out one of the two."
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
