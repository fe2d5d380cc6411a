"""What keys do, on the program itself."""

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from samples import NONE, ONE, MakeApp
from screen_text import screen_text, settled
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Static

from vram_advisor import api
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.forgetting import forget_gone_widgets
from vram_advisor.tui.main_screen import MainScreen
from vram_advisor.tui.settings import KEYS, read_settings
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.widgets.ask_form import AskForm
from vram_advisor.tui.widgets.breakdown import Breakdown
from vram_advisor.tui.widgets.rows import texts

Deed = Callable[["Pilot[str]", MainScreen], Awaitable[None]]


def drive(app: AdvisorApp, deed: Deed, size: tuple[int, int] = (120, 36)) -> None:
    """Open the app, do something, and see that nothing went wrong in the background."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            screen = app.screen
            assert isinstance(screen, MainScreen)
            await deed(pilot, screen)
            await settled(pilot)
            assert not [each for each in app._notifications if each.title == "Defect"]

    asyncio.run(run())


async def point(pilot: "Pilot[str]", screen: MainScreen, field: str) -> None:
    """The cursor of the form on a field."""
    screen.query_one(AskForm).focus()
    screen.query_one(AskForm).choose(field)
    await pilot.pause()


def test_arrows_change_a_value_and_undo_takes_it_back(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        before = screen.situation
        await point(pilot, screen, "micro_batch_size")
        await pilot.press("right", "l")
        assert screen.situation.workload.micro_batch_size == 4
        assert screen.answer is not None and screen.answer.workload.micro_batch_size == 4
        await pilot.press("left")
        assert screen.situation.workload.micro_batch_size == 2
        await pilot.press("u", "ctrl+z", "u")
        assert screen.situation == before

    drive(real(), deed)


def test_every_field_that_has_an_effect_is_a_row(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        rows = " ".join(texts(screen.query_one(AskForm)._rows))
        assert "lora_r" in rows and "sequence_length" in rows and "optimizer" in rows
        assert "context_length" not in rows and "n_gpu_layers" not in rows
        screen.change(screen.situation.having(method="inference", runtime="llama.cpp"))
        await settled(pilot)
        rows = " ".join(texts(screen.query_one(AskForm)._rows))
        assert "context_length" in rows and "n_gpu_layers" in rows and "lora_r" not in rows

    drive(real(), deed)


def test_a_value_is_typed(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await point(pilot, screen, "sequence_length")
        await pilot.press("enter", *"3k", "enter")
        await settled(pilot)
        assert screen.situation.workload.sequence_length == 3072
        await point(pilot, screen, "target_modules")
        await pilot.press("enter", *"q_proj,v_proj", "enter")
        await settled(pilot)
        assert screen.situation.plan.target_modules == ("q_proj", "v_proj")

    drive(real(), deed)


def test_what_is_no_value_is_said_and_not_taken(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        before = screen.situation
        await point(pilot, screen, "lora_r")
        await pilot.press("enter", *"nought")
        await pilot.pause()
        assert "should be a whole number" in screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert screen.situation == before

    drive(real(), deed)


def test_advice_is_applied_and_taken_back(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        before = screen.answer
        assert before is not None and before.options[0].verdict.outcome == "no"
        first = screen.situation
        await pilot.press("a")
        await settled(pilot)
        assert screen.answer is not None
        assert screen.answer.options[0].verdict.outcome == "fits"
        assert screen.situation != first
        await pilot.press("u")
        assert screen.situation == first

    drive(real(quantization="bf16"), deed)


def test_a_model_is_found_by_letters(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("m", *"qwen3-14b", "enter")
        await settled(pilot)
        assert screen.situation.model == "qwen3-14b"
        assert screen.answer is not None and screen.answer.model.id == "qwen3-14b"

    drive(real(), deed)


def test_a_model_that_is_not_there_changes_nothing(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("m", *"./nowhere.json", "enter")
        await settled(pilot)
        assert screen.situation.model == "llama-3.1-8b"
        assert any("nowhere.json is not there" in each.message for each in pilot.app._notifications)

    drive(real(), deed)


def test_a_file_that_is_deleted_is_said_and_the_numbers_stay(real: MakeApp, tmp_path: Path) -> None:
    from vram_advisor.sources.catalog_models import find_record

    path = tmp_path / "config.json"
    path.write_text(json.dumps(find_record("qwen3-8b").config))

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        assert screen.refusal == "" and screen.answer is not None
        path.unlink()
        await point(pilot, screen, "micro_batch_size")
        await pilot.press("right")
        assert "is not there" in screen.refusal and screen.has_class("-stale")
        assert screen.answer is not None

    drive(real(model=str(path)), deed)


def test_a_card_is_chosen_and_several_are_compared(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("g", *"rtx 5090", "enter")
        await settled(pilot)
        assert screen.situation.gpu == "rtx-5090"
        await pilot.press("g", *"a100", "tab", "tab", "enter")
        await settled(pilot)
        text = screen_text(pilot.app)  # type: ignore[arg-type]
        assert "GPUs compared" in text and text.count("a100-") >= 2
        await pilot.press("enter")
        await settled(pilot)
        assert (screen.situation.gpu or "").startswith("a100")

    drive(real(), deed)


def test_a_pin_shows_differences(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("p")
        await point(pilot, screen, "micro_batch_size")
        await pilot.press("right")
        assert any("+" in row for row in texts(screen.query_one(Breakdown)._rows))
        await pilot.press("p")
        assert not any("+" in row for row in texts(screen.query_one(Breakdown)._rows))

    drive(real(quantization="q4"), deed)


def test_the_map_gives_a_cell(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("2", "v", "v")
        await settled(pilot)
        await pilot.press("down", "right", "enter")
        assert screen.situation.workload.sequence_length == 4096
        assert screen.situation.workload.micro_batch_size == 2

    drive(real(quantization="q4"), deed)


def test_the_map_of_inference_has_the_cache(real: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("2", "v", "v")
        await settled(pilot)
        text = screen_text(pilot.app)  # type: ignore[arg-type]
        assert "context_length by KV cache" in text and "q4_0" in text

    drive(real(method="inference", runtime="llama.cpp"), deed)


def test_the_answer_is_exported(real: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.app.user_downloads_path", lambda: tmp_path)

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        screen.action_export()
        for _ in range(100):
            await pilot.pause(0.02)
            if any(tmp_path.rglob("*.json")):
                break

    drive(real(), deed)
    (file,) = tmp_path.rglob("*.json")
    assert json.loads(file.read_text())["model"]["id"] == "llama-3.1-8b"


def test_a_card_that_appears_is_taken(sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        assert screen.answer is not None and screen.answer.device is None
        screen._look_at_cards()
        await settled(pilot)
        assert screen.answer.device is not None and screen.answer.device.name == "Sample 12 GB"

    drive(sampled("busy", NONE, ONE, gpu=None), deed)


def test_a_defect_in_the_background_is_said(sampled: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        app = sampled("fits")
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(pilot)

            def broken(*_: object, **__: object) -> None:
                raise RuntimeError("a defect")

            monkeypatch.setattr(api, "detect", broken)
            screen = app.screen
            assert isinstance(screen, MainScreen)
            screen._look_at_cards()
            await pilot.pause(0.2)
            assert any(each.title == "Defect" for each in app._notifications)
            assert "FITS" in screen_text(app)

    asyncio.run(run())


def settings(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The user's file of settings."""
    file = folder / "vram-advisor.toml"
    file.write_text(text)
    monkeypatch.setenv("VRAM_ADVISOR_CONFIG", str(file))


