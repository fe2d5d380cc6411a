"""How the result of a fine-tune can be run: the adapter beside its base, or merged into it.

Sources: PEFT ``docs/source/developer_guides/lora.md`` (merge_and_unload); llama.cpp ``convert_lora_to_gguf.py``,
``convert_hf_to_gguf.py``, ``tools/quantize``; Ollama ``docs/import.md`` (ADAPTER); vLLM ``docs/features/lora.md``; LM Studio
``lms import``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from shlex import quote

from vram_advisor.advice.verdict import judge
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Adapter, Estimate, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Runtime, Workload
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.served import ServedResult, ServingWay
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.weights import weight_bytes
from vram_advisor.units.errors import AdvisorError

HALF = 2
"""Bytes of a parameter of an adapter in memory at inference: programs keep it in 16 bits."""
GGUF = "q4_k_m"
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values of ``--max-lora-rank`` (vLLM ``config/lora.py``)."""
MERGE = (
    'python -c "from peft import AutoPeftModelForCausalLM as M; '
    "M.from_pretrained('./adapter', dtype='bfloat16').merge_and_unload().save_pretrained('./merged')\""
)
TOKENIZER = "cp ./adapter/tokenizer* ./merged/"
TO_GGUF = (
    "python convert_hf_to_gguf.py ./merged --outtype bf16 --outfile merged-bf16.gguf",
    "llama-quantize merged-bf16.gguf merged-Q4_K_M.gguf Q4_K_M",
)


@dataclass(frozen=True, slots=True)
class Case:
    """What the commands are written for."""

    base: str
    """Repository or folder of the base."""
    context: int
    rank: int
    """The least that vLLM takes for the adapter."""


def beside_llama_cpp(case: Case) -> tuple[str, ...]:
    """The adapter as a GGUF file beside that of the base."""
    return (
        f"python convert_lora_to_gguf.py ./adapter --base-model-id {case.base} --outtype f16 --outfile adapter.gguf",
        f"llama-server -m base-Q4_K_M.gguf --lora adapter.gguf -c {case.context}",
    )


def beside_ollama(case: Case) -> tuple[str, ...]:
    """A Modelfile that names both."""
    return (
        beside_llama_cpp(case)[0],
        f"printf 'FROM ./base-Q4_K_M.gguf\\nADAPTER ./adapter.gguf\\nPARAMETER num_ctx {case.context}\\n' > Modelfile",
        "ollama create tuned -f Modelfile && ollama run tuned",
    )


def beside_vllm(case: Case) -> tuple[str, ...]:
    """The adapter as PEFT writes it."""
    return (
        f"vllm serve {case.base} --enable-lora --lora-modules tuned=./adapter --max-lora-rank {case.rank}"
        f" --max-model-len {case.context}",
    )


def beside_transformers(case: Case) -> tuple[str, ...]:
    """The adapter as PEFT writes it."""
    return (
        'python -c "from peft import AutoPeftModelForCausalLM as M; '
        "model = M.from_pretrained('./adapter', dtype='bfloat16', device_map='cuda')\"",
    )


def merged_llama_cpp(case: Case) -> tuple[str, ...]:
    """One GGUF file."""
    return (MERGE, TOKENIZER, *TO_GGUF, f"llama-server -m merged-Q4_K_M.gguf -c {case.context}")


def merged_lm_studio(case: Case) -> tuple[str, ...]:
    """One GGUF file: LM Studio loads no adapters."""
    return ("lms import merged-Q4_K_M.gguf", f"lms load merged --context-length {case.context}")


def merged_ollama(case: Case) -> tuple[str, ...]:
    """A Modelfile of one line."""
    return (
        f"printf 'FROM ./merged-Q4_K_M.gguf\\nPARAMETER num_ctx {case.context}\\n' > Modelfile",
        "ollama create tuned -f Modelfile && ollama run tuned",
    )


def merged_vllm(case: Case) -> tuple[str, ...]:
    """A folder of safetensors."""
    return (MERGE, TOKENIZER, f"vllm serve ./merged --max-model-len {case.context}")


