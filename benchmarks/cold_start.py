"""How long ``vram-advisor check`` takes from a cold start, against the mere import of the libraries it is built on.

    python benchmarks/cold_start.py [ROUNDS]

Both commands run in turn, each in a process of its own, with byte code compiled beforehand (as pip leaves it): the
ratio of the medians is the figure. Processor time is printed beside wall time, because it suffers less from whatever
else the machine does. With ``--imports`` it lists the modules that cost the most instead.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1.7
ROUNDS = 15
BASE = [sys.executable, "-c", "import pydantic, cyclopts, rich.console, rich.table"]
SCRIPT = Path(sys.executable).with_name("vram-advisor")
CHECK = [sys.executable, str(SCRIPT), "check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070"]
LISTED = 25


def main() -> int:
    """Measure and print; 1 where the limit is missed."""
    if not SCRIPT.exists():
        print(f"{SCRIPT} is not there: install the package into this environment first.")
        return 2
    with tempfile.TemporaryDirectory() as cache:
        # A folder of its own holds the byte code, so that neither a read-only checkout nor a setting that forbids
        # writing it turns the measurement into one of the compiler.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "NO_COLOR": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if "--imports" in sys.argv:
            return imports(environment)
        rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), ROUNDS)
        for command in (BASE, CHECK, BASE, CHECK):
            timed(command, environment)
        measured = [(timed(BASE, environment), timed(CHECK, environment)) for _ in range(rounds)]
    for name, i in (("wall", 0), ("processor", 1)):
        base = statistics.median(pair[0][i] for pair in measured)
        check = statistics.median(pair[1][i] for pair in measured)
        print(f"{name:9}  imports {base:6.3f} s  check {check:6.3f} s  ratio {check / base:.2f}")
        if name == "wall":
            ratio = check / base
    print(f"limit {LIMIT}, median of {rounds} rounds: {'kept' if ratio <= LIMIT else 'missed'}")
    return 0 if ratio <= LIMIT else 1


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall time and processor time of one run [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports(environment: dict[str, str]) -> int:
    """The modules whose own code takes longest to import [microseconds]."""
    command = [CHECK[0], "-X", "importtime", *CHECK[1:]]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    lines = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stderr.splitlines()
    rows = [line.removeprefix("import time:").split("|") for line in lines if line.startswith("import time:")][1:]
    for own, total, name in sorted(rows, key=lambda row: -int(row[0]))[:LISTED]:
        print(f"{int(own):7} {int(total):7}  {name.strip()}")
    print(f"{sum(int(row[0]) for row in rows):7}          {len(rows)} modules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
