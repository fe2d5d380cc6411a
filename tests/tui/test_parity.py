"""Every value on the screen is in ``check --json`` of the command that is copied."""

import asyncio
import json
import re
import shlex

import pytest
from samples import MakeApp
from screen_text import screen_text, settled
from textual.pilot import Pilot

from vram_advisor.cli.app import run
from vram_advisor.report.bar import KIND_TITLES
from vram_advisor.tui.main_screen import MainScreen
from vram_advisor.units.bytes import GIB

ASKED = (
    {"method": "qlora", "quantization": "q4", "micro_batch_size": 2},
    {"method": "full"},
    {"method": "inference", "runtime": "llama.cpp", "quantization": "q4_k_m", "n_gpu_layers": 20},
    {"method": "lora", "lora_r": 64, "target_modules": ("q_proj", "v_proj"), "gradient_checkpointing": "none"},
)
NUMBER = re.compile(r"[~±−+]?(\d+\.\d\d)\b")
GIGABYTES = 200_000
"""Bytes by which a printed figure of two digits may be off, rounding aside."""


def figures(document: object) -> set[str]:
    """All bytes of a document as they are printed, and the sums and halves that the screen is allowed to make."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if set(value) == {"low", "mid", "high"}:
                found.add(f"{(value['high'] - value['mid']) / GIB:.2f}")
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, int):
            found.add(f"{abs(value) / GIB:.2f}")

    walk(document)
    return found


def sums(document: dict[str, object]) -> set[str]:
    """Sums of parts: kinds in the bar, and what is beyond live tensors."""
    found: set[str] = set()
    for option in document["options"]:  # type: ignore[attr-defined]
        phase, kinds = option["peak"]["phase"], {}
        for component in option["components"]:
            if phase in component["alive"]:
                kinds[component["kind"]] = kinds.get(component["kind"], 0) + component["bytes"]["mid"]
        ordered = sorted(kinds.values(), reverse=True)
        least, allocated = (option["peak"][name]["mid"] for name in ("minimum_bytes", "allocated_bytes"))
        numbers = [*ordered, sum(ordered[5:]), least - allocated, least - sum(ordered)]
        device = document["device"]
        if device is not None:
            numbers.append(device["total_bytes"] - max(device["free_bytes"], least))  # type: ignore[index]
        found |= {f"{abs(each + off) / GIB:.2f}" for each in numbers for off in (-1, 0, 1)}
    return found


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(str(value) for value in asked.values()))
def test_every_figure(asked: dict[str, object], real: MakeApp, capfd: pytest.CaptureFixture[str]) -> None:
    method = asked["method"]
    levers = {name: value for name, value in asked.items() if name != "method"}

    async def look() -> tuple[str, str]:
        app = real(method=method, **levers)
        async with app.run_test(size=(120, 60)) as pilot:
            await settled(pilot)
            await pilot.press("2")
            return await read(pilot)

    async def read(pilot: "Pilot[str]") -> tuple[str, str]:
        screen = pilot.app.screen
        assert isinstance(screen, MainScreen)
        return screen_text(pilot.app), screen.situation.command()  # type: ignore[arg-type]

    text, command = asyncio.run(look())
    capfd.readouterr()
    run([*shlex.split(command)[1:], "--json"])
    document = json.loads(capfd.readouterr().out)
    known = figures(document) | sums(document)
    right = "\n".join(line[45:] for line in text.splitlines())
    upto = right.index("Advice")
    shown = NUMBER.findall(right[:upto])
    assert len(shown) > 15
    assert [figure for figure in shown if figure not in known] == []
    labels = {component["label"] for option in document["options"] for component in option["components"]}
    assert any(label in right for label in labels)
    assert all(isinstance(title, str) for title in KIND_TITLES.values())
