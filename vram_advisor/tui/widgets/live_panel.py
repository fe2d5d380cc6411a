"""The cards of this machine as they are now: memory by process, load, temperature, power, and the last minutes."""

from __future__ import annotations

from collections import deque

from textual.widgets import Static

from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot, Machine
from vram_advisor.report.layout import Line, Span, length, line, wrapped
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import contents, number, put, sparkline

HISTORY = 16
"""Readings that the line shows."""
PROCESSES = 6


class LivePanel(Static, can_focus=True):
    """One or two lines per card."""

    HELP = """
## Live

The cards of this machine, read every second: a line of the last readings, memory in use, load, temperature, power, and
the processes that hold memory. Nothing is ever changed on a card.
"""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__("", id=id, classes="panel", markup=False)
        self.look = look
        self._history: dict[int, deque[float]] = {}
        self._machine: Machine | None = None
        self._chosen: int | None = None
        self._seen: tuple[str, ...] = ()

    def show(self, machine: Machine, chosen: int | None) -> None:
        """Show a reading; the chosen card comes first."""
        self._machine, self._chosen = machine, chosen
        for gpu in machine.gpus:
            history = self._history.setdefault(gpu.index, deque(maxlen=HISTORY))
            if gpu.free_bytes is not None:
                history.append(1 - gpu.free_bytes / max(1, gpu.total_bytes))
        self._redraw()

    @property
    def lost(self) -> tuple[str, ...]:
        """Names of cards that were here and are not any more."""
        here = {gpu.name for gpu in self._machine.gpus} if self._machine is not None else set()
        return tuple(name for name in self._seen if name not in here)

    def choose(self, chosen: int | None) -> None:
        """Another card is asked about."""
        if self._machine is not None and chosen != self._chosen:
            self._chosen = chosen
            self._redraw()

    def on_resize(self) -> None:
        """Lines are made for a width."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        machine = self._machine
        if machine is None:
            return
        self._seen = tuple(dict.fromkeys((*self._seen, *(gpu.name for gpu in machine.gpus))))
        width = max(20, self.content_size.width - 2)
        gpus = sorted(machine.gpus, key=lambda gpu: (gpu.index != self._chosen, gpu.index))
        lines: list[Line] = []
        for gpu in gpus:
            lines += self._gpu(gpu, width, several=len(gpus) > 1)
        for name in self.lost:
            lines += wrapped((("✗ lost ", "bold no"), (f"{name} is no longer there.", "no")), width, hanging=2)
        if not gpus:
            lines += [each for note in machine.notes for each in wrapped(line(note, "dim"), width)]
            lines += wrapped(
                line("g chooses a card that you may get; a card that appears is shown here.", "dim"), width
            )
        self.set_class(bool(self.lost), "-lost")
        self.set_class(not gpus, "-none")
        self.border_title = (
            "Live" if len(gpus) != 1 else f"Live · {gpus[0].name}".replace("·", "·" if self.look.unicode else "-")
        )
        self.border_subtitle = "" if not gpus else "read every second"
        put(self, contents(lines, self.look))

    def _gpu(self, gpu: GpuSnapshot, width: int, *, several: bool) -> list[Line]:
        used = None if gpu.free_bytes is None else gpu.total_bytes - gpu.free_bytes
        spark = sparkline(self._history.get(gpu.index, ()), self.look)
        spans: list[Span] = []
        if several:
            here = gpu.index == self._chosen
            spans.append((f"{'▸' if here else ' '}{gpu.index} {gpu.name}  ", "bold" if here else ""))
        else:
            spans.append((f"{spark:>{HISTORY}}  ", "calm"))
        spans.append((f"{'?' if used is None else number(used)} / {number(gpu.total_bytes)} GiB", "bold"))
        facts = [
            "" if gpu.utilisation_percent is None else f"{gpu.utilisation_percent} %",
            "" if gpu.temperature_c is None else f"{gpu.temperature_c} °C",
            _power(gpu),
        ]
        for fact in facts:
            if fact and length(tuple(spans)) + len(fact) + 3 <= width:
                spans.append((f"   {fact}", ""))
        lines: list[Line] = [tuple(spans)]
        if not several or gpu.index == self._chosen:
            lines += _processes(gpu.processes, width)
            lines += [each for note in gpu.notes for each in wrapped(line(note, "dim"), width)][:2]
        return lines


def _power(gpu: GpuSnapshot) -> str:
    if gpu.power_w is None:
        return ""
    limit = "" if gpu.power_limit_w is None else f" / {gpu.power_limit_w:.0f}"
    return f"{gpu.power_w:.0f}{limit} W"


def _processes(processes: tuple[GpuProcess, ...], width: int) -> list[Line]:
    """The largest holders in one line."""
    spans: list[Span] = []
    ordered = sorted(processes, key=lambda process: -(process.used_bytes or 0))
    for shown, process in enumerate(ordered):
        held = "?" if process.used_bytes is None else number(process.used_bytes)
        text = f"{process.name or 'unknown'} {process.pid} "
        rest = f"+{len(ordered) - shown} more"
        if shown == PROCESSES or length(tuple(spans)) + len(text) + len(held) + 3 > width - len(rest):
            spans.append((rest, "dim"))
            break
        spans += [(text, "dim"), (held, ""), ("   ", "")]
    return [tuple(spans)] if spans else []
