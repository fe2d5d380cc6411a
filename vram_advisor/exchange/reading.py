"""A document of keys read by the table of its program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vram_advisor.domain.imported import Imported, Used
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import DEFAULT_RECIPE
from vram_advisor.exchange.documents import shown
from vram_advisor.exchange.keys import UNSET, Choice, Document, Key, Program, Switches, Value, kind_of
from vram_advisor.exchange.values import TRUTHS, is_nothing, meant, placed
from vram_advisor.units.errors import BadInput, NotModelled

LISTED = 20
"""Values that a sentence lists."""


@dataclass
class _Reading:
    """What has been understood so far."""

    workload: Workload
    plan: Plan
    model: str | None = None
    used: dict[str, tuple[str, ...]] = field(default_factory=dict)
    idle: set[str] = field(default_factory=set)


def read(program: Program, document: Document, where: str) -> Imported:
    """The run that a document describes.

    Args:
        document: keys with dots.
        where: the file, for sentences.

    Raises:
        BadInput: a value is of the wrong type or out of bounds.
        NotModelled: it describes a run that is not estimated.
    """
    spelt = {program.named(program.aliases.get(key, key)): key for key in document}
    given = {key: document[written] for key, written in spelt.items()}
    refuse(program, given, spelt, where)
    try:
        prepared = program.prepare(dict(given))
    except BadInput as error:
        raise type(error)(f"{where}: {error}") from None
    values = {
        key: value
        for key, value in prepared.values.items()
        if not is_nothing(value) and not (isinstance(value, str) and value.lower() in program.auto)
    }
    plan = Plan(recipe=program.recipe or DEFAULT_RECIPE, runtime=program.runtime)
    state = _Reading(Workload(method=program.method), plan)  # type: ignore[arg-type]
    for row in program.rows:
        if state.workload.method not in row.methods:
            state.idle.update(row.keys)
        elif isinstance(row, Key):
            _read_key(row, values, state, where)
        elif isinstance(row, Choice):
            _read_choice(row, values, state, where)
        else:
            _read_switches(row, values, state, where)
    workload, plan = program.settle(state.workload, state.plan)
    used: dict[str, tuple[str, ...]] = {}
    for key, names in state.used.items():
        behind = prepared.origin.get(key, key)
        used[behind] = (*used.get(behind, ()), *names)
    left = [key for key in given if key not in used]
    idle = {*state.idle, *(key for row in program.rows for key in row.keys)}
    idle |= prepared.referred
    irrelevant = [key for key in left if key in idle or _below(key, program.irrelevant) or _empty(key, given, program)]
    heavy = [key for key in left if key not in irrelevant and _below(key, program.not_modelled | program.usual)]
    weightless = [key for key in heavy if _off(given[key]) != (key in program.usual)]
    known = {*irrelevant, *heavy}
    for key in left:
        held = next((name for name in idle if key.startswith(f"{name}.")), None)
        if held is not None and key not in known:
            raise BadInput(f"{where}: {held}: a mapping should be one value.")
    return Imported(
        program=program.name,
        title=program.title,
        source=where,
        model=state.model,
        workload=workload,
        plan=plan,
        used=tuple(Used(spelt[key], shown(given[key]), names) for key, names in used.items() if key in given),
        irrelevant=tuple(spelt[key] for key in left if key in irrelevant or key in weightless),
        not_modelled=tuple(spelt[key] for key in heavy if key not in weightless),
        unknown=tuple(spelt[key] for key in left if key not in known),
        assumed=_assumed(program, state),
        says_method="method" in program.fields or program.runtime is not None,
        model_context=prepared.model_context,
    )


def _assumed(program: Program, state: _Reading) -> tuple[str, ...]:
    """Fields of a fine-tune that no key says and that the program has no default for."""
    if program.runtime is not None or not state.workload.trains:
        return ()
    said = {name for names in state.used.values() for name in names}
    said |= {row.field for row in program.rows if isinstance(row, Key) and row.default is not None}
    return tuple(name for name in ("sequence_length", "micro_batch_size") if name not in said)


def refuse(program: Program, given: Document, spelt: dict[str, str], where: str) -> None:
    """Raises NotModelled where a key makes another run of it."""
    for key, reason in program.refused.items():
        if key in given and not _off(given[key]):
            raise NotModelled(f"{where}: {spelt[key]}: {shown(given[key])}: {reason}.")


def _below(key: str, names: frozenset[str]) -> bool:
    """Whether a key or one above it is among the names."""
    while key:
        if key in names:
            return True
        key = key.rpartition(".")[0]
    return False


def _empty(key: str, given: Document, program: Program) -> bool:
    """Whether a key is there with nothing below it, where a section of the program's keys would stand."""
    names = {name for row in program.rows for name in row.keys} | program.irrelevant | program.not_modelled
    return is_nothing(given[key]) and any(name.startswith(f"{key}.") for name in names)