def test_keys_are_rebound(sampled: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, monkeypatch, 'theme = "okabe-ito"\n[keys]\npin = "x"\n')

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        assert pilot.app.theme == "okabe-ito"
        await pilot.press("p")
        assert screen.pinned is None
        await pilot.press("x")
        assert screen.pinned is not None

    drive(sampled("fits"), deed)


@pytest.mark.parametrize(
    "text", ["theme = 3\n", "colour = 1\n", "[keys\n", "keys = 1\n", '[keys]\npinn = "x"\n', 'theme = "mud"\n']
)
def test_settings_that_cannot_be_used_are_a_sentence(
    text: str, sampled: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path, monkeypatch, text)

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        assert pilot.app.theme == "calm"
        assert any(each.title == "Settings" for each in pilot.app._notifications)

    drive(sampled("fits"), deed)


def test_every_action_that_has_a_name_can_have_another_key() -> None:
    bound = {
        binding.id
        for cls in (AdvisorApp, MainScreen, AskForm)
        for binding in cls.BINDINGS
        if isinstance(binding, Binding)
    }
    assert bound - {None} == set(KEYS)


def test_the_file_of_settings_starts_the_first_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, monkeypatch, 'gpu = "rtx-4080"\nlora_r = 32\ntarget_modules = ["q_proj"]\nascii = true\n')
    found, complaint = read_settings()
    assert complaint is None and found.plain
    assert found.first.gpu == "rtx-4080"
    assert found.first.plan.lora_r == 32 and found.first.plan.target_modules == ("q_proj",)


