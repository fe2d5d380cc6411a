"""Calibrate on this GPU: what would run, how far it is, and what came of it."""

from __future__ import annotations

import threading
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from vram_advisor import api
from vram_advisor.domain.protocol import Progress, Protocol
from vram_advisor.report.calibrating import calibrated_lines, plan_lines, progress_line
from vram_advisor.report.layout import BLANK, Line, line, wrapped
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import contents
from vram_advisor.tui.screens.ready import Ready
from vram_advisor.tui.situation import Situation
from vram_advisor.units.errors import AdvisorError


class CalibrationScreen(Ready[bool]):
    """Returns whether something was learnt and kept."""

    CSS_PATH = "calibration.tcss"
    HELP = """
## Calibrate

The real training code runs for a few steps on this GPU, with random weights and no download, and the predictions are
corrected by what it measures. `enter` starts, `esc` stops or goes back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Start"),
        Binding("escape", "back", "Stop or back"),
    ]

    class Told(Message):
        """Something happened, in the words of a report; None: only the progress moved."""

        def __init__(self, progress: Progress) -> None:
            super().__init__()
            self.progress = progress

    class Ended(Message):
        """The work in the background is over."""

        def __init__(self, outcome: object) -> None:
            super().__init__()
            self.outcome = outcome

    def __init__(self, look: Look, situation: Situation) -> None:
        super().__init__()
        self.look = look
        self._situation = situation.asked()
        self._protocol: Protocol | None = None
        self._progress: Progress | None = None
        self._stop = threading.Event()
        self._running = False
        self._learnt = False
        self._outcome: object = None

    def compose(self) -> ComposeResult:
        """Text above, progress below."""
        with VerticalScroll(id="box", classes="panel"):
            yield Static("", id="text", markup=False)
        yield Static("", id="progress", markup=False)

    def on_mount(self) -> None:
        """Plan at once: planning runs nothing."""
        box = self.query_one("#box")
        box.border_title = "Calibrate"
        self._running = True
        self._plan()
        self._redraw()

    def on_resize(self) -> None:
        """Lines are made for a width."""
        self.call_after_refresh(self._redraw)

    def action_start(self) -> None:
        """Run what was planned."""
        if self._protocol is not None and not self._running and self._outcome is None:
            self._running = True
            self._calibrate(self._protocol)
            self._redraw()

    def action_back(self) -> None:
        """Stop what runs; leave where nothing does."""
        if self._running and self._protocol is not None:
            self._stop.set()
            self._redraw()
        else:
            self.dismiss(self._learnt)

    def on_unmount(self) -> None:
        """Nothing keeps running behind a closed screen."""
        self._stop.set()

    @work(thread=True, exclusive=True, group="calibration", exit_on_error=False)
    def _plan(self) -> None:
        asked = self._situation
        try:
            outcome: object = api.plan_calibration(
                asked.model, gpu_index=asked.gpu_index, workload=asked.workload, plan=asked.plan
            )
        except (AdvisorError, OSError) as error:
            outcome = error
        self.post_message(self.Ended(outcome))

    @work(thread=True, exclusive=True, group="calibration", exit_on_error=False)
    def _calibrate(self, protocol: Protocol) -> None:
        try:
            outcome: object = api.calibrate(protocol, hear=self._tell, stop=self._stop)
        except (AdvisorError, OSError) as error:
            outcome = error
        self.post_message(self.Ended(outcome))

    def _tell(self, progress: Progress) -> None:
        self.post_message(self.Told(progress))

    def on_calibration_screen_told(self, event: Told) -> None:
        """Progress."""
        self._progress = event.progress
        self._redraw()

    def on_calibration_screen_ended(self, event: Ended) -> None:
        """A plan, a calibration, or why there is none."""
        self._running = False
        if isinstance(event.outcome, Protocol):
            self._protocol = event.outcome
        else:
            self._outcome = event.outcome
            self._learnt = getattr(event.outcome, "saved", None) is not None
        self._redraw()

    def _redraw(self) -> None:
        if not self.is_mounted or not self.query("#text"):
            return
        box = self.query_one("#box")
        width = max(20, box.scrollable_content_region.width - 1)
        self.query_one("#text", Static).update(contents(self._lines(width), self.look))
        self.query_one("#progress", Static).update(contents([self._bar()], self.look))
        box.border_subtitle = self._keys()

    def _lines(self, width: int) -> list[Line]:
        if isinstance(self._outcome, Exception):
            said = wrapped(line(str(self._outcome), "warning"), width)
            return [*said, BLANK, *wrapped(line("The predictions stay as they are.", "dim"), width)]
        if self._outcome is not None:
            return list(calibrated_lines(self._outcome, width))  # type: ignore[arg-type]
        if self._protocol is not None:
            return list(plan_lines(self._protocol, width))
        return [line("Looking for runs that fit on this GPU ...", "dim")]

    def _bar(self) -> Line:
        if self._protocol is None or self._progress is None or self._outcome is not None:
            return BLANK
        if self._stop.is_set():
            return line("Stopping after this step ...", "warning")
        return line(progress_line(self._progress, self._protocol, self.look.unicode), "calm")

    def _keys(self) -> str:
        if self._running:
            return "esc stop" if self._protocol is not None else ""
        return "esc back" if self._outcome is not None or self._protocol is None else "enter start   esc back"
