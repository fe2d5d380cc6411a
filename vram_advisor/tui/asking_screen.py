"""A question, asked again whenever it changes, and every panel that shows a part of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from vram_advisor import api
from vram_advisor.domain.advice import AdviceAnswer
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Machine
from vram_advisor.report.look import Look
from vram_advisor.tui.asking import Refusal, Shelf, ask, ask_advice
from vram_advisor.tui.screens.ready import Ready
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.titles import asked, card, chosen_index, gpu_name, rests_on
from vram_advisor.tui.widgets.advice_panel import AdvicePanel
from vram_advisor.tui.widgets.ask_form import AskForm
from vram_advisor.tui.widgets.key_bar import KeyBar
from vram_advisor.tui.widgets.live_panel import LivePanel
from vram_advisor.tui.widgets.memory_panel import MemoryPanel
from vram_advisor.tui.widgets.title_bar import TabBar, TitleBar
from vram_advisor.tui.widgets.verdict_panel import VerdictPanel

PAUSE = 0.12
"""Seconds without a key after which advice is looked for."""
EVERY = 1.0
"""Seconds between readings of the cards."""
MOVED = 64 * 2**20
"""Change of free memory from which advice is looked for again [B]."""
UNDO = 200
"""Questions that can be gone back to."""


class AskingScreen(Ready[None]):
    """Ask, verdict, memory, advice and cards."""

    situation: reactive[Situation] = reactive(Situation, init=False, repaint=False)

    @dataclass
    class MachineRead(Message):
        """The cards were looked at."""

        machine: Machine

    @dataclass
    class Advised(Message):
        """Advice for a question."""

        situation: Situation
        result: AdviceAnswer | Refusal

    def __init__(self, look: Look, situation: Situation, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.look = look
        self._now = now
        self.set_reactive(AskingScreen.situation, situation)
        self.machine: Machine | None = None
        self.answer: Answer | None = None
        self.refusal = ""
        self.pinned: Answer | None = None
        self.shelf = Shelf()
        self._before: list[Situation] = []
        self._advised: tuple[Situation, int] | None = None
        self._pause: Timer | None = None
        self._looking = False

    def compose(self) -> ComposeResult:
        """The panels."""
        yield TitleBar(self.look, id="title")
        yield TabBar(self.look, id="tabs")
        with Container(id="body"):
            yield VerdictPanel(self.look, id="verdict")
            yield AskForm(self.look, id="ask", classes="panel")
            yield MemoryPanel(self.look, id="memory")
            yield AdvicePanel(self.look, id="advice")
            yield LivePanel(self.look, id="live")
        yield KeyBar(self.look, id="keys")

    def on_mount(self) -> None:
        """Look at the cards at once, then every second."""
        self.query_one("#verdict").add_class("panel")
        self.query_one(AskForm).border_title = "Ask"
        self.query_one(AskForm).border_subtitle = "← → change   enter choose" if self.look.unicode else "enter choose"
        if self.situation.gpu is not None:
            self._ask()
        else:
            self._show()
        self.call_after_refresh(self.refresh_bindings)
        self._look_at_cards()
        self.set_interval(EVERY, self._look_at_cards)

    def watch_situation(self, before: Situation, after: Situation) -> None:
        """Ask again."""
        self._ask()

    def change(self, situation: Situation) -> None:
        """Ask something else; the question before can be gone back to."""
        if situation != self.situation:
            self._before = [*self._before[-UNDO:], self.situation]
            self.situation = situation

    def _ask(self) -> None:
        result = ask(self.situation, self.machine, self.shelf)
        self._take(result)

    def _take(self, result: Answer | Refusal) -> None:
        if isinstance(result, Refusal):
            self.refusal = result.sentence
        else:
            self.refusal, self.answer = "", result
        self._show()
        self._advise_soon()
        self.answered()

    def answered(self) -> None:
        """There is another answer, or a refusal; overridden by what shows more than the panels."""

    def _show(self) -> None:
        """Hand every panel its value."""
        answer, device = self.answer, None if self.answer is None else self.answer.device
        self.query_one(TitleBar).show(asked(self.situation), card(self.situation, answer, self.machine))
        self.query_one(VerdictPanel).show(answer, self.pinned, self.refusal, self._now())
        self.query_one(AskForm).show(self.situation, answer, gpu_name(self.situation, self.machine))
        self.query_one(MemoryPanel).show(answer, self.pinned)
        self.query_one(LivePanel).choose(chosen_index(self.situation, self.machine))
        self.set_class(bool(self.refusal), "-stale")
        self.set_class(device is not None and device.source == "catalogue", "-simulated")
        self.set_class(self.machine is not None and not self.machine.gpus, "-no-gpu")

    # Cards of this machine

    def _look_at_cards(self) -> None:
        # A driver that hangs must not collect threads.
        if not self._looking:
            self._looking = True
            self._detect()

    @work(thread=True, group="live", exit_on_error=False)
    def _detect(self) -> None:
        self.post_message(self.MachineRead(api.detect()))

    @on(MachineRead)
    def read(self, event: MachineRead) -> None:
        """Show the cards; ask again where the memory that the answer rests on has changed."""
        self._looking = False
        before, self.machine = self.machine, event.machine
        self.query_one(LivePanel).show(event.machine, chosen_index(self.situation, self.machine))
        if before is None or (self.situation.gpu is None and rests_on(before) != rests_on(event.machine)):
            if self.situation.gpu is not None:
                self._show()
                return
            self._ask()
        elif self.shelf.moved(self.situation.model):
            self._advised = None
            self._ask()

    # Advice

    def _advise_soon(self) -> None:
        """Look for advice once the keys rest."""
        if self._pause is not None:
            self._pause.stop()
        panel = self.query_one(AdvicePanel)
        panel.set_class(bool(self.refusal), "-old")
        if self.refusal or self.answer is None:
            self._advised = None
            return
        if self.answer.device is None:
            panel.show(None, "There is no GPU to advise on: g names a card, and advice follows.")
            self._advised = None
            return
        wanted = (self.situation, self.answer.device.free_bytes)
        if self._advised is not None and self._advised[0] == wanted[0] and abs(self._advised[1] - wanted[1]) < MOVED:
            return
        panel.stale(True)
        self._pause = self.set_timer(PAUSE, lambda: self._advise(wanted))

    def _advise(self, wanted: tuple[Situation, int]) -> None:
        self._advised = wanted
        self._find_advice(wanted[0], self.machine)

    @work(thread=True, exclusive=True, group="advice", exit_on_error=False)
    def _find_advice(self, situation: Situation, machine: Machine | None) -> None:
        self.post_message(self.Advised(situation, ask_advice(situation, machine, self.shelf)))

    @on(Advised)
    def advised(self, event: Advised) -> None:
        """Show advice, where it is still asked for."""
        if event.situation == self.situation:
            refused = event.result.sentence if isinstance(event.result, Refusal) else ""
            self.query_one(AdvicePanel).show(None if refused else event.result, refused)  # type: ignore[arg-type]

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect in the background is said, and the screen stays."""
        if event.state == WorkerState.ERROR:
            self._looking = False
            error = event.worker.error
            self.notify(f"{type(error).__name__}: {error}", title="Defect", severity="error", timeout=20, markup=False)
