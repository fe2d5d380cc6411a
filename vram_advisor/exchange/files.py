"""A file of another program read into an Imported, and a plan written as one."""

from __future__ import annotations

from dataclasses import replace

from vram_advisor.domain.imported import Exported, Imported, Used
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.beside import Beside, launched, nothing_beside, with_deepspeed
from vram_advisor.exchange.command_lines import ENVIRONMENT, POSITIONAL, command
from vram_advisor.exchange.detection import ALLOCATOR, LAUNCHER, document_of
from vram_advisor.exchange.documents import MAX_BYTES, nest, shown, text_of
from vram_advisor.exchange.keys import Document, Program
from vram_advisor.exchange.programs import program_named
from vram_advisor.exchange.reading import read
from vram_advisor.exchange.values import converted, placed
from vram_advisor.exchange.writing import write

__all__ = ["MAX_BYTES", "export_run", "import_run"]


def import_run(data: bytes, where: str, program: str | None = None, beside: Beside = nothing_beside) -> Imported:
    """The run that a file or command line of another program describes. Nothing of it is executed.

    Args:
        data: content of the file.
        where: its name, for sentences.
        program: by its name; None: found by the keys.
        beside: gives the files that it names.

    Raises:
        BadInput: it cannot be read; one sentence that names the file, the key and what was expected.
        NotModelled: it describes a run that is not estimated.
    """
    wanted = program_named(program, "--config-format") if program else None
    found, document = document_of(text_of(data, where), where, wanted)
    around = {key: document.pop(key) for key in [*document] if key.startswith(("(", ENVIRONMENT)) and key != POSITIONAL}
    if found.syntax == "command":
        # The variables of a server's devices and those that stand for its flags are in its own table.
        own = {key for key in around if "VISIBLE_DEVICES" in key or (found.variables and found.variables in key)}
        document = {key: around.pop(key) for key in [*around] if key in own} | document
    if found.syntax != "command":
        document = with_deepspeed(document, beside)
    return _around(read(found, document, where), around, where, beside)


def _around(imported: Imported, around: Document, where: str, beside: Beside) -> Imported:
    """What stands around the arguments of a command: its variables, its processes, its name."""
    shared = around.get(f"{LAUNCHER}--config-file")
    if isinstance(shared, str):
        if "(processes)" in around:
            # What is typed has the last word, over the file of the launcher too.
            processes = placed(
                imported.workload, imported.plan, "num_gpus",
                converted(around["(processes)"], "int", where, "processes"), where, "processes",
            )  # fmt: skip
            entry = Used("processes", shown(around.pop("(processes)")), ("num_gpus",))
            imported = replace(imported, plan=processes[1], used=(*imported.used, entry))
        found = launched(imported, shared, beside)
        if found is not None:
            imported = found
            del around[f"{LAUNCHER}--config-file"]
    workload, plan, used = imported.workload, imported.plan, list(imported.used)
    ignored: list[str] = []
    heavy: list[str] = []
    for key, value in around.items():
        name = key.removeprefix(ENVIRONMENT)
        if key == "(processes)":
            workload, plan = placed(
                workload, plan, "num_gpus", converted(value, "int", where, "processes"), where, "processes"
            )
            used.append(Used("processes", shown(value), ("num_gpus",)))
        elif key == "(objective)":
            workload = replace(workload, objective=value)
            used.append(Used("command", shown(value), ("objective",)))
        elif key.startswith(LAUNCHER):
            heavy.append(key.removeprefix(LAUNCHER))
        elif ALLOCATOR.fullmatch(name):
            plan = replace(plan, expandable_segments="expandable_segments:true" in str(value).lower())
            used.append(Used(name, shown(value), ("expandable_segments",)))
        else:
            ignored.append(name)
    return replace(
        imported,
        workload=workload,
        plan=plan,
        used=tuple(replace(entry, key=entry.key.removeprefix(ENVIRONMENT)) for entry in used),
        irrelevant=(*_plain(imported.irrelevant), *ignored),
        not_modelled=(*_plain(imported.not_modelled), *heavy),
        unknown=_plain(imported.unknown),
    )


def _plain(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Variables by their names alone."""
    return tuple(key.removeprefix(ENVIRONMENT) for key in keys)


def export_run(program: str, model: str | None, workload: Workload, plan: Plan) -> Exported:
    """A file or command of a program for a plan.

    Raises:
        BadInput: there is no such program, or it does not do what is asked.
    """
    found = program_named(program, "--emit")
    _refuse(found, workload)
    document, lost = write(found, model, workload, plan)
    return Exported(found.name, _text(found, document, workload, plan), lost)


def _refuse(program: Program, workload: Workload) -> None:
    from vram_advisor.units.errors import BadInput

    if workload.trains and program.runtime is not None:
        raise BadInput(
            f"--emit {program.name}: {program.title} serves models, and --method {workload.method} trains one."
        )
    if not workload.trains and program.runtime is None:
        raise BadInput(
            f"--emit {program.name}: {program.title} trains models: give --method lora, qlora, dora or full."
        )


def _text(program: Program, document: Document, workload: Workload, plan: Plan) -> str:
    if program.syntax == "command":
        first = [str(document.pop(POSITIONAL))] if POSITIONAL in document else []
        variables = [
            f"{key.removeprefix(ENVIRONMENT)}={document.pop(key)}" for key in [*document] if key.startswith(ENVIRONMENT)
        ]
        return " ".join([*variables, command([*program.command, *first], document)])
    head = "".join(f"# {line}\n" for line in program.head(workload, plan))
    if program.syntax == "modelfile":
        from vram_advisor.exchange.ollama import write_modelfile

        return head + write_modelfile(document)
    if program.syntax == "python":
        from vram_advisor.exchange.python_calls import write_calls

        return head + write_calls(document)
    if program.syntax == "json":
        import json

        return json.dumps(nest(document), indent=2) + "\n"
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return head + str(yaml.dump(nest(document), Dumper=dumper, sort_keys=False, allow_unicode=True, width=1000))
