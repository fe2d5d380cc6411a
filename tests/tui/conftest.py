"""The app on sample answers, with cards that a test puts in and pulls out."""

import pytest
from samples import NONE, NOW, Door, Kind, MakeApp, cards, readings, records

from vram_advisor import api
from vram_advisor.domain.local_model import LocalModels
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.hardware import nvidia
from vram_advisor.hardware.reading import Reading
from vram_advisor.tui import asking_screen, catalogue
from vram_advisor.tui.app import AdvisorApp
from vram_advisor.tui.situation import Situation


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are read when a test says so."""
    monkeypatch.setattr(asking_screen, "EVERY", 3600.0)
    monkeypatch.setattr(asking_screen, "PAUSE", 0.01)


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """Makes an app whose program gives sample answers of one kind, on a machine with some cards."""

    def make(
        kind: Kind = "fits", *reading: Reading, gpu: str | None = "card-12", method: str = "lora", plain: bool = False
    ) -> AdvisorApp:
        door, found = Door(kind), readings(*(reading or (NONE,)))
        catalogue.catalogue_models.cache_clear()
        catalogue.catalogue_gpus.cache_clear()
        catalogue._cards.cache_clear()
        monkeypatch.setattr(api, "check", door.check)
        monkeypatch.setattr(api, "advise", door.advise)
        monkeypatch.setattr(api, "list_models", records)
        monkeypatch.setattr(api, "list_gpus", cards)
        monkeypatch.setattr(api, "list_local_models", lambda: LocalModels(()))
        monkeypatch.setattr(nvidia, "probe", lambda *_, **__: next(found))
        workload = Workload(method=method)  # type: ignore[arg-type]
        plan = Plan(runtime="llama.cpp") if kind == "offload" else Plan()
        situation = Situation(model="sample-7b", gpu=gpu, workload=workload, plan=plan)
        return AdvisorApp(situation=situation, plain=plain, now=lambda: NOW)

    return make


@pytest.fixture
def real() -> MakeApp:
    """Makes an app on the program itself, for a card of the catalogue."""

    def make(
        model: str = "llama-3.1-8b", gpu: str | None = "rtx-4080", method: str = "lora", **levers: object
    ) -> AdvisorApp:
        situation = Situation(model=model, gpu=gpu, workload=Workload(method=method))  # type: ignore[arg-type]
        return AdvisorApp(situation=situation.having(**levers), now=lambda: NOW)

    return make
