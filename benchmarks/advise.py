"""How long ``advise`` takes: a process of its own, and asked again in one that runs.

    python benchmarks/advise.py [ROUNDS]

Cold is the median of whole processes, with byte code compiled beforehand (as pip leaves it); warm is the median of calls
of the API after the first; new are calls in the same process whose estimates under llama.cpp were not asked for before,
which have no limit. ``gpus --for`` over all cards and ``check`` where it does not fit are timed beside them. Processor
time is printed beside wall time, because it suffers less from whatever else the machine does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vram_advisor import api
from vram_advisor.memory.llama_cpp import estimate as starts

COLD, WARM, CARDS = 0.6, 0.1, 0.5
"""Limits [s]."""
ROUNDS = 9
SCRIPT = Path(sys.executable).with_name("vram-advisor")
ASK = ("--model", "13b", "--method", "lora", "--gpu", "rtx-5070")
COMMANDS = {
    "advise": (COLD, ("advise", *ASK)),
    "check that fits not": (COLD, ("check", "--model", "70b", "--method", "qlora", "--gpu", "rtx-5070")),
}
LARGE = ("llama-3.1-70b", "qwen2.5-72b", "qwen3-32b", "deepseek-v3")
"""Models that fit these cards only with layers or experts in system memory."""
CALLS: dict[str, tuple[float, Callable[[], object]]] = {
    "advise, training": (WARM, lambda: api.advise("13b", method="lora", gpu="rtx-5070")),
    "advise, inference": (WARM, lambda: api.advise("llama-3.1-8b", gpu="rtx-5070")),
    **{
        f"advise, {model} on {gpu}": (WARM, lambda model=model, gpu=gpu: api.advise(model, gpu=gpu))  # type: ignore[misc]
        for model in LARGE
        for gpu in ("rtx-5070", "rtx-4090")
    },
    "gpus --for, training": (CARDS, lambda: api.rank("13b", method="qlora", gpu="rtx-5070")),
    "gpus --for, llama.cpp": (CARDS, lambda: api.rank("13b", runtime="llama.cpp", gpu="rtx-5070")),
}


def main() -> int:
    """Measure and print; 1 where a limit is missed."""
    if not SCRIPT.exists():
        print(f"{SCRIPT} is not there: install the package into this environment first.")
        return 2
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), ROUNDS)
    kept = True
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "NO_COLOR": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for name, (limit, words) in COMMANDS.items():
            command = [sys.executable, str(SCRIPT), *words]
            kept &= reported("cold", name, limit, lambda c=command: run(c, environment), rounds)  # type: ignore[misc]
    for name, (limit, call) in CALLS.items():
        kept &= reported("warm", name, limit, call, rounds)
    for model in LARGE:
        reported("new", f"advise, {model} on rtx-5070", None, CALLS[f"advise, {model} on rtx-5070"][1], rounds, forget)
    return 0 if kept else 1


def run(command: list[str], environment: dict[str, str]) -> None:
    """One process; that it does not fit is an answer too."""
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def forget() -> None:
    """Leave nothing of starts of llama.cpp that were estimated."""
    starts._started.cache_clear()
    starts._own.cache_clear()


def reported(
    kind: str,
    name: str,
    limit: float | None,
    call: Callable[[], object],
    rounds: int,
    before_each: Callable[[], None] = lambda: None,
) -> bool:
    """Print the median after one call that does not count; whether the limit is kept, where there is one."""
    call()
    took, busy = [], []
    for _ in range(rounds):
        before_each()
        start, before = time.perf_counter(), processor()
        call()
        took.append(time.perf_counter() - start)
        busy.append(processor() - before)
    middle = statistics.median(took)
    print(f"{kind}  {name:35} {middle:6.3f} s  processor {statistics.median(busy):6.3f} s", end="")
    print("" if limit is None else f"  limit {limit} s")
    return limit is None or middle <= limit


def processor() -> float:
    """Processor time of this process and of those that it has waited for [s]."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    sys.exit(main())
