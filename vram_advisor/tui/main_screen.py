"""The one screen: its keys, its panels, and what can be done with an answer."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType

from vram_advisor.report.document import answer_document
from vram_advisor.report.explain import explained
from vram_advisor.report.vendor import terms
from vram_advisor.report.words import shown
from vram_advisor.tui.knobs import knobs
from vram_advisor.tui.mapping_screen import MappingScreen
from vram_advisor.tui.palette import Command
from vram_advisor.tui.screens.paper import Paper
from vram_advisor.tui.settings import habits
from vram_advisor.tui.widgets.advice_panel import AdviceList, AdvicePanel
from vram_advisor.tui.widgets.memory_panel import TITLES, VIEWS, MemoryPanel
from vram_advisor.tui.widgets.title_bar import TabBar

PANELS = ("ask", "memory", "advice", "live")
PANEL_TITLES = ("Ask", "Memory", "Advice", "Live")
FOCUS = {"ask": "#ask", "memory": "", "advice": "#advices", "live": "#live"}


class MainScreen(MappingScreen):
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

    _panel = 0

    def on_mount(self) -> None:
        """The ask first."""
        self._show_panel()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A panel may be gone to by mouse, too."""
        ids = [node.id for node in event.widget.ancestors_with_self]
        at = next((i for i, name in enumerate(PANELS) if name in ids), self._panel)
        if at != self._panel:
            self._panel = at
            self._show_panel()

    # What can be done

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
        found, panel = self.query_one(AdviceList), self.query_one(AdvicePanel)
        if found.advice is None or panel.has_class("-stale") or panel.has_class("-old"):
            self.notify("There is no advice to apply.", severity="warning")
        else:
            self.apply(AdviceList.Applied(found.advice))

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
        option, said = shown(self.answer), terms(self.answer.device)
        self.app.push_screen(
            Paper(self.look, f"Every product behind {option.title}", lambda width: list(explained(option, width, said)))
        )

    def action_copy(self) -> None:
        """Copy the command line that asks the same."""
        command = self.situation.command(settings=habits())
        self.app.copy_to_clipboard(command)
        self.app.copied = command  # type: ignore[attr-defined]
        self.notify(command, title="Copied", timeout=8, markup=False)

    def action_export(self) -> None:
        """Save the answer as JSON."""
        if self.answer is None or self.refusal:
            self.notify("There is no answer to export.", severity="warning")
            return
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
