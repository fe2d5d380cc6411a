"""What was understood of another program's configuration, and what was written as one."""

from dataclasses import dataclass

from vram_advisor.domain.plan import Plan, Workload


@dataclass(frozen=True, slots=True)
class Used:
    """One key of a file that the estimate rests on."""

    key: str
    value: str
    """As the file has it."""
    fields: tuple[str, ...]
    """Fields of Workload and Plan that follow from it, ``model`` where it names the model."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A run as another program's file or command line describes it."""

    program: str
    """By the name that ``--config-format`` takes."""
    title: str
    source: str
    """The file."""
    model: str | None
    """None where the file does not say."""
    workload: Workload
    plan: Plan
    used: tuple[Used, ...] = ()
    irrelevant: tuple[str, ...] = ()
    """Keys without effect on memory."""
    not_modelled: tuple[str, ...] = ()
    """Keys that do change memory, by an amount that is not in the estimate."""
    unknown: tuple[str, ...] = ()
    """Keys that are not known to this program."""
    says_method: bool = True
    """The file says what is trained; otherwise the method is a guess."""
    assumed: tuple[str, ...] = ()
    """Fields that decide the memory and that neither the file nor its program says."""
    model_context: bool = False
    """The context length is left to the configuration of the model."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file or a command for another program."""

    program: str
    text: str
    lost: tuple[str, ...] = ()
    """Sentences about what the file cannot express, and where it is said instead."""
