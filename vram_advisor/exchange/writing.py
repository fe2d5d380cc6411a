"""A plan written by the table of a program."""

from __future__ import annotations

from dataclasses import dataclass, field

from vram_advisor.domain.plan import INFERENCE_ONLY, LLAMA_CPP_ONLY, TRAINING_ONLY, Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.exchange.documents import shown
from vram_advisor.exchange.keys import DEFAULTS, UNSET, Choice, Document, Key, Program, Switches, Value
from vram_advisor.exchange.values import field_of, written
from vram_advisor.units.errors import BadInput

WEIGHTLESS = frozenset({"lora_alpha", "use_rslora"})
"""Fields without effect on memory."""
ADAPTER_FIELDS = frozenset({"lora_r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save", "use_rslora"})
UNSAID = frozenset({"recipe", "runtime", "method"})
"""Fields that the choice of the program says."""


@dataclass
class _Writing:
    """What has been written so far."""

    document: Document = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)


def write(program: Program, model: str | None, workload: Workload, plan: Plan) -> tuple[Document, tuple[str, ...]]:
    """The document of a plan, and sentences about what it cannot express.

    A field that is None is left to the program.
    """
    workload, plan = program.settle(workload, plan)
    state = _Writing(dict(program.constants))
    for row in program.rows:
        if workload.method not in row.methods or (isinstance(row, Key) and row.read_only):
            continue
        values = tuple(field_of(workload, plan, model, name) for name in row.fields)
        if isinstance(row, Key):
            _write_key(row, values[0], state)
        elif isinstance(row, Choice):
            _write_choice(program, row, values, state)
        else:
            _write_switches(program, row, values[0], state)
    state.lost += _unsaid(program, workload, plan, state.said)
    return program.finish(state.document, workload, plan), tuple(dict.fromkeys(state.lost))


def _write_key(row: Key, value: Value, state: _Writing) -> None:
    state.said.add(row.field)
    if value is None or (value == () and row.default is None):
        return
    state.document[row.key] = written(row, value)


def _write_choice(program: Program, row: Choice, values: tuple[Value, ...], state: _Writing) -> None:
    state.said.update(row.fields)
    if all(value is None for value in values) and not any(None in r.meant for r in row.rows):
        return
    rows = [r for r in row.rows if not r.read_only]
    fitting = [r for r in rows if all(v is None or v == m for v, m in zip(values, r.meant, strict=True))]
    exact = [r for r in fitting if r.meant == values]
    chosen = next(iter([*exact, *fitting]), None)
    if chosen is None:
        # What is nearest keeps most of the fields; the rest is said.
        if "model" in row.fields and not any(values[row.fields.index("model")] in r.meant for r in rows):
            raise BadInput(f"{program.title} has no model of its own for {values[row.fields.index('model')]}.")
        chosen = max(rows, key=lambda r: _common(values, r.meant))
        for name, value, meaning in zip(row.fields, values, chosen.meant, strict=True):
            if value is not None and value != meaning:
                instead = "it is left out" if meaning is None else f"{shown(meaning)} is written"
                state.lost.append(f"{program.title} cannot express {_option(name)} {shown(value)}: {instead}.")
    for key, value in zip(row.keys, chosen.written, strict=True):
        if value not in (None, UNSET) and not (value is False and row.defaults.get(key) is None):
            state.document[key] = value
    state.document |= chosen.also


def _common(values: tuple[Value, ...], meant: tuple[Value, ...]) -> tuple[int, ...]:
    """How much of what is wanted a row has, the first fields first."""
    return tuple(int(value is None or value == meaning) for value, meaning in zip(values, meant, strict=True))


def _write_switches(program: Program, row: Switches, value: Value, state: _Writing) -> None:
    state.said.add(row.field)
    wanted = row.whole if value == (row.whole_name,) else value
    assert isinstance(wanted, tuple)
    left = set(wanted)
    for switch in row.switches:
        on = set(switch.modules) <= set(wanted)
        if on:
            left -= set(switch.modules)
        if switch.member is None:
            state.document[switch.key] = on
        else:
            members = state.document.setdefault(switch.key, ())
            state.document[switch.key] = (*members, switch.member) if on else members
    if left:
        state.lost.append(f"{program.title} cannot express {_option(row.field)} {' '.join(sorted(left))}: left out.")


def _unsaid(program: Program, workload: Workload, plan: Plan, said: set[str]) -> list[str]:
    """Fields that no key of the program holds and that are not as the program does anyway."""
    trains = workload.trains
    idle = (INFERENCE_ONLY | LLAMA_CPP_ONLY) if trains else TRAINING_ONLY
    idle |= WEIGHTLESS | UNSAID | said | (frozenset() if trains and workload.method != "full" else ADAPTER_FIELDS)
    habits = recipe(program.recipe or plan.recipe)
    usual: dict[str, Value] = {name: getattr(habits, name) for name in _BY_RECIPE} if trains else {}
    if not habits.autocast:
        usual["mixed_precision"] = "none"
    lost: list[str] = []
    script: list[str] = []
    for record in (workload, plan):
        for name, value in vars(record).items():
            if name in idle or value is None or value in (usual.get(name), DEFAULTS[name]):
                continue
            where = program.elsewhere.get(name)
            if where is None and program.recipe is None and program.runtime is None:
                script.append(f"{_option(name)} {shown(value)}")
                continue
            lost.append(
                f"{program.title} takes {_option(name)} {shown(value)} from elsewhere: {where}."
                if where
                else f"{program.title} cannot express {_option(name)} {shown(value)}: it is left out."
            )
    if script:
        lost.append(f"{program.title} leaves {', '.join(script)} to the training script.")
    return lost


_BY_RECIPE = ("optimizer", "gradient_checkpointing", "attn_implementation", "loss")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