def test_any_size_is_a_state(sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        for size in ((20, 5), (1, 1), (79, 15), (300, 80)):
            await pilot.resize_terminal(*size)
            await pilot.press("1", "pagedown", "pageup", "2", "v", "4", "e", "escape")
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        assert "FITS" in screen_text(pilot.app)  # type: ignore[arg-type]

    drive(sampled("fits"), deed)


def test_300_models_of_a_store_are_listed(sampled: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from vram_advisor.domain.local_model import LocalModel, LocalModels

    found = tuple(
        LocalModel(name=f"model-{i}", store="ollama", path=f"/models/{i}.gguf", format="gguf", size_bytes=i * 2**30)
        for i in range(300)
    )

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        monkeypatch.setattr(api, "list_local_models", lambda: LocalModels(found))
        await pilot.press("m", *"model-299")
        await pilot.pause()
        assert "299.0 GiB" in screen_text(pilot.app)  # type: ignore[arg-type]

    drive(sampled("fits"), deed)


def test_a_model_of_a_store_is_asked_for_by_its_name(sampled: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from vram_advisor.domain.local_model import LocalModel, LocalModels

    found = (
        LocalModel(name="llama3.1:8b", store="ollama", path="/blobs/sha256-1", format="gguf", size_bytes=5 * 2**30),
        LocalModel(name="tiny", store="llama.cpp", path="/models/tiny.gguf", format="gguf", size_bytes=2**30),
    )

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        monkeypatch.setattr(api, "list_local_models", lambda: LocalModels(found))
        await pilot.press("m", *"llama3.1", "enter")
        await settled(pilot)
        assert "--model ollama:llama3.1:8b" in screen.situation.command()
        await pilot.press("m", *"tiny", "enter")
        await settled(pilot)
        assert "--model /models/tiny.gguf" in screen.situation.command()

    drive(sampled("fits"), deed)


@pytest.mark.parametrize(
    "keys",
    [
        ("m", "pagedown", "down", "enter", "enter", "enter"),
        ("g", "tab", "tab", "enter", "enter", "escape", "escape"),
        ("ctrl+p", "down", "enter", "enter", "escape", "escape"),
        ("e", "j", "escape", "escape", "escape"),
        ("c", "enter", "enter", "escape", "escape", "escape"),
    ],
)
def test_keys_that_come_at_once_leave_the_main_screen_in_place(keys: tuple[str, ...], sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        for key in keys:
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await settled(pilot)
        assert pilot.app.return_code is None
        assert pilot.app.screen_stack[1] is screen

    drive(sampled("fits"), deed)


def test_the_palette_runs_a_command(sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        await pilot.press("ctrl+p", *"baseline", "enter")
        await settled(pilot)
        assert screen.pinned is not None
        await pilot.press("ctrl+p", *"theme", "enter")
        await settled(pilot)
        await pilot.press(*"okabe", "enter")
        await settled(pilot)
        assert pilot.app.theme == "okabe-ito"

    drive(sampled("fits"), deed)


def test_a_click_on_a_key_is_that_key(sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        at = str(screen.query_one("#keys", Static).content).index("p Pin")
        await pilot.click("#keys", offset=(at, 0))
        await settled(pilot)
        assert screen.pinned is not None

    drive(sampled("fits"), deed)


def test_a_theme_changes_no_letter(sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        calm = screen_text(pilot.app)  # type: ignore[arg-type]
        for theme in ("okabe-ito", "nord", "textual-light", "ansi-dark"):
            pilot.app.theme = theme
            await pilot.pause()
            assert screen_text(pilot.app) == calm, theme  # type: ignore[arg-type]

    drive(sampled("tight"), deed)


def test_without_colour_the_text_is_the_same(sampled: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def text() -> str:
        app = sampled("no")

        async def run() -> str:
            async with app.run_test(size=(80, 24)) as pilot:
                await settled(pilot)
                return screen_text(app)

        return asyncio.run(run())

    coloured = text()
    monkeypatch.setenv("NO_COLOR", "1")
    assert text() == coloured


def test_a_question_without_effect_is_not_asked() -> None:
    situation = Situation(workload=Workload(method="inference", micro_batch_size=8), plan=Plan(lora_r=64))
    asked = situation.asked()
    assert asked.workload == Workload(method="inference") and asked.plan == Plan()
    assert situation.command() == f"vram-advisor check --model {situation.model}"
    assert replace(situation, gpu_index=1).command().endswith("--gpu-index 1")


def test_the_command_says_what_the_settings_would_say_otherwise() -> None:
    situation = Situation(workload=Workload(method="lora"))
    plain = f"vram-advisor check --model {situation.model} --method lora"
    assert situation.command(settings={"lora_r": 16, "theme": "nord"}) == plain
    assert situation.command(settings={"lora_r": 32}) == f"{plain} --lora-r 16"
    assert situation.command(settings={"expandable_segments": True}) == f"{plain} --no-expandable-segments"
    # A habit of inference says nothing to a fine-tune, and no option takes back what a recipe decides.
    assert situation.command(settings={"context_length": 1024}) == plain
    assert situation.command(settings={"loss": "liger"}) == f"VRAM_ADVISOR_CONFIG=/dev/null {plain}"


def test_a_model_that_is_deleted_and_comes_back_is_said(real: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    text = json.dumps(
        {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "vocab_size": 256}
    )  # fmt: skip
    file.write_text(text)

    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        assert not screen.refusal
        for there in (False, True):
            if there:
                file.write_text(text)
            else:
                file.unlink()
            screen._look_at_cards()
            await settled(pilot)
            assert ("is not there" in screen.refusal) is not there

    drive(real(str(file)), deed)


def test_lists_that_were_closed_are_let_go_of(sampled: MakeApp) -> None:
    async def deed(pilot: "Pilot[str]", screen: MainScreen) -> None:
        kept = []
        for _ in range(6):
            for _ in range(4):
                await pilot.press("g")
                await pilot.pause()
                await pilot.press("escape")
                await pilot.pause()
            forget_gone_widgets()
            kept.append(drawn())
        # A list has 135 lines here. The last ones may still be told that they are gone; all of them would be 3,200 lines.
        assert max(kept) - min(kept) < 500

    drive(sampled("fits"), deed)


def drawn() -> int:
    """Lines that are kept."""
    return sum(type(each) is Strip for each in gc.get_objects())
