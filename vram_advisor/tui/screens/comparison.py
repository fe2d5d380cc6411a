"""Several cards, or several models, side by side: one whole answer per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from vram_advisor.domain.answer import Answer
from vram_advisor.report.layout import Column, Line, line, table
from vram_advisor.report.look import Look
from vram_advisor.report.words import odds, shown
from vram_advisor.tui.asking import Refusal
from vram_advisor.tui.drawing import MARKS, contents, number
from vram_advisor.tui.screens.ready import Ready
from vram_advisor.tui.widgets.rows import Row, Rows

COLUMNS = (
    Column("", flexible=True, cut=True), Column("needs", "right"), Column("free", "right"), Column("spare", "right"),
    Column("verdict"), Column("likely", "right", optional=1), Column("option", optional=2, flexible=True, cut=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the things compared, and its answer."""

    name: str
    answer: Answer | Refusal


class Table(Rows):
    """One row per answer."""

    compared: Sequence[Compared] = ()

    def draw(self) -> Sequence[Row]:
        """Rows for the present width."""
        if not self.compared:
            return ()
        lines = table(COLUMNS, [_cells(each) for each in self.compared], self.room)
        head, body = lines[0], lines[1:]
        return [Row(None, head), *(Row(each.name, spans) for each, spans in zip(self.compared, body, strict=True))]


class Comparison(ModalScreen[str | None], Ready[str | None]):
    """Returns the name of the row that was taken."""

    CSS_PATH = "comparison.tcss"
    HELP = "The same question for each row. `enter` takes the row under the cursor, `esc` goes back."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Back")]

    def __init__(self, look: Look, title: str, asked: str, compared: Sequence[Compared]) -> None:
        super().__init__()
        self.look = look
        self._title, self._asked, self._compared = title, asked, compared

    def compose(self) -> ComposeResult:
        """The question and the table."""
        with Vertical(id="box", classes="panel"):
            yield Static("", id="asked", markup=False)
            yield Table(self.look, id="table")
            yield Static("", id="refused", markup=False)

    def on_mount(self) -> None:
        """Fill the table."""
        box = self.query_one("#box")
        box.border_title = self._title
        box.border_subtitle = "enter take   esc back"
        self.query_one("#asked", Static).update(contents([line(f"{self._asked}, in GiB", "dim")], self.look))
        rows = self.query_one(Table)
        rows.compared = self._compared
        rows.redraw()
        rows.focus()
        refused = [(each.name, each.answer.sentence) for each in self._compared if isinstance(each.answer, Refusal)]
        said = [line(f"{name}: {sentence}", "warning") for name, sentence in refused]
        self.query_one("#refused", Static).update(contents(said, self.look))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take a row."""
        event.stop()
        self.dismiss(self.query_one(Table).chosen)


def _cells(compared: Compared) -> Sequence[Line]:
    answer = compared.answer
    if isinstance(answer, Refusal):
        return (line(compared.name), *[line("–", "dim")] * 3, line("refused", "warning"), (), ())
    option = shown(answer)
    verdict = option.verdict
    free, spare = verdict.free_bytes, verdict.headroom_bytes
    likely = "" if verdict.probability is None else odds(verdict.probability).removesuffix(" likely to fit")
    return (
        line(compared.name, "bold"),
        line(number(option.estimate.peak.minimum_bytes.mid)),
        line("–" if free is None else number(free)),
        line("–" if spare is None else number(spare).replace("-", "−"), verdict.outcome),
        line(f"{MARKS[verdict.outcome]} {verdict.outcome}", f"bold {verdict.outcome}"),
        line(likely.replace("more than ", "> ").replace("less than ", "< "), "dim"),
        line(option.title, "dim"),
    )
