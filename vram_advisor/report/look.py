"""Glyphs and colours: blocks and colour where the terminal has them, letters of ASCII where it has not."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

EIGHTHS = " ▏▎▍▌▋▊▉█"
PART_COLOURS = ("blue", "magenta", "cyan", "yellow", "green", "red", "bright_blue")
OUTCOME_COLOURS = {"fits": "green", "tight": "yellow", "spill": "yellow", "no": "red", "unknown": "cyan"}


@dataclass(frozen=True, slots=True)
class Look:
    """What can be shown. Without colour the segments of a bar are told apart by their glyphs."""

    unicode: bool
    colour: bool
    bad: str = "red"
    worst: str = "bold yellow"
    calm: str = "blue"

    @property
    def parts(self) -> str:
        """One glyph per segment of a bar."""
        if not self.unicode:
            return "#%=+o*&"
        return "█" * len(PART_COLOURS) if self.colour else "█▓▒░▚▞▖"

    @property
    def up(self) -> str:
        """A mark below a bar."""
        return "↑" if self.unicode else "^"

    @property
    def here(self) -> str:
        """A mark behind a line."""
        return "◂" if self.unicode else "<"

    def segment(self, role: str, part: int) -> tuple[str, str]:
        """Glyph and style of a segment."""
        if role == "overhead":
            return ("▤" if self.unicode else "-"), "white"
        if role == "free":
            return ("·" if self.unicode else "."), "green"
        if role == "other":
            return ("×" if self.unicode else "x"), "dim"
        return self.parts[part % len(self.parts)], PART_COLOURS[part % len(PART_COLOURS)]

    def bar(self, share: float, width: int) -> str:
        """A bar of this share of the width, padded to the width."""
        if not self.unicode:
            return ("#" * max(1, round(share * width))).ljust(width)
        whole, eighth = divmod(round(share * width * 8), 8)
        return ("█" * whole + (EIGHTHS[eighth] if eighth else "")).ljust(width)


def look_of(console: Console) -> Look:
    """What this console can show."""
    return Look(
        unicode=console.encoding.lower().startswith("utf"),
        colour=console.color_system is not None and not console.no_color,
    )
