"""How long a grid of a million (batch, length) points takes, and one estimate in a warm process.

Run: python benchmarks/grid.py
"""

import statistics
import time

import numpy as np

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.grid import training_grid
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.catalog_models import find_model


def main() -> None:
    """Print both times."""
    model, habits = find_model("llama-3.1-8b"), recipe("transformers-peft")
    for name in ("bf16", "nf4_double"):
        plan = Plan(quantization=name)
        batches = np.arange(1, 1001, dtype=np.int64)[:, None]
        lengths = np.arange(8, 8008, 8, dtype=np.int64)[None, :]
        training_grid(model, Workload(method="lora"), plan, habits, 1, 1)
        start = time.perf_counter()
        grid = training_grid(model, Workload(method="lora"), plan, habits, batches, lengths)
        print(f"{name}: {grid.peak.size:,} points in {time.perf_counter() - start:.2f} s")
        times = []
        for length in range(1000, 1400):
            workload = Workload(method="lora", sequence_length=length)
            start = time.perf_counter()
            estimate_training(model, workload, plan, habits)
            times.append(time.perf_counter() - start)
        print(f"{name}: one estimate {statistics.median(times) * 1e3:.3f} ms (median of {len(times)} lengths)")


if __name__ == "__main__":
    main()
