"""The one screen: a view of one question, asked again whenever it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer
from textual.worker import Worker, WorkerState, get_current_worker

from vram_advisor import api
from vram_advisor.domain.advice import AdviceAnswer
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Machine
from vram_advisor.report.fit_map import Axis, Cell, axes, cells
from vram_advisor.report.layout import Line
from vram_advisor.report.look import Look
from vram_advisor.report.words import METHODS, shown
from vram_advisor.tui import catalogue
from vram_advisor.tui.asking import Refusal, Shelf, ask, ask_advice
from vram_advisor.tui.drawing import number
from vram_advisor.tui.knobs import DEPENDENT, knobs, parsed, steps
from vram_advisor.tui.palette import Command
from vram_advisor.tui.screens.comparison import Compared, Comparison
from vram_advisor.tui.screens.paper import Paper
from vram_advisor.tui.screens.picker import Picker
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.widgets.advice_panel import AdviceList, AdvicePanel
from vram_advisor.tui.widgets.ask_form import AskForm
from vram_advisor.tui.widgets.fit_map import FitMap
from vram_advisor.tui.widgets.live_panel import LivePanel
from vram_advisor.tui.widgets.memory_panel import TITLES, VIEWS, MemoryPanel
from vram_advisor.tui.widgets.title_bar import TabBar, TitleBar
from vram_advisor.tui.widgets.verdict_panel import VerdictPanel
from vram_advisor.units.errors import AdvisorError, BadInput

PANELS = ("ask", "memory", "advice", "live")
PANEL_TITLES = ("Ask", "Memory", "Advice", "Live")
FOCUS = {"ask": "#ask", "memory": "", "advice": "#advices", "live": "#live"}
PAUSE = 0.12
"""Seconds without a key after which advice is looked for."""
EVERY = 1.0
"""Seconds between readings of the cards."""
MOVED = 64 * 2**20
"""Change of free memory from which advice is looked for again [B]."""
UNDO = 200
"""Questions that can be gone back to."""


class MainScreen(Screen[None]):
    """Ask, verdict, memory, advice and cards."""

    CSS_PATH = "main_screen.tcss"
    AUTO_FOCUS = "#ask"
    HELP = """
## vram-advisor

