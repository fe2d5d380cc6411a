"""The rows of the form: every field of ``Workload`` and ``Plan``, its legal values, and how a value is typed and shown."""

from __future__ import annotations

import ast
import inspect
import types
from dataclasses import Field, dataclass, fields, replace
from functools import cache
from typing import Any, Union, get_args, get_origin

from vram_advisor.domain.plan import INFERENCE_ONLY, LLAMA_CPP_ONLY, TRAINING_ONLY, Plan, Workload
from vram_advisor.domain.serving import GGUF_RUNTIMES, runtime_of
from vram_advisor.report.choices import TABLES, choices, names
from vram_advisor.units.errors import BadInput
from vram_advisor.units.record import choices as words_of

RECORDS = (Workload, Plan)
ADAPTER_ONLY = frozenset({"lora_r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save", "use_rslora"})
"""Fields without effect where no adapter is trained."""
FINE_TUNE_ONLY = frozenset({"recipe", "use_reentrant", "sharding", "offload"}) | ADAPTER_ONLY | TRAINING_ONLY
"""Fields without a meaning at inference."""
ONE_RUNTIME = {"gpu_memory_utilization": "vllm", "cache_implementation": "transformers"}
"""Fields that only one runtime reads."""
DEPENDENT = frozenset(TABLES) | {"cache_type_k", "cache_type_v"}
"""Fields whose legal values depend on the others."""
TRUE, FALSE, UNSET = ("on", "yes", "true"), ("off", "no", "false"), ("auto", "none", "")
FRACTION = 0.05
"""Step of a share."""
LARGEST = 2**20
"""Suggested values end here; larger ones can be typed."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One field as a row."""

    name: str
    record: type[Workload] | type[Plan]
    kind: Any
    """Its type without the None."""
    optional: bool
    default: Any
    lowest: float | None
    highest: float | None

    @property
    def words(self) -> tuple[str, ...]:
        """What may be written, where that is a list."""
        return tuple(names(self.name)) if self.name in TABLES else words_of(self.kind)


@cache
def knobs() -> dict[str, Knob]:
    """All fields of the ask and the levers, in the order of their declaration."""
    return {field.name: _knob(field, record) for record in RECORDS for field in fields(record)}


def idle(workload: Workload, plan: Plan) -> frozenset[str]:
    """Fields without effect on what is asked."""
    found = set(INFERENCE_ONLY | {"runtime"} if workload.trains else FINE_TUNE_ONLY)
    if workload.method == "full":
        found |= ADAPTER_ONLY | {"quantization"}
    runtime = runtime_of(workload, plan)
    if workload.trains or runtime not in GGUF_RUNTIMES:
        found |= LLAMA_CPP_ONLY
    if runtime == "transformers":
        found.add("swa_full")
    found |= {name for name, only in ONE_RUNTIME.items() if runtime != only}
    return frozenset(found)


def heeded(name: str, workload: Workload) -> bool:
    """Whether a command heeds what the file of settings says of a field: habits of another method are passed over."""
    if not workload.trains:
        return name not in TRAINING_ONLY | ADAPTER_ONLY
    adapters = frozenset() if workload.method != "full" else ADAPTER_ONLY
    return name not in INFERENCE_ONLY | LLAMA_CPP_ONLY | {"runtime"} | adapters


def effective(workload: Workload, plan: Plan) -> tuple[Workload, Plan]:
    """The same question without the settings that have no effect on it."""
    unused = idle(workload, plan)
    reset = {name: knob for name, knob in knobs().items() if name in unused}
    return (
        replace(workload, **{name: knob.default for name, knob in reset.items() if knob.record is Workload}),
        replace(plan, **{name: knob.default for name, knob in reset.items() if knob.record is Plan}),
    )


def steps(knob: Knob, value: Any, by: int) -> list[Any]:
    """The values that follow, nearest first; ``by`` is 1 or -1."""
    if knob.kind is bool or knob.words:
        ladder: list[Any] = [False, True] if knob.kind is bool else list(knob.words)
        ladder = [None, *ladder] if knob.optional else ladder
        at = ladder.index(value) if value in ladder else 0
        return [ladder[(at + by * i) % len(ladder)] for i in range(1, len(ladder))]
    if get_origin(knob.kind) is tuple:
        return []
    return _next_number(knob, value, by)


