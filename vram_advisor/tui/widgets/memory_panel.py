"""The middle of the screen: where the memory goes, when, what else would fit, and the four numbers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import OptionList, Static

from vram_advisor.domain.answer import Answer
from vram_advisor.report.layout import Line, line, plain, wrapped
from vram_advisor.report.look import Look
from vram_advisor.report.table import options_table
from vram_advisor.report.words import details, next_steps
from vram_advisor.tui.drawing import contents, cut, put
from vram_advisor.tui.widgets.breakdown import Breakdown
from vram_advisor.tui.widgets.fit_map import FitMap
from vram_advisor.tui.widgets.phases import Phases

VIEWS = ("where", "when", "map", "numbers")
TITLES = {"where": "Where it goes", "when": "When", "map": "Fit map", "numbers": "Numbers"}
EXPLAINED = 3
"""Lines of explanation below a table."""


class Numbers(VerticalScroll, can_focus=True):
    """The options with their four numbers, what to do next, what was assumed."""

    HELP = """
## Numbers

**allocated**: live tensors. **reserved**: with the allocator's slack. **process**: what nvidia-smi shows.
**minimum**: where out-of-memory begins; the verdict compares it with the free memory.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
    ]

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self._answer: Answer | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show(self, answer: Answer | None) -> None:
        """Show all options of an answer."""
        self._answer = answer
        self.redraw()

    def on_resize(self) -> None:
        """Lines are made for a width."""
        self.redraw()

    def redraw(self) -> None:
        """Draw, where it is looked at."""
        answer = self._answer
        if answer is None or not self.display:
            return
        width = max(20, self.scrollable_content_region.width - 1)
        lines: list[Line] = [*options_table(answer, self.look, width), ()]
        for sentence in (details(answer), *next_steps(answer)):
            lines += wrapped(line(sentence), width)
        for sentence in (*answer.assumptions, *answer.warnings):
            lines += wrapped(line(f"- {sentence}", "warning" if sentence in answer.warnings else "dim"), width, 2)
        put(self.query_one(Static), contents(lines, self.look))


class MemoryPanel(Vertical):
    """One of four views of the same answer."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self.look = look
        self.view = "where"
        self._sentence = ""
        self._answer: Answer | None = None
        self._pinned: Answer | None = None

    def compose(self) -> ComposeResult:
        """The views, and the line that explains."""
        yield Breakdown(self.look, id="where")
        yield Phases(self.look, id="when")
        yield FitMap(self.look, id="map")
        yield Numbers(self.look, id="numbers")
        yield Static("", id="because", markup=False)

    def on_mount(self) -> None:
        """The first view."""
        self.turn_to("where")

    def turn_to(self, view: str) -> None:
        """Show one view."""
        had_focus = any(child.has_focus for child in self.children)
        self.view = view
        for name in VIEWS:
            self.query_one(f"#{name}").display = name == view
        strip = "  ".join(f"[{TITLES[name]}]" if name == view else TITLES[name] for name in VIEWS)
        self.border_title = strip.replace("[", "\\[")
        self.border_subtitle = "v next view   e why" if view == "where" else "v next view"
        if had_focus:
            self.query_one(f"#{view}").focus()
        self._fill()

    def show(self, answer: Answer | None, pinned: Answer | None) -> None:
        """Show an answer in the view that is looked at; the others follow when they are."""
        self._answer, self._pinned = answer, pinned
        self._fill()

    def _fill(self) -> None:
        if self.view == "where":
            self.query_one(Breakdown).show(self._answer, self._pinned)
        elif self.view == "when":
            self.query_one(Phases).show(self._answer)
        elif self.view == "numbers":
            self.query_one(Numbers).show(self._answer)
        self._explain()

    def on_breakdown_pointed(self, event: Breakdown.Pointed) -> None:
        """The formula of the row under the cursor."""
        event.stop()
        source = f"  from {event.component.reference}" if event.component is not None else ""
        self._sentence = event.sentence + source
        self._explain()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """The phase under the cursor."""
        self._explain()

    def on_resize(self) -> None:
        """The explanation is wrapped to the width."""
        self.call_after_refresh(self._explain)

    def _explain(self) -> None:
        text = {"where": self._sentence, "when": self.query_one(Phases).sentence()}.get(self.view, "")
        because = self.query_one("#because", Static)
        because.display = bool(text)
        width = max(20, self.content_size.width - 4)
        lines = wrapped(line(text, "dim"), width)
        if len(lines) > EXPLAINED:
            last = cut(plain(lines[EXPLAINED - 1]) + " " * width, width - 2).rstrip("… ") + " …"
            lines = [*lines[: EXPLAINED - 1], line(last, "dim")]
        put(because, contents(lines, self.look))
