"""Files and commands of other programs, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.serving import GGUF_RUNTIMES
from vram_advisor.sources import catalog_models
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput

if TYPE_CHECKING:
    from vram_advisor.domain.imported import Exported, Imported


def read_run(
    file: str | Path, *, data: bytes | None = None, program: str | None = None, model: str | None = None
) -> Imported:
    """The run that a configuration file or command line of another program describes. Nothing of it is executed.

    Args:
        file: path of the file, or what to call it in sentences.
        data: its content, where it does not lie at the path.
        program: whose file it is; None: found by its keys.
        model: taken instead of the one that the file names.

    Raises:
        BadInput: it cannot be read; the sentence names the file, the key and what was expected.
        NotModelled: it describes a run that is not estimated.
    """
    from vram_advisor.exchange.files import MAX_BYTES, import_run
    from vram_advisor.sources.json_files import expanded, read_bytes

    folder = expanded(file).parent if data is None else Path()

    def beside(name: str) -> bytes | None:
        # Only what lies below the folder of the file: a file of unknown origin may name any.
        try:
            there = (folder / name).resolve()
            if not there.is_relative_to(folder.resolve()) or not there.is_file():
                return None
        except (OSError, ValueError, RuntimeError):
            # a name that the system cannot have, or links in a circle
            return None
        return read_bytes(there, MAX_BYTES)

    imported = import_run(read_bytes(expanded(file), MAX_BYTES) if data is None else data, str(file), program, beside)
    if model is not None:
        imported = replace(_as_named(imported), model=model)
    if imported.model_context and imported.model is not None:
        # Such a server takes all of the context that the model was made for.
        context = resolve_model(imported.model).max_position_embeddings or imported.workload.context_length
        imported = replace(imported, workload=replace(imported.workload, context_length=context))
    return imported


def _as_named(imported: Imported) -> Imported:
    """A run of a file of GGUF that is not looked into, with the storage format that its name says."""
    from vram_advisor.exchange.llama_cpp import quantization_of

    found = quantization_of(imported.model or "") if imported.plan.quantization is None else None
    if found is None:
        return imported
    used = tuple(
        replace(entry, fields=(*entry.fields, "quantization")) if "model" in entry.fields else entry
        for entry in imported.used
    )
    return replace(imported, plan=replace(imported.plan, quantization=found), used=used)


def overridden(imported: Imported, given: Mapping[str, Any]) -> Imported:
    """The run of a file with some of its fields set otherwise.

    Args:
        given: fields of Workload and Plan by name, with their values.

    Raises:
        BadInput: nothing says what is trained, or a value cannot be used.
    """
    if not imported.says_method and "method" not in given:
        raise BadInput(f"{imported.source} does not say what is trained: add --method lora, qlora, dora or full.")
    workload, plan = imported.workload, imported.plan
    asked = {name: value for name, value in given.items() if hasattr(workload, name)}
    levers = {name: value for name, value in given.items() if hasattr(plan, name)}
    assumed = tuple(name for name in imported.assumed if name not in given)
    return replace(imported, workload=replace(workload, **asked), plan=replace(plan, **levers), assumed=assumed)


def write_run(program: str, model: str | None, workload: Workload, plan: Plan) -> Exported:
    """A configuration file or a command line of another program for a plan, and what it cannot express.

    Raises:
        BadInput: there is no such program, or it does not do what is asked.
    """
    from vram_advisor.exchange.files import export_run

    if model is not None and "/" not in model and catalog_models.model_id(model) is not None:
        # Other programs do not know the names of the catalogue; a file in GGUF has none but its own.
        record = catalog_models.find_record(model)
        model = record.id if plan.runtime in GGUF_RUNTIMES else record.hf_repo
    return export_run(program, model, workload, plan)
