"""Random plans over the fields that a program can express, drawn from its table of keys."""

from random import Random
from typing import Any

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import DEFAULT_RECIPE
from vram_advisor.exchange.keys import DEFAULTS, WORKLOAD, Choice, Key, Program, Switches, kind_of
from vram_advisor.exchange.programs import PROGRAMS

MODELS = ("meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-7B", "mistralai/Mistral-7B-v0.1", "acme/model_1.5-x")
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
GGUF = ("q4_k_m", "q8_0", "iq4_xs", "fp16", "q6_k")
TIED = ("google/", "Qwen/Qwen2-")
"""Models whose output layer is the embedding, which torchtune gives no adapter."""
SAVED = ("embed_tokens", "lm_head")
LISTS: dict[str, tuple[str, ...]] = {
    "target_modules": MODULES,
    "modules_to_save": SAVED,
    "override_tensor": ("exps=CPU", r"blk\.1.*=CUDA0"),
    "lora": ("adapter.gguf", "/models/other.gguf"),
}
TEXTS: dict[str, tuple[str, ...]] = {
    "split_mode": ("none", "layer", "row"),
    "quantization": GGUF,
    "model_draft": MODELS,
    "quantization_draft": GGUF,
    "mmproj": ("mmproj-model-f16.gguf",),
}


def random_value(name: str, random: Random) -> Any:
    """A value of a field that a key holds as it is."""
    kind = kind_of(name)
    if name == "model":
        return random.choice(MODELS)
    if kind == "texts":
        chosen = tuple(random.sample(LISTS[name], random.randint(1, len(LISTS[name]))))
        return ("all-linear",) if name == "target_modules" and random.random() < 0.3 else chosen
    if kind == "numbers":
        return tuple(random.choice((0, 1, 2.5, 3)) for _ in range(random.randint(1, 4)))
    if kind == "bool":
        return random.random() < 0.5
    if kind == "int":
        return random.randint(1, 2 ** random.randint(1, 17))
    if kind == "float":
        return {
            "lora_alpha": random.randint(1, 512),
            "lora_dropout": random.randint(0, 99) / 100,
            "gpu_memory_utilization": random.randint(1, 100) / 100,
        }[name]
    return random.choice(TEXTS[name])


def random_plan(name: str, seed: int) -> tuple[str | None, Workload, Plan]:
    """Model, workload and plan that a program can express; where the model of a file is none, None."""
    random, program = Random(f"{name} {seed}"), PROGRAMS[name]
    values: dict[str, Any] = {
        "method": program.method,
        "recipe": program.recipe or DEFAULT_RECIPE,
        "runtime": program.runtime,
    }
    for row in program.rows:
        if values["method"] in row.methods and not (isinstance(row, Key) and row.read_only):
            _draw(row, values, random)
    model = values.pop("model", None)
    workload = Workload(**{key: value for key, value in values.items() if key in WORKLOAD})
    plan = Plan(**{key: value for key, value in values.items() if key not in WORKLOAD})
    workload, plan = program.settle(workload, plan)
    return model, workload, plan


def _draw(row: Key | Choice | Switches, values: dict[str, Any], random: Random) -> None:
    if isinstance(row, Key):
        if row.field == "num_gpus":
            values["num_gpus"] = random.randint(1, 16)
        elif row.default is not None or row.field in ("model", "quantization") or random.random() < 0.8:
            values[row.field] = random_value(row.field, random)
        else:
            values[row.field] = DEFAULTS[row.field]
    elif isinstance(row, Choice):
        values.update(zip(row.fields, random.choice([r for r in row.rows if not r.read_only]).meant, strict=True))
    else:
        chosen = [switch for switch in row.switches if random.random() < 0.6] or [row.switches[0]]
        if str(values.get("model")).startswith(TIED):
            chosen = [switch for switch in chosen if switch.modules != ("lm_head",)] or [row.switches[0]]
        modules = tuple(module for switch in chosen for module in switch.modules)
        values[row.field] = (row.whole_name,) if modules == row.whole else modules


def programs() -> list[Program]:
    """All programs."""
    return list(PROGRAMS.values())