def _off(value: Any) -> bool:
    """Whether a value switches its key off."""
    return is_nothing(value) or value in (False, 0, "false", "False", "0") or value == []


def _read_key(row: Key, values: Document, state: _Reading, where: str) -> None:
    if row.key not in values:
        if row.default is not None:
            state.workload, state.plan = placed(state.workload, state.plan, row.field, row.default, where, row.key)
        return
    value = meant(row, values[row.key], kind_of(row.field), where, row.key)
    state.used[row.key] = (row.field,)
    _place(state, row.field, value, where, row.key)


def _place(state: _Reading, name: str, value: Value, where: str, key: str) -> None:
    if name == "model":
        state.model = str(value)
    elif value is not None:
        state.workload, state.plan = placed(state.workload, state.plan, name, value, where, key)


def _read_choice(row: Choice, values: Document, state: _Reading, where: str) -> None:
    found = tuple(values.get(key, row.defaults.get(key)) for key in row.keys)
    fitting = next((r for r in row.rows if all(map(fits, found, r.written))), None)
    present = [key for key in row.keys if key in values]
    if fitting is None:
        raise _unfitting(row, values, found, where)
    for name, value in zip(row.fields, fitting.meant, strict=True):
        _place(state, name, value, where, ", ".join(present) or row.keys[0])
    state.used |= dict.fromkeys(present, row.fields)


def fits(value: Any, wanted: Value) -> bool:
    """Whether a value of a file is the one of a table; false and nothing are one, and words of a command are read."""
    if UNSET in (value, wanted):
        return bool(value == wanted)
    if isinstance(wanted, bool) or wanted is None:
        truth = TRUTHS.get(value.lower(), value) if isinstance(value, str) else value
        return (truth is None or isinstance(truth, bool)) and bool(truth) == bool(wanted)
    if isinstance(wanted, int) and isinstance(value, str):
        return value == str(wanted)
    if isinstance(wanted, str):
        return isinstance(value, str) and value.lower() == wanted.lower()
    return type(value) is type(wanted) and bool(value == wanted)


def _unfitting(row: Choice, values: Document, found: tuple[Any, ...], where: str) -> BadInput:
    """What is wrong with values that no row of a table has."""
    for i, key in enumerate(row.keys):
        if key in values and not any(fits(found[i], r.written[i]) for r in row.rows):
            known = list(dict.fromkeys(shown(r.written[i]) for r in row.rows if r.written[i] not in (None, UNSET)))
            if isinstance(found[i], list | dict):
                return BadInput(f"{where}: {key}: {shown(found[i])} should be one of {_listed(known)}.")
            return NotModelled(
                f"{where}: {key}: {shown(found[i])} is not modelled: this program knows {_listed(known)}."
            )
    said = ", ".join(f"{key}: {shown(values[key])}" for key in row.keys if key in values)
    return NotModelled(f"{where}: {said}: this combination is not modelled.")


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more


def _read_switches(row: Switches, values: Document, state: _Reading, where: str) -> None:
    modules: list[str] = []
    for switch in row.switches:
        on = switch.default if switch.key not in values else False
        if switch.key in values:
            value = values[switch.key]
            state.used[switch.key] = (row.field,)
            if switch.member is None:
                truth = TRUTHS.get(value.lower()) if isinstance(value, str) else value
                if not isinstance(truth, bool):
                    raise BadInput(f"{where}: {switch.key}: {shown(value)} should be true or false.")
                on = truth
            else:
                if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                    raise BadInput(f"{where}: {switch.key}: {shown(value)} should be a list of text.")
                members = {s.member for s in row.switches if s.key == switch.key}
                for each in value:
                    if each not in members:
                        raise BadInput(
                            f"{where}: {switch.key}: {shown(each)} should be one of {_listed(sorted(filter(None, members)))}."
                        )
                on = switch.member in value
        if on:
            modules += switch.modules
    if not modules:
        raise BadInput(f"{where}: {', '.join(row.keys)}: no layer gets an adapter, so nothing would be trained.")
    made = (row.whole_name,) if row.whole and tuple(modules) == row.whole else tuple(modules)
    state.workload, state.plan = placed(state.workload, state.plan, row.field, made, where, row.keys[0])
