"""What tools take beside the fields of Workload and Plan, and how their arguments become records.

Annotations of the records are the rules that values are checked by (``units.record``), so they are types, not text.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from vram_advisor.units.errors import BadInput
from vram_advisor.units.record import check_options


@dataclass(frozen=True, kw_only=True)
class Card:
    """The card that is compared with."""

    gpu: str | None = None
    """A card by name, such as rtx-5070 (list_gpus has them); null: the one in this machine."""
    gpu_index: int | None = field(default=None, metadata={"minimum": 0, "maximum": 2**16})
    """Which GPU of this machine."""

    def __post_init__(self) -> None:
        check_options(self)
        if self.gpu is not None and self.gpu_index is not None:
            raise BadInput("gpu names a card and gpu_index takes one of this machine: use one of the two.")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The model, by name or by the file of another program that describes the whole run."""

    model: str | None = None
    """Alias (7b, llama-3.1-8b), path of a config.json, model folder, .safetensors or .gguf file, or owner/name on
    Hugging Face."""
    config: str | None = None
    """Path of a configuration file of a training or serving program (Axolotl, LLaMA-Factory, TRL, Unsloth, torchtune,
    LitGPT, DeepSpeed, Accelerate, vLLM, llama-server, Ollama); other arguments override it."""
    config_format: str | None = None
    """Whose file it is, where its keys do not tell."""
    calibrated: bool = True
    """Correct the answer by what was measured on this card, or with this recipe."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How a check answers."""

    trace: bool = False
    """Answer by a trace of the real training code on tensors without memory; takes seconds, and needs PyTorch."""
    explain: bool = False
    """Say every product behind every number, and everything that was assumed, in the text too."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How advice answers."""

    explain: bool = False
    """Say how the result of a fine-tune is run, and what that needs."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Named:
    """A model by name."""

    model: str
    """Alias (7b, llama-3.1-8b), path of a config.json, model folder, .safetensors or .gguf file, or owner/name on
    Hugging Face."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which rows of a list."""

    words: tuple[str, ...] = ()
    """Words that one of the names has to contain, such as rtx 40; none: everything."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What models on this machine are to be run with."""

    context_length: int = field(default=4096, metadata={"minimum": 1, "maximum": 2**40})
    """Tokens that the cache holds."""

    def __post_init__(self) -> None:
        check_options(self)


def given(record: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are fields of a record."""
    return {each.name: arguments[each.name] for each in fields(record) if each.name in arguments}


def refuse_unknown(arguments: Mapping[str, Any], takes: tuple[type, ...]) -> None:
    """Refuse arguments that a tool does not take, and the lack of one that it needs.

    Raises:
        BadInput: one sentence that names the argument and the nearest that there is.
    """
    known = {each.name: each for record in takes for each in fields(record)}
    for name in arguments:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise BadInput(f"There is no argument '{name}'{f'; the nearest is {near[0]}' if near else ''}.")
    for name, each in known.items():
        if each.default is MISSING and name not in arguments:
            raise BadInput(f"The argument {name} is missing.")