def suggested(knob: Knob) -> list[Any]:
    """Values worth offering where the field is opened."""
    unset = [None] if knob.optional else []
    if knob.kind is bool:
        return [*unset, True, False]
    if knob.words:
        return [*unset, *knob.words]
    if knob.kind is int:
        first = int(knob.lowest or 0)
        return [*unset, *([0] if first == 0 else []), *(n for n in (2**i for i in range(21)) if first <= n <= LARGEST)]
    return unset


def shown(value: Any) -> str:
    """A value as a person reads and types it."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def parsed(knob: Knob, text: str) -> Any:
    """What was typed, as a value of the field.

    Raises:
        BadInput: it is no value of this field; one sentence says what is.
    """
    typed = text.strip()
    value: Any = typed
    if knob.optional and typed.lower() in UNSET:
        value = None
    elif knob.kind is bool:
        value = True if typed.lower() in TRUE else False if typed.lower() in FALSE else typed
    elif knob.kind in (int, float):
        value = _number(typed, knob.kind)
    elif get_origin(knob.kind) is tuple:
        of = get_args(knob.kind)[0]
        parts = [] if typed.lower() in UNSET else typed.replace(",", " ").split()
        value = tuple(_number(part, of) if of is float else part for part in parts)
    if knob.name in TABLES and value is not None and value not in knob.words:
        from difflib import get_close_matches

        near = get_close_matches(typed, knob.words, n=1)
        raise BadInput(f"{typed or 'nothing'} is no {knob.name}{f': the nearest is {near[0]}' if near else ''}.")
    replace(knob.record(), **{knob.name: value})
    return value


@cache
def descriptions() -> dict[str, str]:
    """The sentence below each field where it is declared."""
    found: dict[str, str] = {}
    for record in RECORDS:
        body = ast.parse(inspect.getsource(record)).body[0]
        assert isinstance(body, ast.ClassDef)
        for above, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(above, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(above.target, ast.Name):
                assert isinstance(below.value, ast.Constant)
                found[above.target.id] = " ".join(str(below.value.value).split())
    return found


def explanations(knob: Knob) -> dict[str, str]:
    """What each value of a table is, and what is known about it."""
    if knob.name not in TABLES:
        return {}
    return {row.name: f"{row.title} ({row.evidence})" for row in choices(knob.name)}


def _knob(field: Field[Any], record: type[Workload] | type[Plan]) -> Knob:
    kind: Any = field.type
    members = get_args(kind) if get_origin(kind) in (types.UnionType, Union) else (kind,)
    kept = [member for member in members if member is not types.NoneType]
    bounds = field.metadata
    return Knob(
        field.name,
        record,
        kept[0],
        len(kept) < len(members),
        field.default,
        bounds.get("minimum", bounds.get("exclusiveMinimum")),
        bounds.get("maximum", bounds.get("exclusiveMaximum")),
    )


def _next_number(knob: Knob, value: Any, by: int) -> list[Any]:
    """Powers of two for counts, single steps for what may be none, twentieths for shares."""
    lowest, highest = knob.lowest, knob.highest
    if value is None:
        return [2**9 if lowest else 0] if by > 0 else []
    if knob.kind is float and highest is not None:
        candidate: Any = round(value + by * FRACTION, 4)
    elif knob.kind is int and lowest == 0:
        candidate = value + by
    elif by > 0:
        candidate = 2 ** int(value).bit_length()
    else:
        candidate = 2 ** ((int(value) - 1).bit_length() - 1) if value > 1 else 0
    if lowest is not None and candidate < lowest:
        return [None] if knob.optional else []
    try:
        replace(knob.record(), **{knob.name: candidate})
    except BadInput:
        return []
    return [candidate]


def _number(text: str, kind: type) -> Any:
    """A number with thousands separated as people do, and k for 1024; the text where it is none."""
    plain = text.replace(",", "").replace("_", "").replace(" ", "")
    factor = 1
    if plain[-1:].lower() == "k":
        plain, factor = plain[:-1], 1024
    try:
        return kind(plain) * factor
    except ValueError:
        return text
