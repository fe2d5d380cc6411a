"""The tools that an agent is offered: a row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vram_advisor.domain.job import Dataset
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.mcp import questions
from vram_advisor.mcp.arguments import Card, Context, Filter, Named, Run, Serving, Telling, refuse_unknown
from vram_advisor.mcp.questions import Answered, Arguments
from vram_advisor.units.errors import BadInput


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool; none of them changes anything."""

    name: str
    title: str
    description: str
    takes: tuple[type, ...]
    """Records whose fields are its arguments."""
    document: str
    """Name of the JSON Schema of its answer."""
    question: Callable[[Arguments], Answered]
    reaches_out: bool
    """It may ask Hugging Face for the configuration of a model that is not in the catalogue."""

    def answer(self, arguments: Arguments) -> Answered:
        """What the tool says.

        Raises:
            BadInput: an argument cannot be used.
            Missing: something that was asked for is not there.
        """
        refuse_unknown(arguments, self.takes)
        return self.question(arguments)


_ROWS = (
    Tool(
        "check",
        "Will it fit?",
        "Predict the GPU memory of a fine-tune or of serving a language model, say whether it fits a card and how likely, "
        "at which moment the peak is, and where the memory goes. Name a model, or the configuration file of a run.",
        (Run, Card, Telling, Workload, Plan),
        "check",
        questions.check,
        True,
    ),
    Tool(
        "advise",
        "What would make it fit?",
        "Search for the changes that make a plan fit a card: smallest, fastest and best in quality, with what they save "
        "and cost, the speed, how far the card goes, and with a dataset the time, energy and money of the whole job.",
        (Run, Card, Serving, Dataset, Workload, Plan),
        "advise",
        questions.advise,
        True,
    ),
    Tool(
        "detect",
        "What does this machine have?",
        "List the GPUs of this machine, their free memory, and the processes that hold the rest.",
        (),
        "detect",
        questions.detect,
        False,
    ),
    Tool(
        "list_models",
        "Models that can be named",
        "List models of the catalogue with their parameters and other names; words narrow the list.",
        (Filter,),
        "models",
        questions.list_models,
        False,
    ),
    Tool(
        "list_gpus",
        "Cards that can be named",
        "List cards of the catalogue with memory and rates; words narrow the list.",
        (Filter,),
        "gpus",
        questions.list_gpus,
        False,
    ),
    Tool(
        "rank_gpus",
        "Which cards would do the job?",
        "Rank cards of the catalogue by how they run a model or train it: those that fit first, with speed and price.",
        (Named, Filter, Card, Workload, Plan),
        "for",
        questions.rank_gpus,
        True,
    ),
    Tool(
        "fit_models",
        "Which models fit the card?",
        "List models of the catalogue that fit a card for a fine-tune or for serving, the largest first, with the longest "
        "sequence that fits; takes seconds without words.",
        (Filter, Card, Workload, Plan),
        "fit",
        questions.fit_models,
        False,
    ),
    Tool(
        "list_local_models",
        "Models on this machine",
        "List the models that Ollama, LM Studio, llama.cpp and Hugging Face have on this machine, whether they fit, and "
        "what running programs have loaded.",
        (Filter, Card, Context),
        "local",
        questions.list_local_models,
        False,
    ),
    Tool(
        "list_calibrations",
        "What was measured here",
        "List the calibrations that correct predictions on this machine, and what each has taught.",
        (),
        "calibrations",
        questions.list_calibrations,
        False,
    ),
)
TOOLS = {tool.name: tool for tool in _ROWS}


def tool_named(name: str) -> Tool:
    """The tool of this name.

    Raises:
        BadInput: there is none.
    """
    if name not in TOOLS:
        raise BadInput(f"There is no tool '{name}': use one of {', '.join(TOOLS)}.")
    return TOOLS[name]
