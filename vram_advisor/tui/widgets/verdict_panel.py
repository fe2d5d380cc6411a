"""The verdict: does it fit, how sure that is, and the bar of the memory at the peak."""

from __future__ import annotations

from datetime import datetime

from textual.widgets import Static

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report.bar import memory_bar, segments
from vram_advisor.report.calibration_words import rests_on
from vram_advisor.report.interval import interval_line
from vram_advisor.report.layout import Line, Span, flow, length, wrapped
from vram_advisor.report.look import Look
from vram_advisor.report.words import odds, shown
from vram_advisor.tui.drawing import MARKS, contents, difference, number, put

BADGES = {"fits": "FITS", "tight": "TIGHT", "spill": "SPILLS", "no": "NO", "unknown": "UNKNOWN"}
TALL = 30
"""Lines of a terminal from which on the whole legend is shown."""


class VerdictPanel(Static):
    """The first thing to read."""

    HELP = """
## The verdict

**FITS** at least 95 % likely, **TIGHT** 50 to 95 %, **NO** below; **SPILLS**: it runs out of the computer's own memory,
slowly; **UNKNOWN**: there is no card to compare with, `g` names one.

The bar is the card at the peak, largest part first. The line below it is the 90 % interval of what is needed.
"""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.look = look
        self._answer: Answer | None = None
        self._pinned: Answer | None = None
        self._sentence = ""
        self._now: datetime | None = None

    def show(self, answer: Answer | None, pinned: Answer | None, sentence: str, now: datetime | None) -> None:
        """Show an answer; a sentence says why there is no newer one."""
        self._answer, self._pinned, self._sentence, self._now = answer, pinned, sentence, now
        outcome = "" if answer is None else shown(answer).verdict.outcome
        for name in BADGES:
            self.set_class(name == outcome and not sentence, f"-{name}")
        self.set_class(bool(sentence), "-stale")
        self.border_title = "Verdict"
        self._redraw()

    def on_resize(self) -> None:
        """The bar is made for a width."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        width = max(20, self.content_size.width)
        self.border_subtitle = self._basis(width)
        lines: list[Line] = []
        if self._sentence:
            lines += wrapped((("✗ ", "bold no"), (self._sentence, "no")), width, hanging=2)
        if self._answer is None:
            lines = lines or [(("Looking at the GPUs of this machine ...", "dim"),)]
        else:
            option = shown(self._answer)
            lines += self._numbers(self._answer, option, width)
            lines += self._bar(self._answer, option, width)
            lines += self._options(self._answer, width)
        put(self, contents(lines, self.look))

    def _numbers(self, answer: Answer, option: Option, width: int) -> list[Line]:
        verdict, need = option.verdict, option.estimate.peak.minimum_bytes
        badge: Span = (f"{MARKS[verdict.outcome]} {BADGES[verdict.outcome]}", f"bold {verdict.outcome}")
        spans: list[Span] = [badge, ("  ", ""), (f"{number(need.mid)} GiB", "bold")]
        spans.append((f" ({number(need.low)}–{number(need.high)})", "dim"))
        if self._pinned is not None:
            change = need.mid - shown(self._pinned).estimate.peak.minimum_bytes.mid
            spans += [(" Δ", "dim"), (difference(change), "bold key")]
        if verdict.free_bytes is not None and verdict.headroom_bytes is not None:
            spans += [(" of ", "dim"), (f"{number(verdict.free_bytes)} free", "")]
            word = "spare" if verdict.headroom_bytes >= 0 else "short"
            spans += [("  ", ""), (f"{number(abs(verdict.headroom_bytes))} {word}", f"bold {verdict.outcome}")]
        if verdict.probability is not None:
            said = odds(verdict.probability).removesuffix(" likely to fit")
            said = said.replace("more than ", "> ").replace("less than ", "< ")
            if length(tuple(spans)) + len(said) + 9 <= width:
                spans.append((f"  {said} likely", "dim"))
        return [tuple(spans)] if length(tuple(spans)) <= width else wrapped(tuple(spans), width)

    def _bar(self, answer: Answer, option: Option, width: int) -> list[Line]:
        bar = memory_bar(option, answer.device, self.look, width)[0]
        found = segments(option, answer.device)
        total = sum(segment.nbytes for segment in found)
        legend: list[Line] = []
        for part, segment in enumerate(found):
            glyph, style = self.look.segment(segment.role, part)
            legend.append(((glyph, style), (f" {segment.title} ", "dim"), (number(segment.nbytes), "")))
        lines = flow(legend, width)
        if self.screen.size.height < TALL:
            lines = lines[:1]
        return [bar, interval_line(option, answer.device, total, self.look, width), *lines]

    def _basis(self, width: int) -> str:
        """What the numbers rest on; details in brackets where there is room for all of them."""
        if self._answer is None:
            return ""
        text = contents([((rests_on(self._answer, self._now), ""),)], self.look).plain
        return text if len(text) <= width else text.partition(" (")[0]

    def _options(self, answer: Answer, width: int) -> list[Line]:
        """The options that are compared, the shown one marked."""
        if len(answer.options) < 2:
            return []
        spans: list[Span] = []
        for option in answer.options:
            outcome, here = option.verdict.outcome, option is shown(answer)
            spans += [("   ", "")] if spans else []
            spans += [("▸" if here else " ", "key"), (f"{option.title} ", "bold" if here else "dim")]
            spans.append((f"{MARKS[outcome]} {number(option.estimate.peak.minimum_bytes.mid)}", outcome))
        return [tuple(spans)] if length(tuple(spans)) <= width else []
