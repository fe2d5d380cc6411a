"""Every value on the screen is in ``check --json`` of the command that is copied."""

import asyncio
import json
import re
import shlex

import pytest
from samples import MakeApp
from screen_text import screen_text, settled

from vram_advisor.cli.app import run
from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.main_screen import MainScreen
from vram_advisor.tui.widgets.memory_panel import VIEWS
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


def kinds_by_phase(document: dict[str, object]) -> set[str]:
    """Sums of kinds in each phase, as the timeline says them."""
    found: set[str] = set()
    for option in document["options"]:  # type: ignore[attr-defined]
        for phase in option["phases"]:
            kinds: dict[str, int] = {}
            for component in option["components"]:
                if phase["phase"] in component["alive"]:
                    kinds[component["kind"]] = kinds.get(component["kind"], 0) + component["bytes"]["mid"]
            found |= {f"{abs(nbytes) / GIB:.2f}" for nbytes in kinds.values()}
    return found


async def views(app: AdvisorApp) -> dict[str, str]:
    """The right side in each of its views, and the commands of the screen."""
    async with app.run_test(size=(120, 60)) as pilot:
        await settled(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, MainScreen)
        found = {name: screen.situation.command(name) for name in ("check", "advise")}
        await pilot.press("2")
        for view in VIEWS:
            screen.show_view(view)
            await settled(pilot)
            found[view] = "\n".join(line[45:] for line in screen_text(app).splitlines())
        return found


def table_and_words(text: str) -> tuple[str, str]:
    """The view of numbers: its table, and what is said below without its lines and frames."""
    lines = [line.rstrip("│ ") for line in text.splitlines()]
    end = next(i for i, line in enumerate(lines) if "allocated" in line)
    while lines[end].strip():
        end += 1
    return "\n".join(lines[:end]), words(" ".join(lines[end:]))


def words(text: str) -> str:
    """A sentence with single spaces."""
    return " ".join(text.split())


def printed(command: str, capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    """What a command line prints as JSON."""
    capfd.readouterr()
    run([*shlex.split(command)[1:], "--json"])
    document: dict[str, object] = json.loads(capfd.readouterr().out)
    return document


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(str(value) for value in asked.values()))
def test_every_figure(asked: dict[str, object], real: MakeApp, capfd: pytest.CaptureFixture[str]) -> None:
    levers = {name: value for name, value in asked.items() if name != "method"}
    shown = asyncio.run(views(real(method=asked["method"], **levers)))
    document = printed(shown["check"], capfd)
    known = figures(document) | sums(document)
    least = {"where": 15, "when": 8, "numbers": 12}
    for view, text in shown.items():
        if view not in least:
            continue
        extra = kinds_by_phase(document) if view == "when" else set()
        upper = text[: text.index("Advice")]
        if view == "numbers":
            # Below the table are the sentences of the answer; they are compared as words.
            upper, sentences = table_and_words(upper)
            assert all(words(each) in sentences for each in document["assumptions"])  # type: ignore[attr-defined]
        seen = NUMBER.findall(upper)
        assert len(seen) >= least[view], (view, text)
        assert [figure for figure in seen if figure not in known | extra] == [], view
    labels = {component["label"] for option in document["options"] for component in option["components"]}  # type: ignore[attr-defined]
    assert any(label in shown["where"] for label in labels)
    advised = printed(shown["advise"], capfd)
    seen = NUMBER.findall(shown["where"][shown["where"].index("Advice") :])
    assert [figure for figure in seen if figure not in figures(advised) | known] == []


def test_every_cell_of_the_map_is_the_answer_of_its_command(real: MakeApp, capfd: pytest.CaptureFixture[str]) -> None:
    async def look() -> tuple[str, str]:
        app = real(method="qlora", quantization="q4")
        async with app.run_test(size=(120, 60)) as pilot:
            await settled(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, MainScreen)
            await pilot.press("2", "v", "v")
            await settled(pilot)
            await pilot.press("down", "right")
            await pilot.pause()
            cell = re.search(r"\[([FTSN]) +(\d+\.\d\d)\]", screen_text(pilot.app))  # type: ignore[arg-type]
            assert cell is not None
            await pilot.press("enter")
            await settled(pilot)
            return " ".join(cell.groups()), screen.situation.command()

    cell, command = asyncio.run(look())
    option = printed(command, capfd)["options"][0]  # type: ignore[index]
    letter = {"fits": "F", "tight": "T", "spill": "S", "no": "N"}[option["verdict"]["outcome"]]
    assert cell == f"{letter} {option['peak']['minimum_bytes']['mid'] / GIB:.2f}"
