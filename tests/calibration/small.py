"""A model that trains on a processor in a second, and what the tests of real runs share."""

import json
from pathlib import Path

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Backend, Trial
from vram_advisor.memory.setup import resolved

CONFIG: dict[str, object] = {
    "model_type": "llama", "vocab_size": 8192, "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 12,
    "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 2048, "torch_dtype": "bfloat16",
}  # fmt: skip


def model_folder(place: Path, **changes: object) -> Path:
    """A folder with the model's configuration."""
    folder = place / "small"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    return folder


def trial(
    method: str = "lora",
    length: int = 128,
    batch: int = 1,
    layers: int = 2,
    levers: Plan | None = None,
    backend: Backend = "cpu",
    steps: int = 3,
    **changes: object,
) -> Trial:
    """A trial of the model at a depth."""
    workload = Workload(method=method, sequence_length=length, micro_batch_size=batch)  # type: ignore[arg-type]
    levers = levers or Plan()
    plan = resolved(workload, levers, recipe(levers.recipe))
    config = CONFIG | {"num_hidden_layers": layers} | changes
    return Trial(config=config, workload=workload, plan=plan, backend=backend, steps=steps, processes=levers.num_gpus)
