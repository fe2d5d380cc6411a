"""Whether every advice keeps what it claims: all models of the catalogue on twelve cards by four methods.

    python benchmarks/claims.py [--every N] [--processes N]

Each question is asked with ``advise``; then everything that was kept is forgotten, and every advice is asked for with
``check``, by its plan and by its changes as options: memory, verdict and the moment of the peak have to be the same to
the last bit. ``--every 10`` takes every tenth model. Prints how many questions and advices there were, what was refused
and why; 1 where a claim is broken.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claimed import GPUS, METHODS, Question, broken

from vram_advisor import api
from vram_advisor.units.errors import AdvisorError, NotModelled

STRIDE = 8
RECKONING = ("vram_advisor.domain.", "vram_advisor.memory.", "vram_advisor.throughput.", "vram_advisor.advice.")
"""Packages that compute; what the others keep are files that were read."""


@dataclass(slots=True)
class Counts:
    """What became of the questions."""

    questions: int = 0
    fit: int = 0
    """Fit as they are asked."""
    advices: int = 0
    without: int = 0
    """Do not fit, and nothing is advised."""
    seconds: float = 0.0
    """Processor time [s]."""
    broken: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Questions that are not modelled, by the reason."""

    def add(self, other: Counts) -> None:
        """Add those of another model."""
        self.questions += other.questions
        self.fit += other.fit
        self.advices += other.advices
        self.without += other.without
        self.seconds += other.seconds
        self.broken += other.broken
        self.refused += other.refused


def main() -> int:
    """Ask, check and print; 1 where a claim is broken."""
    parser = argparse.ArgumentParser(description="Check that every advice keeps what it claims.")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth model of the catalogue")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="at the same time")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    models = [record.id for record in api.list_models()][:: given.every]
    # Neighbours are of one family: in strides what is interrupted has seen all families.
    models = [model for first in range(STRIDE) for model in models[first::STRIDE]]
    total, start, done = Counts(), time.monotonic(), 0
    try:
        # An interruption is for this process alone, which ends the others.
        with Pool(given.processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            for found in pool.imap_unordered(asked, models):
                total.add(found)
                done += 1
                for sentence in found.broken:
                    print(sentence, flush=True)
                took = f"{total.seconds:,.0f} s of processor time, {time.monotonic() - start:,.0f} s"
                said = f"{done} of {len(models)} models, {total.advices:,} advices, {len(total.broken)} broken, {took}"
                print(said, file=sys.stderr, end="\r" if sys.stderr.isatty() else "\n", flush=True)
    except KeyboardInterrupt:
        print(f"\nInterrupted after {done} of {len(models)} models.", file=sys.stderr)
        report(total, done)
        return 130
    report(total, done)
    return 1 if total.broken else 0


def asked(model: str) -> Counts:
    """All cards and methods for one model, then every claim."""
    begun, found = time.process_time(), Counts()
    claims = []
    for question in [Question(model, gpu, method) for gpu in GPUS for method in METHODS]:
        found.questions += 1
        try:
            answer = api.advise(question.model, gpu=question.gpu, method=question.method)
        except NotModelled as error:
            found.refused[str(error).replace(model, "MODEL")] += 1
            continue
        except AdvisorError as error:
            found.broken.append(f"{question}: {error}")
            continue
        fits = answer.asked.verdict.outcome == "fits"
        found.fit += fits
        found.without += not fits and not answer.advices
        claims += [(question, advice) for advice in answer.advices]
    forget()
    found.advices = len(claims)
    found.broken += [said for question, advice in claims if (said := broken(question, advice)) is not None]
    found.seconds = time.process_time() - begun
    return found


def forget() -> None:
    """Empty what functions keep of earlier questions, so that nothing is compared with itself."""
    for name, module in list(sys.modules.items()):
        if name.startswith(RECKONING):
            for value in vars(module).values():
                if isinstance(value, _lru_cache_wrapper):
                    value.cache_clear()


def report(total: Counts, models: int) -> None:
    """Print the counts."""
    refused = sum(total.refused.values())
    print(
        f"{models} models, {total.questions:,} questions: {refused:,} refused, {total.fit:,} fit as they are, "
        f"{total.without:,} without any advice; {total.advices:,} advices, {len(total.broken)} broken; "
        f"{total.seconds:,.0f} s of processor time"
    )
    for reason, count in total.refused.most_common():
        print(f"  refused {count:,}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