Does it fit, why, and what next. `tab` or `1` to `4` go from panel to panel, arrows or `hjkl` move, `enter` acts.
Every key is in the palette, `ctrl+p`, too.
"""
    ACT: ClassVar[Binding.Group] = Binding.Group("Act")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "model", "Model", id="model", tooltip="Choose a model, a file or a repository"),
        Binding("g", "gpu", "GPU", id="gpu", tooltip="Choose a card, also one that is not in this machine"),
        Binding("v", "view", "View", id="view", tooltip="Where it goes, when, fit map, numbers"),
        Binding("a", "apply", "Apply", id="apply", tooltip="Apply the advice under the cursor"),
        Binding("u,ctrl+z", "undo", "Undo", id="undo", key_display="u", tooltip="Take back the last change"),
        Binding("p", "pin", "Pin", id="pin", tooltip="Show every number as a difference from here"),
        Binding("e", "explain", "Why", id="explain", tooltip="Every factor behind every number"),
        Binding("y", "copy", "Copy", id="copy", tooltip="Copy the command that gives this screen"),
        Binding("c", "calibrate", "Calibrate", id="calibrate", tooltip="Short real runs on this GPU"),
        Binding("1", "panel(0)", "Ask", show=False, id="panel-ask"),
        Binding("2", "panel(1)", "Memory", show=False, id="panel-memory"),
        Binding("3", "panel(2)", "Advice", show=False, id="panel-advice"),
        Binding("4", "panel(3)", "Live", show=False, id="panel-live"),
        Binding("tab", "next_panel(1)", "Next panel", show=False),
        Binding("shift+tab", "next_panel(-1)", "Previous panel", show=False),
        Binding("escape", "panel(0)", "Back to the ask", show=False),
    ]

    situation: reactive[Situation] = reactive(Situation, init=False)

    @dataclass
    class MachineRead(Message):
        """The cards were looked at."""

        machine: Machine

    @dataclass
    class Advised(Message):
        """Advice for a question."""

        situation: Situation
        result: AdviceAnswer | Refusal

    @dataclass
    class Resolved(Message):
        """A model that had to be looked for was found, or not."""

        situation: Situation
        result: Answer | Refusal

    @dataclass
    class Mapped(Message):
        """Cells of the fit map of a question."""

        situation: Situation
        cells: tuple[Cell, ...]

    @dataclass
    class ComparisonMade(Message):
        """Answers side by side."""

        title: str
        compared: tuple[Compared, ...]

    def __init__(self, look: Look, situation: Situation, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.look = look
        self._now = now
        self.set_reactive(MainScreen.situation, situation)
        self.machine: Machine | None = None
        self.answer: Answer | None = None
        self.refusal = ""
        self.pinned: Answer | None = None
        self.shelf = Shelf()
        self._before: list[Situation] = []
        self._advised: tuple[Situation, int] | None = None
        self._pause: Timer | None = None
        self._looking = False
        self._panel = 0
        self._axes: tuple[Axis, Axis] | None = None
        self._axes_of: object = None

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
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Look at the cards at once, then every second."""
        self.query_one("#verdict").add_class("panel")
        self.query_one(AskForm).border_title = "Ask"
        self.query_one(AskForm).border_subtitle = "← → change   enter choose" if self.look.unicode else "enter choose"
        self._show_panel()
        if self.situation.gpu is not None:
            self._ask()
        else:
            self._show()
        self._look_at_cards()
        self.set_interval(EVERY, self._look_at_cards)

    # The question and its answer

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
        self._map_soon()

    def _show(self) -> None:
        """Hand every panel its value."""
        answer, device = self.answer, None if self.answer is None else self.answer.device
        self.query_one(TitleBar).show(self._asked(), self._card())
        self.query_one(VerdictPanel).show(answer, self.pinned, self.refusal, self._now())
        self.query_one(AskForm).show(self.situation, answer, self._gpu_name())
        self.query_one(MemoryPanel).show(answer, self.pinned)
        self.query_one(LivePanel).choose(self._gpu_index())
        self.set_class(bool(self.refusal), "-stale")
        self.set_class(device is not None and device.source == "catalogue", "-simulated")
        self.set_class(self.machine is not None and not self.machine.gpus, "-no-gpu")

    def _asked(self) -> str:
        situation = self.situation
        work = situation.workload
        size = (
            f"{work.micro_batch_size} × {work.sequence_length}"
            if work.trains
            else f"{work.num_sequences} × {work.context_length}"
        )
        quantized = "" if situation.plan.quantization is None else f" {situation.plan.quantization}"
        return f"{situation.model} · {METHODS[work.method]}{quantized} · {size}"

    def _card(self) -> Line:
        device = None if self.answer is None else self.answer.device
        if self.situation.gpu is None and self.machine is not None and not self.machine.gpus:
            return (("no GPU here ○", "dim"),)
        if device is None:
            return ()
        name = device.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
        count = f"{device.count} × " if device.count > 1 else ""
        if device.source == "catalogue":
            return ((f"{count}{name} ", ""), ("○ simulated", "unknown"))
        free = f" {number(device.free_bytes)} of {number(device.total_bytes)} GiB free "
        return ((f"{count}{name}", ""), (free, "dim"), ("● live", "fits"))

    def _gpu_name(self) -> str:
        if self.situation.gpu is not None:
            return self.situation.gpu
        if self.machine is None:
            return "..."
        index = self._gpu_index()
        found = next((gpu for gpu in self.machine.gpus if gpu.index == index), None)
        return "none here" if found is None else f"{found.index} · {found.name.removeprefix('NVIDIA ')}"

    def _gpu_index(self) -> int | None:
        """The card of this machine that is asked about."""
        if self.situation.gpu is not None or self.machine is None or not self.machine.gpus:
            return None
        return self.machine.gpus[0].index if self.situation.gpu_index is None else self.situation.gpu_index

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
        self.query_one(LivePanel).show(event.machine, self._gpu_index())
        if before is None or (self.situation.gpu is None and _rests_on(before) != _rests_on(event.machine)):
            if self.situation.gpu is not None:
                self._show()
                return
            self._ask()

    # Advice

    def _advise_soon(self) -> None:
        """Look for advice once the keys rest."""
        if self._pause is not None:
            self._pause.stop()
        panel = self.query_one(AdvicePanel)
        if self.refusal or self.answer is None:
            panel.show(None, "Advice follows when there is an answer.")
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

    @on(AdviceList.Applied)
    def apply(self, event: AdviceList.Applied) -> None:
        """Take an advice: the question becomes that of the advice."""
        advice = event.advice
        another = any(change.field == "model" for move in advice.moves for change in move.changes)
        model = advice.model.id if another else self.situation.model
        self.change(replace(self.situation, model=model, workload=advice.workload, plan=advice.asked))
        self.notify(" + ".join(move.title for move in advice.moves), title="Applied; u takes it back", markup=False)

    def action_apply(self) -> None:
        """Apply the advice under the cursor."""
        found = self.query_one(AdviceList)
        if found.advice is None or self.query_one(AdvicePanel).has_class("-stale"):
            self.notify("There is no advice to apply.", severity="warning")
        else:
            self.apply(AdviceList.Applied(found.advice))

    # Levers

    @on(AskForm.Turned)
    def turn(self, event: AskForm.Turned) -> None:
        """The next value that is legal; where none is, the next one, and the reason."""
        if event.field not in knobs():
            return
        knob = knobs()[event.field]
        following = steps(knob, self.situation.value(event.field), event.by)
        for value in following:
            try:
                candidate = self.situation.having(**{event.field: value})
            except BadInput:
                continue
            if event.field not in DEPENDENT:
                self.change(candidate)
                return
            if not isinstance(ask(candidate, self.machine, self.shelf), Refusal):
                self.change(candidate)
                return

    @on(AskForm.Opened)
    def open(self, event: AskForm.Opened) -> None:
        """Choose or type a value."""
        if event.field == "model":
            self.action_model()
        elif event.field == "gpu":
            self.action_gpu()
        else:
            self.choose_value(event.field)

    def choose_value(self, name: str) -> None:
        """Offer the values of a field."""
        knob = knobs()[name]

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self.change(self.situation.having(**{name: parsed(knob, chosen[0])}))

        from vram_advisor.tui.knobs import shown as as_text

        present = as_text(self.situation.value(name))
        self.app.push_screen(
            Picker(
                self.look, name, catalogue.values(knob), chosen=present, check=lambda text: parsed(knob, text),
                hint=f"now {present}; type a value",
            ),
            take,
        )  # fmt: skip
        self.notify(catalogue.about(knob), title=name, timeout=6, markup=False) if catalogue.about(knob) else None

    # Models and cards

    def action_model(self) -> None:
        """Choose a model, a file or a repository."""
        entries = (*catalogue.local_models(), *catalogue.catalogue_models())

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen and len(chosen) > 1:
                self.compare("Models", [replace(self.situation, model=name) for name in chosen], list(chosen))
            elif chosen:
                self.choose_model(chosen[0])

        self.app.push_screen(
            Picker(
                self.look, "Model", entries, chosen=self.situation.model, several=True, check=_model_name,
                hint="name, path or Hugging Face id",
            ),
            take,
        )  # fmt: skip

    def choose_model(self, name: str) -> None:
        """Look for a model without holding up the screen: it may be read from a disk or asked for over a network."""
        self.notify(f"Reading {name} ...", timeout=1.5, markup=False)
        self._resolve(replace(self.situation, model=name), self.machine)

    @work(thread=True, exclusive=True, group="model", exit_on_error=False)
    def _resolve(self, situation: Situation, machine: Machine | None) -> None:
        self.post_message(self.Resolved(situation, ask(situation, machine, self.shelf)))

    @on(Resolved)
    def resolved(self, event: Resolved) -> None:
        """Ask about the model that was found; where none was, nothing changes but a sentence."""
        if isinstance(event.result, Refusal):
            self.notify(event.result.sentence, title="No such model", severity="warning", timeout=8, markup=False)
        else:
            self.change(event.situation)

    def action_gpu(self) -> None:
        """Choose a card."""
        entries = (*catalogue.machine_gpus(self.machine), *catalogue.catalogue_gpus())
        index = self._gpu_index()
        present = self.situation.gpu or (None if index is None else f"{catalogue.HERE}{index}")

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen and len(chosen) > 1:
                self.compare("GPUs", [self._on_card(name) for name in chosen], [_card_title(name) for name in chosen])
            elif chosen:
                self.change(self._on_card(chosen[0]))

        self.app.push_screen(
            Picker(self.look, "GPU", entries, chosen=present, several=True, hint="name or memory"), take
        )

    def _on_card(self, name: str) -> Situation:
        if name.startswith(catalogue.HERE):
            return replace(self.situation, gpu=None, gpu_index=int(name.removeprefix(catalogue.HERE)))
        return replace(self.situation, gpu=name, gpu_index=None)

    # Comparisons

    def compare(self, title: str, situations: list[Situation], names: list[str]) -> None:
        """Ask the same of several, and show the answers side by side."""
        self._compare(title, situations, names, self.machine)

    @work(thread=True, exclusive=True, group="comparison", exit_on_error=False)
    def _compare(self, title: str, situations: list[Situation], names: list[str], machine: Machine | None) -> None:
        worker = get_current_worker()
        found = []
        for situation, name in zip(situations, names, strict=True):
            if worker.is_cancelled:
                return
            found.append(Compared(name, ask(situation, machine, self.shelf)))
        self._situations = dict(zip(names, situations, strict=True))
        self.post_message(self.ComparisonMade(title, tuple(found)))

    @on(ComparisonMade)
    def show_comparison(self, event: ComparisonMade) -> None:
        """The table; the row that is taken becomes the question."""

        def take(name: str | None) -> None:
            if name is not None:
                self.change(self._situations[name])

        what = self._asked() if event.title == "GPUs" else self._asked().partition(" · ")[2]
        self.app.push_screen(Comparison(self.look, f"{event.title} compared", what, event.compared), take)

    # The fit map

    def _map_soon(self) -> None:
        """The map is made where it is looked at."""
        if self.query_one(MemoryPanel).view != "map" or self.answer is None or self.refusal:
            return
        device = self.answer.device
        of = (self.situation, None if device is None else (device.name, device.free_bytes))
        if of == self._axes_of:
            return
        self._axes_of = of
        option = shown(self.answer)
        fixed = _fixed(self.answer)
        self._axes = axes(self.situation.workload, self.situation.plan, option.plan)
        self.query_one(FitMap).begin(self._axes)
        self._make_map(
            self.situation,
            replace(self.situation, plan=replace(self.situation.plan, **fixed)),
            self._axes,
            self.machine,
        )

    @work(thread=True, exclusive=True, group="map", exit_on_error=False)
    def _make_map(self, of: Situation, situation: Situation, axes: tuple[Axis, Axis], machine: Machine | None) -> None:
        worker = get_current_worker()

        def answer(values: dict[str, Any]) -> Answer:
            result = ask(situation.having(**values), machine, self.shelf)
            if isinstance(result, Refusal):
                raise BadInput(result.sentence)
            return result

        row: list[Cell] = []
        for cell in cells(*axes, answer):
            if worker.is_cancelled:
                return
            row.append(cell)
            if cell.column == len(axes[1].values) - 1:
                self.post_message(self.Mapped(of, tuple(row)))
                row = []

    @on(Mapped)
    def mapped(self, event: Mapped) -> None:
        """A row of the map."""
        if event.situation == self.situation:
            self.query_one(FitMap).add(event.cells)

    @on(FitMap.Taken)
    def take_cell(self, event: FitMap.Taken) -> None:
        """The cell becomes the question."""
        self.change(self.situation.having(**event.values))

    # What else can be done

    def action_undo(self) -> None:
        """Go back to the question before."""
        if self._before:
            self.situation = self._before.pop()
        else:
            self.notify("There is nothing to undo.", severity="warning", timeout=2)

    def action_pin(self) -> None:
        """Show differences from here, or none any more."""
        self.pinned = None if self.pinned is not None or self.refusal else self.answer
        self._show()
        said = (
            "Numbers are differences from here; p ends it." if self.pinned is not None else "Numbers are plain again."
        )
        self.notify(said, timeout=3)

    def action_explain(self) -> None:
        """Every component with every product."""
        if self.answer is None:
            return
        from vram_advisor.report.explain import explained
        from vram_advisor.report.vendor import terms

        option, said = shown(self.answer), terms(self.answer.device)
        self.app.push_screen(
            Paper(self.look, f"Every product behind {option.title}", lambda width: list(explained(option, width, said)))
        )

    def action_copy(self) -> None:
        """Copy the command line that asks the same."""
        command = self.situation.command()
        self.app.copy_to_clipboard(command)
        self.app.copied = command  # type: ignore[attr-defined]
        self.notify(command, title="Copied", timeout=8, markup=False)

    def action_export(self) -> None:
        """Save the answer as JSON."""
        if self.answer is None or self.refusal:
            self.notify("There is no answer to export.", severity="warning")
            return
        import io
        import json
        import re

        from vram_advisor.report.document import answer_document

        text = json.dumps(answer_document(self.answer), ensure_ascii=False, indent=2) + "\n"
        stem = re.sub(r"[^\w.-]+", "-", f"{self.answer.model.id}-{self.situation.workload.method}").strip("-.")
        self.app.deliver_text(
            io.StringIO(text), save_filename=f"vram-advisor-{stem}.json", mime_type="application/json"
        )

    def action_calibrate(self) -> None:
        """Short real runs on this GPU."""
        from vram_advisor.tui.screens.calibration import CalibrationScreen

        self.app.push_screen(
            CalibrationScreen(self.look, self.situation), lambda learnt: self._ask() if learnt else None
        )

    def commands(self) -> list[Command]:
        """Every action, for the palette."""
        found = [
            Command("model: choose", "Choose a model, a file or a repository", self.action_model),
            Command("model: compare several", "Mark models with tab, then enter", self.action_model),
            Command("gpu: choose", "Choose a card, also one that is not in this machine", self.action_gpu),
            Command("gpu: simulate", "Ask about a card that you do not have", self.action_gpu),
            Command("gpu: compare several", "Mark cards with tab, then enter", self.action_gpu),
            Command("gpu: calibrate", "Short real runs on this GPU", self.action_calibrate),
            Command("advice: apply", "Apply the advice under the cursor", self.action_apply),
            Command("change: undo", "Take back the last change", self.action_undo),
            Command("baseline: pin or unpin", "Every number as a difference from here", self.action_pin),
            Command("numbers: explain", "Every factor behind every number", self.action_explain),
            Command("command: copy", "Copy the command line that gives this screen", self.action_copy),
            Command("answer: export JSON", "Save what check --json prints", self.action_export),
        ]
        for view in VIEWS:
            found.append(Command(f"view: {TITLES[view].lower()}", "In the middle", partial(self.show_view, view)))
        for i, title in enumerate(PANEL_TITLES):
            found.append(Command(f"panel: {title.lower()}", "Go there", partial(self.action_panel, i)))
        for name in knobs():
            found.append(Command(f"{name}: set", "Choose or type a value", partial(self.choose_value, name)))
        return found

    # Panels

    def action_view(self) -> None:
        """The next view in the middle."""
        view = self.query_one(MemoryPanel).view
        self.show_view(VIEWS[(VIEWS.index(view) + 1) % len(VIEWS)])

    def show_view(self, view: str) -> None:
        """Show a view in the middle."""
        if self.has_class("-narrow") and self._panel != 1:
            self.action_panel(1)
        self.query_one(MemoryPanel).turn_to(view)
        self._map_soon()

    def action_panel(self, index: int) -> None:
        """Go to a panel; where there is room for one only, it is the one that shows."""
        self._panel = index
        self._show_panel()
        name = PANELS[index]
        target = f"#{self.query_one(MemoryPanel).view}" if name == "memory" else FOCUS[name]
        widget = self.query_one(target)
        if widget.display:
            widget.focus()

    def action_next_panel(self, by: int) -> None:
        """Go around the panels."""
        self.action_panel((self._panel + by) % len(PANELS))

    def _show_panel(self) -> None:
        for i, name in enumerate(PANELS):
            self.set_class(i == self._panel, f"-show-{name}")
        self.query_one(TabBar).show(PANEL_TITLES, self._panel)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect in the background is said, and the screen stays."""
        if event.state == WorkerState.ERROR:
            self._looking = False
            error = event.worker.error
            self.notify(f"{type(error).__name__}: {error}", title="Defect", severity="error", timeout=20, markup=False)


def _rests_on(machine: Machine) -> object:
    """What an answer takes from a machine."""
    return tuple((gpu.index, gpu.name, gpu.total_bytes, gpu.free_bytes) for gpu in machine.gpus)


def _fixed(answer: Answer) -> dict[str, Any]:
    """The fields that set the shown option apart from the others that are compared."""
    plans = [vars(option.plan) for option in answer.options]
    differing = [name for name in plans[0] if len({plan[name] for plan in plans}) > 1]
    if "quantization" in differing:
        differing = ["quantization"]
    plan = shown(answer).plan
    return {name: getattr(plan, name) for name in differing}


def _card_title(name: str) -> str:
    return f"GPU {name.removeprefix(catalogue.HERE)} here" if name.startswith(catalogue.HERE) else name


def _model_name(text: str) -> None:
    """Any path or repository may be asked for: whether it is there is found out when it is read."""
    if not text.isprintable():
        raise BadInput("A name of a model has printable letters only.")


__all__ = ["AdvisorError", "MainScreen"]
