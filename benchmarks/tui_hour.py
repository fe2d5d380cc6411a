"""An hour at the terminal app: thousands of random keys and sizes, and how its memory grows.

    python benchmarks/tui_hour.py [--keys N] [--seed S] [--sample N]

The app runs on the real memory model, in this process, on a home of its own without a network and without a GPU. Every
key is one of those that a person may press; three in a hundred steps are another size of the terminal. Memory is the
resident set of the process [MB = 10**6 B]. It is compared with that after a walk through every screen at every size: then
all modules have been imported, and each kind of picture has been drawn once, the largest too. Random keys alone reach
some of them late, and the first picture of a screen would count as growth. What comes later counts as growth, the
caches of the memory model included. The line of 200 keys is printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from any_keys import BURST, SIZES, STEPS

TOTAL, SAMPLE, SEED = 10_000, 500, 1
FIRST = 200
"""Keys after which the first line is printed."""
WALK = (
    "1", "enter", "escape", "2", "v", "v", "v", "v", "3", "4", "e", "escape", "m", "escape", "g", "tab", "tab", "enter",
    "escape", "escape", "ctrl+p", "escape", "question_mark", "question_mark", "c", "escape",
)  # fmt: skip
"""Every screen once."""
LIMIT = 0.20
"""Growth that is allowed."""


def steps(seed: int) -> Iterator[str | tuple[int, int]]:
    """The keys and sizes of a seed, without end."""
    chosen = random.Random(seed)
    while True:
        yield chosen.choice(STEPS)


def resident() -> int:
    """Memory of this process [B], without what waits for the collector of cycles."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def hour(total: int, seed: int, sample: int) -> int:
    """Press, print, and say 1 where the memory grew too much or something broke."""
    from textual import events

    from vram_advisor.domain.plan import Workload
    from vram_advisor.tui.app import AdvisorApp
    from vram_advisor.tui.situation import Situation

    class Stays(AdvisorApp):
        """Does not end: the palette offers that, too."""

        CSS_PATH = str(Path(inspect.getfile(AdvisorApp)).with_name("app.tcss"))

        async def action_quit(self) -> None:
            return

    app = Stays(situation=Situation(model="llama-3.1-8b", gpu="rtx-4080", workload=Workload(method="lora")))
    most, broken = 0.0, 0
    async with app.run_test(size=SIZES[0]) as pilot:
        for size in SIZES:
            await pilot.resize_terminal(*size)
            for key in WALK:
                await pilot.press(key)
                await settled(pilot)
        base = resident()
        print(f"{base / 1e6:.1f} MB after a walk through every screen at {len(SIZES)} sizes")
        print(f"{'keys':>6}  {'MB':>7}  {'growth':>7}  {'ms/key':>7}  {'objects':>8}", flush=True)
        began = last = time.perf_counter()
        chosen = steps(seed)
        for count in range(1, total + 1):
            step = next(chosen)
            if isinstance(step, str):
                app.post_message(events.Key(step, step if len(step) == 1 else None))
            else:
                await pilot.resize_terminal(*step)
            if count % BURST == 0:
                await pilot.pause(0)
            if count % 100 == 0:
                await settled(pilot)
                broken += sum(each.title == "Defect" for each in app._notifications)
                app.clear_notifications()
                if app.return_code is not None:
                    raise RuntimeError(f"the app ended by itself after {count} keys")
            if count in (FIRST, total) or count % sample == 0:
                now = time.perf_counter()
                memory = resident()
                growth = memory / base - 1
                most = max(most, growth)
                each = 1000 * (now - last) / (FIRST if count == FIRST else count % sample or sample)
                print(
                    f"{count:>6}  {memory / 1e6:>7.1f}  {100 * growth:>6.1f}%  {each:>7.1f}  {len(gc.get_objects()):>8}",
                    flush=True,
                )
                last = time.perf_counter()
        await settled(pilot)
        while len(app.screen_stack) > 2:
            app.pop_screen()
            await pilot.pause()
    kept = most <= LIMIT and not broken
    print(
        f"{total} keys of seed {seed} in {time.perf_counter() - began:.0f} s: {broken} defects, memory grew by at most "
        f"{100 * most:.1f} % over the {base / 1e6:.1f} MB after the walk (limit {100 * LIMIT:.0f} %)"
    )
    print("kept" if kept else "missed")
    return 0 if kept else 1


async def settled(pilot: Any) -> None:
    """Wait until nothing is worked on in the background."""
    for _ in range(500):
        await pilot.pause()
        if all(worker.is_finished for worker in pilot.app.workers):
            return
        await asyncio.sleep(0.02)


def main() -> int:
    """Read the options, press."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=TOTAL, help="how many keys and sizes (default %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of their choice (default %(default)s)")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="a line every so many keys (default %(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in ("HOME", "HF_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
            os.environ[name] = home
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ.pop("VRAM_ADVISOR_CONFIG", None)
        return asyncio.run(hour(asked.keys, asked.seed, asked.sample))


if __name__ == "__main__":
    sys.exit(main())
