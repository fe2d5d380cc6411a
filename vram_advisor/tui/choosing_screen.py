"""Values, models and cards are chosen from lists; several are compared side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import on, work
from textual.message import Message
from textual.worker import get_current_worker

from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Machine
from vram_advisor.tui import catalogue
from vram_advisor.tui.asking import Refusal, ask
from vram_advisor.tui.asking_screen import AskingScreen
from vram_advisor.tui.knobs import DEPENDENT, knobs, parsed, steps
from vram_advisor.tui.knobs import shown as as_text
from vram_advisor.tui.screens.comparison import Compared, Comparison
from vram_advisor.tui.screens.picker import Picker
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.titles import asked, chosen_index
from vram_advisor.tui.widgets.ask_form import AskForm
from vram_advisor.units.errors import BadInput


class ChoosingScreen(AskingScreen):
    """Changes the question."""

    @dataclass
    class Resolved(Message):
        """A model that had to be looked for was found, or not."""

        situation: Situation
        result: Answer | Refusal

    @dataclass
    class ComparisonMade(Message):
        """Answers side by side."""

        title: str
        situations: dict[str, Situation]
        compared: tuple[Compared, ...]

    # Levers

    @on(AskForm.Turned)
    def turn(self, event: AskForm.Turned) -> None:
        """The next value that is legal; where none is, the next one, and the reason."""
        if event.field not in knobs():
            return
        knob = knobs()[event.field]
        following = steps(knob, self.situation.value(event.field), event.by)
        for value in following:
            try:
                candidate = self.situation.having(**{event.field: value})
            except BadInput:
                continue
            if event.field not in DEPENDENT:
                self.change(candidate)
                return
            if not isinstance(ask(candidate, self.machine, self.shelf), Refusal):
                self.change(candidate)
                return

    @on(AskForm.Opened)
    def open(self, event: AskForm.Opened) -> None:
        """Choose or type a value."""
        if event.field == "model":
            self.action_model()
        elif event.field == "gpu":
            self.action_gpu()
        else:
            self.choose_value(event.field)

    def choose_value(self, name: str) -> None:
        """Offer the values of a field."""
        knob = knobs()[name]

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self.change(self.situation.having(**{name: parsed(knob, chosen[0])}))

        present = as_text(self.situation.value(name))
        self.app.push_screen(
            Picker(
                self.look, name, catalogue.values(knob), chosen=present, check=lambda text: parsed(knob, text),
                hint=f"now {present}; type a value", about=catalogue.about(knob),
            ),
            take,
        )  # fmt: skip

    # Models and cards

    def action_model(self) -> None:
        """Choose a model, a file or a repository."""
        here = catalogue.local_models()
        for entry, path in here.items():
            self.shelf.put_at(entry.name, path)
        entries = (*here, *catalogue.catalogue_models())

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen and len(chosen) > 1:
                self.compare("Models", [replace(self.situation, model=name) for name in chosen], list(chosen))
            elif chosen:
                self.choose_model(chosen[0])

        self.app.push_screen(
            Picker(
                self.look, "Model", entries, chosen=self.situation.model, several=True, check=_model_name,
                hint="name, path or Hugging Face id",
            ),
            take,
        )  # fmt: skip

    def choose_model(self, name: str) -> None:
        """Look for a model without holding up the screen: it may be read from a disk or asked for over a network."""
        self.notify(f"Reading {name} ...", timeout=1.5, markup=False)
        self._resolve(replace(self.situation, model=name), self.machine)

    @work(thread=True, exclusive=True, group="model", exit_on_error=False)
    def _resolve(self, situation: Situation, machine: Machine | None) -> None:
        self.post_message(self.Resolved(situation, ask(situation, machine, self.shelf)))

    @on(Resolved)
    def resolved(self, event: Resolved) -> None:
        """Ask about the model that was found; where none was, nothing changes but a sentence."""
        if isinstance(event.result, Refusal):
            self.notify(event.result.sentence, title="No such model", severity="warning", timeout=8, markup=False)
        else:
            self.change(event.situation)

    def action_gpu(self) -> None:
        """Choose a card."""
        entries = (*catalogue.machine_gpus(self.machine), *catalogue.catalogue_gpus())
        index = chosen_index(self.situation, self.machine)
        present = self.situation.gpu or (None if index is None else f"{catalogue.HERE}{index}")

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen and len(chosen) > 1:
                self.compare("GPUs", [self._on_card(name) for name in chosen], [_card_title(name) for name in chosen])
            elif chosen:
                self.change(self._on_card(chosen[0]))

        self.app.push_screen(
            Picker(self.look, "GPU", entries, chosen=present, several=True, hint="name or memory"), take
        )

    def _on_card(self, name: str) -> Situation:
        if name.startswith(catalogue.HERE):
            return replace(self.situation, gpu=None, gpu_index=int(name.removeprefix(catalogue.HERE)))
        return replace(self.situation, gpu=name, gpu_index=None)

    # Comparisons

    def compare(self, title: str, situations: list[Situation], names: list[str]) -> None:
        """Ask the same of several, and show the answers side by side."""
        self._compare(title, situations, names, self.machine)

    @work(thread=True, exclusive=True, group="comparison", exit_on_error=False)
    def _compare(self, title: str, situations: list[Situation], names: list[str], machine: Machine | None) -> None:
        worker = get_current_worker()
        found = []
        for situation, name in zip(situations, names, strict=True):
            if worker.is_cancelled:
                return
            found.append(Compared(name, ask(situation, machine, self.shelf)))
        self.post_message(self.ComparisonMade(title, dict(zip(names, situations, strict=True)), tuple(found)))

    @on(ComparisonMade)
    def show_comparison(self, event: ComparisonMade) -> None:
        """The table; the row that is taken becomes the question."""

        def take(name: str | None) -> None:
            if name is not None:
                self.change(event.situations[name])

        what = asked(self.situation) if event.title == "GPUs" else asked(self.situation).partition(" · ")[2]
        self.app.push_screen(Comparison(self.look, f"{event.title} compared", what, event.compared), take)


def _card_title(name: str) -> str:
    return f"GPU {name.removeprefix(catalogue.HERE)} here" if name.startswith(catalogue.HERE) else name


def _model_name(text: str) -> None:
    """Any path or repository may be asked for: whether it is there is found out when it is read."""
    if not text.isprintable():
        raise BadInput("A name of a model has printable letters only.")
