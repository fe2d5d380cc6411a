"""Damaged headers, a seed set of what ``benchmarks/fuzz_gguf.py`` feeds by the million."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_gguf.py"


def test_damaged_headers_end_in_a_sentence_or_a_model_in_little_time_and_memory() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "5000", "7"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("5,000 inputs of seed 7")
