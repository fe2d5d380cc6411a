"""Every state as text, at both sizes: read them, they are what people see."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from golden import assert_golden
from sample_runs import DONE, PROTOCOL
from samples import LOST, ONE, TWO, Kind, MakeApp
from screen_text import screen_text, settled
from textual.pilot import Pilot

from vram_advisor import api
from vram_advisor.domain.protocol import Progress
from vram_advisor.hardware.reading import Reading
from vram_advisor.tui.asking_screen import AskingScreen
from vram_advisor.units.bytes import GIB

GOLDENS = Path(__file__).parent / "goldens"
SIZES = ((120, 36), (80, 24))


@dataclass(frozen=True)
class State:
    """How to get there."""

    kind: Kind = "fits"
    readings: tuple[Reading, ...] = ()
    gpu: str | None = "card-12"
    keys: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    """Keys that follow where one panel is shown at a time."""
    method: str = "lora"
    then: Callable[["Pilot[str]"], object] | None = None
    plain: bool = False
    texts: tuple[str, ...] = ()
    """What has to be readable."""


def look_again(pilot: "Pilot[str]") -> None:
    """The second passes after which the cards are read again."""
    screen = pilot.app.screen
    assert isinstance(screen, AskingScreen)
    screen._look_at_cards()


STATES = {
    "fits": State(texts=("✓ FITS", "9.22 GiB", "2.45 spare")),
    "where": State(keys=("2", "down"), texts=("logits and loss", "4 B × 2,048 tokens")),
    "tight": State("tight", narrow=("3",), texts=("! TIGHT",)),
    "no": State("no", narrow=("3",), texts=("✗ NO", "short")),
    "no_gpu": State(gpu=None, narrow=("4",), texts=("? UNKNOWN", "no GPU here")),
    "gpu_lost": State("busy", (ONE, LOST), None, narrow=("4",), then=look_again, texts=("lost", "Sample 12 GB")),
    "live": State("busy", (ONE,), None, narrow=("4",), texts=("● live", "120 / 200 W", "python 4242")),
    "simulated": State("fits", (ONE,), "card-12", narrow=("2",), texts=("○ simulated",)),
    "several_gpus": State("busy", (TWO,), None, narrow=("4",), texts=("Sample 24 GB", "▸0 ")),
    "offload": State("offload", gpu="card-12", method="inference", narrow=("2",), texts=("n_gpu_layers", "Q4_K_M")),
    "fit_map": State(keys=("2", "v", "v"), texts=("sequence_length by micro_batch_size", "T ", "N ")),
    "timeline": State(keys=("2", "v"), texts=("◂ peak", "The gradient of the loss:")),
    "numbers": State(keys=("2", "v", "v", "v"), texts=("reserved", "minimum", "Something that is worth knowing.")),
    "pinned": State(keys=("p", "down", "down", "down", "down", "right"), narrow=("2",), texts=("Δ",)),
    "comparison": State("busy", keys=("g", "tab", "tab", "enter"), texts=("GPUs compared", "card-24")),
    "calibrating": State("busy", (ONE,), None, keys=("c", "enter"), texts=("run 3 of 4", "step 2 of 3")),
    "calibrated": State("busy", (ONE,), None, keys=("c", "enter"), texts=("What changed", "reserved peak")),
    "empty_search": State(keys=("g", "z", "z", "z"), texts=("Nothing has such a name.",)),
    "models": State(keys=("m", "7", "b"), texts=("sample-7b", "use “7b” as typed")),
    "help": State(keys=("question_mark",), texts=("What you ask", "Next value")),
    "refused": State(
        keys=(*["down"] * 11, *["right"] * 6), texts=("the sample refuses it", "9.22 GiB")
    ),
    "palette": State(keys=("ctrl+p",), texts=("answer: export JSON", "gpu: compare several")),
    "ascii": State("no", plain=True, narrow=("3",), texts=("x NO",)),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_screen(name: str, sampled: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    state = STATES[name]
    if name.startswith("calibrat"):
        stand_in_for_calibration(monkeypatch, ends=name == "calibrated")

    async def run() -> list[str]:
        app = sampled(state.kind, *state.readings, gpu=state.gpu, method=state.method, plain=state.plain)
        found = []
        async with app.run_test(size=SIZES[0]) as pilot:
            await settled(pilot)
            for key in state.keys:
                await pilot.press(key)
            if state.then is not None:
                state.then(pilot)
            for size in SIZES:
                if size != SIZES[0]:
                    await pilot.resize_terminal(*size)
                    for key in state.narrow:
                        await pilot.press(key)
                await (pilot.pause(0.3) if name == "calibrating" else settled(pilot))
                app.clear_notifications()
                await pilot.pause()
                found.append(screen_text(app))
            if name == "calibrating":
                await pilot.press("escape")
        return found

    for size, text in zip(SIZES, asyncio.run(run()), strict=True):
        assert_golden(f"{name}_{size[0]}x{size[1]}.txt", text, GOLDENS)
        lines = text.splitlines()
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert all(said in text for said in (state.texts if size == SIZES[0] else ()))
        assert text.isascii() or not state.plain


def stand_in_for_calibration(monkeypatch: pytest.MonkeyPatch, *, ends: bool) -> None:
    """Runs that are made up, in the place of those that need a GPU."""

    def calibrate(protocol: object, *, hear: Callable[[Progress], None], stop: object) -> object:
        hear(Progress(event="step", run=3, runs=4, step=2, steps=3, allocated_bytes=3 * GIB))
        if not ends:
            stop.wait(5)  # type: ignore[attr-defined]
        return DONE

    monkeypatch.setattr(api, "plan_calibration", lambda *_, **__: PROTOCOL)
    monkeypatch.setattr(api, "calibrate", calibrate)
