"""The ask and its levers: one row per field, generated from ``Workload`` and ``Plan``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList

from vram_advisor.domain.answer import Answer
from vram_advisor.domain.plan import Workload
from vram_advisor.report.layout import Line
from vram_advisor.report.words import shown as shown_option
from vram_advisor.tui.drawing import cut
from vram_advisor.tui.knobs import idle, knobs, shown
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.widgets.rows import Row, Rows

LEAST = 6
"""Cells that a value keeps."""
DEVICE_ROWS = ("model", "gpu")


class AskForm(Rows):
    """Model, card, ask and levers."""

    HELP = """
## What you ask, and what may change

`←` `→` take the previous and the next legal value, `enter` offers all of them or lets you type one, `u` takes it back.

A value in grey is what the recipe decides. `m` chooses a model, `g` a card, also one that you do not have.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "turn(-1)", "Previous value", show=False, id="previous", tooltip="Previous legal value"),
        Binding("right,l", "turn(1)", "Next value", show=False, id="next", tooltip="Next legal value"),
    ]

    @dataclass
    class Turned(Message):
        """A person wants the next or the previous value of a field."""

        field: str
        by: int

    @dataclass
    class Opened(Message):
        """A person wants to choose or type the value of a field."""

        field: str

    situation: Situation | None = None
    answer: Answer | None = None
    gpu_name = ""

    def show(self, situation: Situation, answer: Answer | None, gpu_name: str) -> None:
        """Show a question; the answer tells what its recipe decided."""
        self.situation, self.answer, self.gpu_name = situation, answer, gpu_name
        self.redraw()

    def draw(self) -> Sequence[Row]:
        """One row per field that has an effect."""
        situation = self.situation
        if situation is None:
            return ()
        unused = idle(situation.workload, situation.plan)
        rows = [
            self._row("model", situation.model, "", changed=False),
            self._row("gpu", self.gpu_name, "", changed=False),
            Row(None, ()),
        ]
        levers = False
        for name, knob in knobs().items():
            if name in unused:
                continue
            if knob.record is not Workload and not levers:
                levers = True
                rows.append(Row(None, ()))
            value = situation.value(name)
            decided = "" if value is not None else self._decided(name)
            rows.append(self._row(name, shown(value), decided, changed=value != knob.default))
        return rows

    def action_turn(self, by: int) -> None:
        """Ask for a neighbour of the value under the cursor."""
        if self.chosen is not None:
            self.post_message(self.Turned(self.chosen, by))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        event.stop()
        if self.chosen is not None:
            self.post_message(self.Opened(self.chosen))

    def moved(self) -> None:
        """Arrows stand around the value under the cursor."""
        rows = tuple(self.draw())
        for i, (before, after) in enumerate(zip(self._rows, rows, strict=False)):
            if before != after and len(rows) == self.option_count:
                self._rows = rows
                self.replace_option_prompt_at_index(i, self._prompt(i))

    def _row(self, name: str, value: str, decided: str, *, changed: bool) -> Row:
        # Two cells beside each value belong to the arrows, so that values do not move with the cursor.
        here = self.chosen == name
        room = max(LEAST, self.room - len(name) - 3)
        if name in DEVICE_ROWS:
            room = max(LEAST, self.room - len(name) - 3)
        text, style = (decided, "dim") if decided else (value, "bold" if changed or name in DEVICE_ROWS else "")
        text = cut(text, room)
        left, right = ("‹", "›") if here and name not in DEVICE_ROWS else (" ", " ")
        gap = " " * max(1, self.room - len(name) - len(text) - 2)
        line: Line = ((name, "" if here else "dim"), (gap, ""), (left, "key"), (text, style), (right, "key"))
        return Row(name, line)

    def _decided(self, name: str) -> str:
        """What the recipe decided for a field that was left open."""
        if self.answer is None:
            return "auto"
        options = self.answer.options
        if name == "quantization" and len(options) > 1:
            return "compare"
        plan = shown_option(self.answer).plan
        value = getattr(plan, name, None)
        return "auto" if value is None else shown(value)
