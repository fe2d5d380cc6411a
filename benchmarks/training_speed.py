"""How long training steps take on this processor, for ``data/measurements/training_speed.csv``.

    python benchmarks/training_speed.py measure [FILE]   runs the fine-tunes, minutes long, and writes the rows
    python benchmarks/training_speed.py [FILE]           foresees the rows and prints the errors

One thread computes, and the time is that of the process on a processor, the least of several steps: so other programs on
the machine count little, though they still take bandwidth and cache from it. Models are those of the catalogue at few
layers, with random weights, in fp32. The first two rows calibrate, the others are judged; nothing of this corrects what is
foreseen for a card.
"""

from __future__ import annotations

import csv
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from vram_advisor.accuracy.processor_rows import COLUMNS, Step, judged, read_steps, step_trial

FILE = Path(__file__).parents[1] / "data/measurements/training_speed.csv"
REPEATS = 4
"""Steps after the first, of which the least counts."""
SIDE = 1536
"""Rows and columns of the product, and of the copy, that tell the rates of the processor."""

STEPS = (
    Step("smollm2-360m", 4, "lora", "full", 1, 256, "calibrates"),
    Step("smollm2-360m", 4, "lora", "full", 2, 512, "calibrates"),
    Step("smollm2-360m", 4, "lora", "none", 1, 512, "judged"),
    Step("smollm2-360m", 4, "full", "full", 1, 512, "judged"),
    Step("smollm2-360m", 8, "full", "none", 4, 128, "judged"),
    Step("smollm2-135m", 6, "lora", "full", 4, 256, "judged"),
    Step("smollm2-135m", 6, "lora", "none", 1, 1024, "judged"),
    Step("smollm2-135m", 6, "full", "full", 2, 256, "judged"),
    Step("smollm2-135m", 6, "full", "none", 1, 128, "judged"),
    Step("qwen2.5-0.5b", 3, "lora", "full", 1, 256, "judged"),
    Step("qwen2.5-0.5b", 3, "full", "none", 2, 128, "judged"),
    Step("qwen2.5-0.5b", 6, "lora", "full", 1, 128, "judged"),
    Step("llama-3.2-1b", 2, "lora", "none", 1, 128, "judged"),
    Step("llama-3.2-1b", 2, "full", "full", 1, 256, "judged"),
)


def main() -> int:
    """Measure or judge, and print."""
    words = sys.argv[1:]
    measuring = bool(words) and words[0] == "measure"
    file = Path(words[int(measuring)]) if len(words) > int(measuring) else FILE
    if measuring:
        measure(file)
    found = judged(read_steps(file))
    for row in found.rows:
        print(f"{row.step.id:44} {row.measured:7.3f} s  {row.foreseen.mid:7.3f} s  {row.error:+6.1%}  {'' if row.inside else 'outside'}")  # fmt: skip
    print(f"judged {len(found.rows)}: median {found.median:.1%}, {found.inside} inside; speed x {found.factor:.2f}")
    return 0


def measure(file: Path) -> None:
    """Run every fine-tune and write its row, each as soon as it is known."""
    import torch

    torch.set_num_threads(1)
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        for step in STEPS:
            rates = least(product) / 2 / SIDE**3, least(copy) / 8 / SIDE**2 / 4
            writer.writerow(
                {
                    "id": step.id, "date": datetime.now(UTC).date().isoformat(), "machine": machine(),
                    "torch": torch.__version__, "transformers": version("transformers"), "peft": version("peft"),
                    "model": step.model, "layers": step.layers, "method": step.method,
                    "gradient_checkpointing": step.gradient_checkpointing, "micro_batch_size": step.micro_batch_size,
                    "sequence_length": step.sequence_length, "part": step.part,
                    "matrix_gflops": f"{1e-9 / rates[0]:.1f}", "bandwidth_gb_per_s": f"{1e-9 / rates[1]:.2f}",
                    "seconds": f"{seconds(step):.4f}", "repeats": REPEATS,
                }
            )  # fmt: skip
            out.flush()


def seconds(step: Step) -> float:
    """The least processor time of a step after the first [s]."""
    import torch

    from vram_advisor.calibration.training_step import build

    torch.manual_seed(0)
    run = build(step_trial(step, REPEATS + 1), "cpu")
    taken = []
    for number in range(REPEATS + 1):
        began = time.process_time()
        run.step(run.lengths(number), Deaf())
        taken.append(time.process_time() - began)
    return min(taken[1:])


class Deaf:
    """Observes nothing."""

    def enter(self, phase: str) -> None:
        """A border between phases."""


def product() -> float:
    """Processor time of a product of two fp32 matrices [s]."""
    import torch

    left, right = torch.ones(SIDE, SIDE), torch.ones(SIDE, SIDE)
    began = time.process_time()
    left @ right
    return time.process_time() - began


def copy() -> float:
    """Processor time of a copy that is larger than the caches: read and written, 2 x 4 x 4 x SIDE^2 bytes [s]."""
    import torch

    source = torch.ones(4 * SIDE, SIDE)
    target = torch.zeros_like(source)
    began = time.process_time()
    target.copy_(source)
    return time.process_time() - began


def least(timed: object, repeats: int = 5) -> float:
    """The least of several times [s]."""
    assert callable(timed)
    return float(min(timed() for _ in range(repeats)))


def machine() -> str:
    """The processor, and how much of it computes."""
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    keys = [line.split(":", 1)[0].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    facts = dict(zip(keys, names, strict=True))
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', platform.processor())} ({family}), one thread"


def version(package: str) -> str:
    """Of an installed package."""
    from importlib.metadata import version as installed

    return installed(package)


if __name__ == "__main__":
    raise SystemExit(main())
