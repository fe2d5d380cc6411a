"""Glyphs and colours: blocks and colour where the terminal has them, letters of ASCII where it has not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.report.layout import NBSP, Line

EIGHTHS = " ▏▎▍▌▋▊▉"
PARTS = 7
"""Segments of a bar that can be told apart."""
SGR = {
    "bold": "1",
    "dim": "2",
    "fits": "32",
    "tight": "33",
    "spill": "33",
    "no": "31",
    "unknown": "36",
    "warning": "33",
    "peak": "33",
    "calm": "34",
    "overhead": "37",
    "free": "32",
    "held": "2",
    "part0": "34",
    "part1": "35",
    "part2": "36",
    "part3": "33",
    "part4": "92",
    "part5": "95",
    "part6": "94",
}
"""What a terminal is told for each style. Only the sixteen colours that every theme defines are used."""
ASCII = str.maketrans({"×": "x", "–": "-", "…": "~", "→": ">", "·": "-", "−": "-"})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Look:
    """What can be shown. Without colour the segments of a bar are told apart by their glyphs."""

    unicode: bool = True
    colour: bool = False

    def segment(self, role: str, part: int) -> tuple[str, str]:
        """Glyph and style of a segment of a bar."""
        if role == "overhead":
            return ("▤" if self.unicode else "-"), "overhead"
        if role == "free":
            return ("·" if self.unicode else "."), "free"
        if role == "held":
            return ("×" if self.unicode else "x"), "held"
        if self.unicode:
            glyphs = "█" * PARTS if self.colour else "█▓▒░▚▞▖"
        else:
            glyphs = "#%=+o*&"
        return glyphs[part % PARTS], f"part{part % PARTS}"

    @property
    def up(self) -> str:
        """A mark below a bar."""
        return "↑" if self.unicode else "^"

    @property
    def here(self) -> str:
        """A mark behind a line."""
        return "◂" if self.unicode else "<"

    def bar(self, share: float, width: int) -> str:
        """A bar of this share of the width."""
        if not self.unicode:
            return "#" * max(1, round(share * width))
        whole, eighth = divmod(max(1, round(share * width * 8)), 8)
        return "█" * whole + (EIGHTHS[eighth] if eighth else "")

    def painted(self, lines: Iterable[Line]) -> str:
        """The lines as text for this terminal."""
        return "".join(self._painted(spans) + "\n" for spans in lines)

    def _painted(self, spans: Line) -> str:
        text = ""
        for written, style in spans:
            part = written.replace(NBSP, " ")
            if not self.unicode:
                part = part.translate(ASCII)
            if self.colour and style:
                codes = ";".join(SGR[name] for name in style.split())
                part = f"\x1b[{codes}m{part}\x1b[0m"
            text += part
        return text