def merged_transformers(case: Case) -> tuple[str, ...]:
    """A folder of safetensors."""
    return (
        MERGE,
        TOKENIZER,
        'python -c "from transformers import AutoModelForCausalLM as M; '
        "model = M.from_pretrained('./merged', dtype='bfloat16', device_map='cuda')\"",
    )


Commands = Callable[[Case], tuple[str, ...]]
BESIDE: tuple[tuple[Runtime, str, Commands], ...] = (
    ("llama.cpp", GGUF, beside_llama_cpp),
    ("ollama", GGUF, beside_ollama),
    ("vllm", "bf16", beside_vllm),
    ("transformers", "bf16", beside_transformers),
)
MERGED: tuple[tuple[Runtime, str, Commands], ...] = (
    ("llama.cpp", GGUF, merged_llama_cpp),
    ("ollama", GGUF, merged_ollama),
    ("lm-studio", GGUF, merged_lm_studio),
    ("vllm", "bf16", merged_vllm),
    ("transformers", "bf16", merged_transformers),
)


def served(
    model: ModelSpec,
    base: str,
    workload: Workload,
    plan: Plan,
    adapter: Adapter | None,
    device: Device | None,
    coefficients: Coefficients,
) -> ServedResult:
    """The ways to run the result of a fine-tune.

    Args:
        base: repository or folder of the base model.
        plan: of the fine-tune.
        adapter: what it trains; None: every weight.
    """
    asked = Workload(context_length=workload.context_length)
    ranks = [rank for rank in VLLM_RANKS if rank >= plan.lora_r]
    case = Case(quote(base), asked.context_length, min(ranks, default=plan.lora_r))

    def way(program: Runtime, stored: str, merged: bool, commands: Commands) -> ServingWay:
        run = Plan(runtime=program, quantization=stored)
        beside = 0 if merged or adapter is None else HALF * adapter.trainable_parameters
        need, verdict = _need(model, asked, run, beside, device, coefficients)
        return ServingWay(program, merged, stored.upper() if stored == GGUF else stored, need, verdict, commands(case))

    plain = adapter is not None and workload.method != "dora" and not plan.modules_to_save
    found = [way(program, stored, False, commands) for program, stored, commands in BESIDE if plain]
    if adapter is not None and not plain:
        found.append(way("transformers", "bf16", False, beside_transformers))
    found += [way(program, stored, True, commands) for program, stored, commands in MERGED]
    return ServedResult(
        context_length=asked.context_length,
        adapter_bytes=None if adapter is None else adapter.file_bytes,
        merged_bytes=weight_bytes(model, quantization("bf16")).total,
        ways=tuple(found),
        notes=tuple(_notes(workload, plan, adapter)),
    )


def _need(
    model: ModelSpec, workload: Workload, plan: Plan, beside: int, device: Device | None, coefficients: Coefficients
) -> tuple[int | None, Verdict | None]:
    """Minimum to run with so many bytes of an adapter beside the weights [B], and the verdict."""
    try:
        found: Estimate = estimate(model, workload, plan, recipe(plan.recipe), device, coefficients).estimate
    except AdvisorError:
        return None, None
    found = replace(found, minimum_mean=found.minimum_mean + beside)
    return int(found.minimum_mean), None if device is None else judge(found, device)


def _notes(workload: Workload, plan: Plan, adapter: Adapter | None) -> list[str]:
    said = []
    if adapter is None:
        said.append("Every weight was trained: there is no adapter, and the result is as large as the model.")
    elif workload.method == "dora":
        said.append("llama.cpp, Ollama and vLLM load no DoRA adapters: merge it for them.")
    elif plan.modules_to_save:
        said.append("llama.cpp, Ollama and vLLM load no modules that were trained in full: merge them.")
    if adapter is not None and quantization(plan.quantization).is_quantised:
        said.append(
            "The adapter was trained on rounded weights: merged into the 16-bit ones, results differ a little from"
            " those seen in training."
        )
    return said
