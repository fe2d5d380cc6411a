"""The table of keys of a program: reading a file and writing one are two views of it.

A row ties keys of the file to fields of Workload and Plan. Keys are written with dots where they are nested. ``model``
stands beside the fields for the name of the model. In a table of values, None in the column of a key means that the
key is not there (or false), and the first row that fits is taken in both directions, so a later row with the same
fields is one that is read but never written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from vram_advisor.domain.plan import Plan, Runtime, Workload

Value = None | bool | int | float | str | tuple[Any, ...]
Document = dict[str, Any]
"""Keys with dots and their values."""
Kind = Literal["int", "float", "bool", "text", "texts", "numbers"]

ADAPTERS = frozenset({"lora", "qlora", "dora"})
TRAINING = ADAPTERS | {"full"}
SERVING = frozenset({"inference"})

DEFAULTS: Mapping[str, Any] = {f.name: f.default for record in (Workload, Plan) for f in fields(record)}
WORKLOAD = frozenset(f.name for f in fields(Workload))
_TYPES = {f.name: f.type for record in (Workload, Plan) for f in fields(record)}
_KINDS: tuple[tuple[Any, Kind], ...] = (
    (bool, "bool"), (bool | None, "bool"), (int, "int"), (int | None, "int"), (float, "float"),
    (tuple[str, ...], "texts"), (tuple[float, ...], "numbers"),
)  # fmt: skip


def names(text: str, below: str = "") -> frozenset[str]:
    """Names of keys, separated by spaces, all under the same key where one is given."""
    return frozenset(f"{below}{name}" for name in text.split())


def kind_of(name: str) -> Kind:
    """What a field holds."""
    return next((kind for type_, kind in _KINDS if _TYPES.get(name) == type_), "text")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that holds one field as it is."""

    key: str
    field: str
    default: Value = None
    """What the program takes where the key is missing; None: the default of the field."""
    methods: frozenset[str] = TRAINING | SERVING
    """Methods that the row is for; under others the key does nothing."""
    separator: str = ""
    """Lists are one text with this between their parts."""
    words: tuple[tuple[Value, Value], ...] = ()
    """Values that the program writes in another way: written, meant."""
    read_only: bool = False
    """Understood, and not written."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the row."""
        return (self.key,)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the row."""
        return (self.field,)


@dataclass(frozen=True, slots=True)
class Row:
    """Values of keys, and the values of fields that they mean."""

    written: tuple[Value, ...]
    meant: tuple[Value, ...]
    also: Mapping[str, Value] = field(default_factory=dict)
    """Keys that have to stand beside them, which say nothing more."""
    read_only: bool = False
    """Of another version of the program: understood, and not written."""


UNSET = "(not set)"
"""In the column of a key: it is not there, which is not the same as false. Such a key has this as its default."""


def _beside(a: Row, b: Row) -> Row:
    return Row(a.written + b.written, a.meant + b.meant, {**a.also, **b.also}, a.read_only or b.read_only)


def combined(*tables: tuple[Row, ...]) -> tuple[Row, ...]:
    """All combinations of the rows of several tables, side by side."""
    made: tuple[Row, ...] = (Row((), ()),)
    for rows in tables:
        made = tuple(_beside(a, b) for a in made for b in rows)
    return made


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Keys that together choose one of few combinations of fields."""

    keys: tuple[str, ...]
    fields: tuple[str, ...]
    rows: tuple[Row, ...]
    defaults: Mapping[str, Value] = field(default_factory=dict)
    """What the program takes where a key is missing and that is not false or nothing."""
    methods: frozenset[str] = TRAINING | SERVING


@dataclass(frozen=True, slots=True)
class Switch:
    """A true-or-false key, or one member of a list, that stands for some modules."""

    key: str
    modules: tuple[str, ...]
    member: str | None = None
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Keys that each add modules to one field; ``whole`` is what the field says where all of its modules are there."""

    field: str
    switches: tuple[Switch, ...]
    whole: tuple[str, ...] = ()
    whole_name: str = "all-linear"
    methods: frozenset[str] = ADAPTERS

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the row."""
        return tuple(dict.fromkeys(switch.key for switch in self.switches))

    @property
    def fields(self) -> tuple[str, ...]:
        """The field of the row."""
        return (self.field,)


TableRow = Key | Choice | Switches
Settled = tuple[Workload, Plan]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document made ready for the table."""

    values: Document
    origin: Mapping[str, str] = field(default_factory=dict)
    """The key of the file behind a key that was made from it."""
    model_context: bool = False
    referred: frozenset[str] = frozenset()
    """Keys that say nothing but what others refer to."""


def as_it_is(document: Document) -> Prepared:
    """Nothing to prepare."""
    return Prepared(document)


def unchanged(document: Document, workload: Workload, plan: Plan) -> Document:
    """Nothing to finish."""
    return document


def processes(workload: Workload, plan: Plan) -> Settled:
    """Several processes of a plain trainer are DDP without a word in the file: the estimate is the same."""
    return workload, replace(plan, sharding="none") if plan.sharding == "ddp" else plan


def same(workload: Workload, plan: Plan) -> Settled:
    """Every plan has one form."""
    return workload, plan


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program, its files and its table of keys."""

    name: str
    title: str
    source: str
    """Package, version and files that the table was read in."""
    syntax: Literal["yaml", "json", "python", "command", "modelfile"]
    rows: tuple[TableRow, ...]
    recipe: str | None = None
    """Recipe whose habits apply; None: the file says nothing about the training stack."""
    runtime: Runtime | None = None
    method: str = "lora"
    """Method where the table does not choose one."""
    marks: frozenset[str] = frozenset()
    """Keys by which a file is recognised."""
    irrelevant: frozenset[str] = frozenset()
    """Keys without effect on memory, and all below them."""
    not_modelled: frozenset[str] = frozenset()
    """Keys with an effect on memory that is not modelled; without one where they are false or nothing."""
    usual: frozenset[str] = frozenset()
    """Keys that are on by themselves: switching them off has an effect on memory that is not modelled."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Keys that make another run of it, and why it is not estimated."""
    auto: frozenset[str] = frozenset()
    """Values that leave a key to something else."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """What a file needs beside the plan to be accepted."""
    head: Callable[[Workload, Plan], tuple[str, ...]] = lambda workload, plan: ()
    """Comment lines on top of a written file."""
    command: tuple[str, ...] = ()
    """Words in front of the flags of a command."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spellings of keys."""
    variables: str = ""
    """How the names of environment variables begin that stand for flags."""
    named: Callable[[str], str] = lambda key: key
    """The key that another spelling stands for, beside those of ``aliases``."""
    prepare: Callable[[Document], Prepared] = as_it_is
    finish: Callable[[Document, Workload, Plan], Document] = unchanged
    settle: Callable[[Workload, Plan], Settled] = processes
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Fields that the file has no key for, and where the program takes them from."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the program can express."""
        rows = [row for row in self.rows if not (isinstance(row, Key) and row.read_only)]
        return tuple(dict.fromkeys(name for row in rows for name in row.fields))
