"""Any keys in any order, as fast as they come, at any size: nothing breaks."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from any_keys import BURST, SIZES, STEPS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import MakeApp
from screen_text import settled
from textual import events
from textual.pilot import Pilot

from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.main_screen import MainScreen

RUN = 100
"""Steps of one example."""
ROUNDS = 20
"""Examples in CI; a hundred of them, 10,000 steps, take many minutes."""

WARM = 4
"""Examples after which memory is compared with that at the end: every kind of screen has been drawn."""
GROWTH = 0.20
"""Of the memory of the process, from there to the end."""

Step = str | tuple[int, int]
UNHURRIED = (
    HealthCheck.too_slow,
    HealthCheck.function_scoped_fixture,
    HealthCheck.large_base_example,
    HealthCheck.data_too_large,
)


@pytest.fixture(autouse=True)
def never_quits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The palette can end the app, too."""

    async def stay(self: AdvisorApp) -> None:
        return

    monkeypatch.setattr(AdvisorApp, "action_quit", stay)


class Person:
    """Presses keys of an app that stays open from one example to the next."""

    def __init__(self, app: AdvisorApp) -> None:
        self.app = app
        self._runner = asyncio.Runner()
        self._opened = app.run_test(size=SIZES[0])
        self._pilot: Pilot[Any] = self._runner.run(self._opened.__aenter__())
        self._runner.run(settled(self._pilot))

    def do(self, steps: list[Step]) -> None:
        """Press and resize, then wait until everything has been answered."""

        async def act() -> None:
            for i, step in enumerate(steps):
                if isinstance(step, str):
                    self.app.post_message(events.Key(step, step if len(step) == 1 else None))
                else:
                    await self._pilot.resize_terminal(*step)
                if i % BURST == 0:
                    await self._pilot.pause(0)
            await settled(self._pilot)

        self._runner.run(act())
        assert self.app.return_code is None
        assert not [each for each in self.app._notifications if each.title == "Defect"]

    def leave(self) -> None:
        """Go back to the first screen and close. Raises what the app ended with."""

        async def act() -> None:
            while len(self.app.screen_stack) > 2:
                self.app.pop_screen()
                await self._pilot.pause()
            assert isinstance(self.app.screen, MainScreen)

        try:
            if self.app.return_code is None:
                self._runner.run(act())
        finally:
            try:
                self._runner.run(self._opened.__aexit__(None, None, None))
            finally:
                self._runner.close()


@contextmanager
def somebody(app: AdvisorApp) -> Iterator[Person]:
    """A person at an open app."""
    person = Person(app)
    try:
        yield person
    finally:
        person.leave()


@settings(max_examples=3, derandomize=True, database=None, deadline=None, suppress_health_check=UNHURRIED)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=30, max_size=30))
def test_a_few_keys(steps: list[Step], sampled: MakeApp) -> None:
    with somebody(sampled("fits")) as person:
        person.do(steps)


@pytest.mark.terminal
def test_thousands_of_keys_with_real_answers(real: MakeApp) -> None:
    # An hour's 10,000 keys are in benchmarks/tui_hour.py.
    held: list[int] = []

    @settings(max_examples=ROUNDS, derandomize=True, database=None, deadline=None, suppress_health_check=UNHURRIED)
    @given(steps=st.lists(st.sampled_from(STEPS), min_size=RUN, max_size=RUN))
    def press(steps: list[Step]) -> None:
        person.do(steps)
        gc.collect()
        held.append(psutil.Process().memory_info().rss)

    with somebody(real()) as person:
        press()
    assert held[-1] <= (1 + GROWTH) * held[WARM]
