"""The shapes of the JSON that the program prints: one type per object, checked by mypy and published as JSON Schema.

Nothing here is needed to print a document, so ``document.py`` names these types for the type checker only.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from vram_advisor.domain.estimate import Outcome, Phase
from vram_advisor.domain.quantization import Evidence
from vram_advisor.report.advice_document import OneAdviceDocument
from vram_advisor.report.calibration_types import AppliedCalibrationDocument
from vram_advisor.report.imported_document import ImportedDocument


class IntervalDocument(TypedDict):
    """A 90 % interval and its middle [B]."""

    low: int
    mid: int
    high: int


class ModelDocument(TypedDict):
    """The model that was asked about."""

    id: str
    parameters: int
    """All parameters, tied weights once."""
    active_parameters: int
    """Parameters that one token passes; fewer than all of them in a mixture of experts."""
    source: str
    """Where the dimensions come from."""


class ProcessDocument(TypedDict):
    """A process that holds memory of the GPU."""

    pid: int
    name: str | None
    used_bytes: int | None
    """Null where the driver does not say."""


class DeviceDocument(TypedDict):
    """The card that the verdict is measured against; figures of one GPU."""

    name: str
    count: int
    source: str
    """detected or catalogue."""
    total_bytes: int
    free_bytes: int
    processes: list[ProcessDocument]


class ReportDocument(TypedDict):
    """What ``vram-advisor detect --report --json`` prints."""

    schema_version: int
    report: list[str]
    """Lines of text."""


class ValueDocument(TypedDict):
    """One value of an option."""

    name: str
    title: str
    evidence: Evidence
    """How it is known: traced, measured, or read in source."""
    source: str


class ValuesDocument(TypedDict):
    """What ``vram-advisor schema OPTION --json`` prints."""

    schema_version: int
    option: str
    values: list[ValueDocument]


class RecipeDocument(TypedDict):
    """The training stack whose habits were assumed."""

    name: str
    title: str
    versions: str
    evidence: Evidence
    """How its habits are known: traced, measured, or read in source."""
    source: str


class PeakDocument(TypedDict):
    """The four numbers at the worst phase."""

    phase: Phase
    allocated_bytes: IntervalDocument
    """Live tensors: torch.cuda.max_memory_allocated."""
    reserved_bytes: IntervalDocument
    """With the slack of the caching allocator: torch.cuda.max_memory_reserved."""
    process_bytes: IntervalDocument
    """With CUDA context and libraries: what nvidia-smi shows for the process."""
    minimum_bytes: IntervalDocument
    """Where out-of-memory really begins; the verdict compares this with the free memory."""


class PhaseDocument(TypedDict):
    """The most that is allocated in one phase."""

    phase: Phase
    allocated_bytes: int


class ComponentDocument(TypedDict):
    """Bytes of one kind that live and die together."""

    kind: str
    label: str
    bytes: IntervalDocument
    alive: list[Phase]
    """Phases in which it is allocated. Those alive at peak.phase sum to the middle of peak.allocated_bytes."""
    formula: str
    """The bytes as a sum of products."""
    reference: str


class AdapterDocument(TypedDict):
    """What is trained and what its file weighs."""

    trainable_parameters: int
    trainable_share: float
    file_bytes: int


class VerdictDocument(TypedDict):
    """Does it fit."""

    outcome: Outcome
    probability: float | None
    """That the free memory is enough."""
    free_bytes: int | None
    headroom_bytes: int | None
    """Free memory less the minimum to run; negative where it does not fit."""
    reason: str


class OptionDocument(TypedDict):
    """One way to do it."""

    title: str
    """What a person calls it: FP16, Q8, Q4, mixed precision."""
    plan: dict[str, Any]
    """Every lever, with what the recipe decided filled in."""
    recipe: RecipeDocument
    peak: PeakDocument
    phases: list[PhaseDocument]
    components: list[ComponentDocument]
    host_bytes: int
    """What rests in the memory of the computer [B]."""
    adapter: AdapterDocument | None
    verdict: VerdictDocument


class SmallestGpuDocument(TypedDict):
    """The smallest card that holds one option."""

    option: int
    """Index in options."""
    id: str
    name: str
    total_bytes: int
    probability: float


class DownloadDocument(TypedDict):
    """What has to be on disk."""

    name: str
    size_bytes: int | None
    """Of the weights; null: not known."""
    present: bool
    """It is on this machine already."""


class AnswerDocument(TypedDict):
    """What ``vram-advisor check --json`` prints."""

    schema_version: int
    model: ModelDocument
    workload: dict[str, Any]
    device: DeviceDocument | None
    calibration: AppliedCalibrationDocument | None
    """Of the option that is recommended, else of the one that needs least; null: nominal coefficients."""
    options: list[OptionDocument]
    recommended: int | None
    """Index in options; null where nothing fits or there is no card to compare with."""
    smallest_gpus: list[SmallestGpuDocument]
    advices: list[OneAdviceDocument]
    """The best changes that make it fit, where it does not."""
    download: DownloadDocument | None
    """Null for a model that is a file of this machine."""
    imported: ImportedDocument | None
    """What --config read; null without it."""
    assumptions: list[str]
    warnings: list[str]


class CatalogueModelDocument(TypedDict):
    """One model of the catalogue."""

    id: str
    aliases: list[str]
    hf_repo: str
    family: str
    architecture: str
    parameters: int
    active_parameters: int
    published_parameters: int | None
    """What Hugging Face shows for the repository."""
    match: str
    """How the counted parameters and the published ones compare."""
    native_dtype: str | None
    context_length: int | None
    """Positions of the configuration."""
    release_date: str | None
    licence: str | None
    sources: list[str]
    checked: str
    """Date on which the facts were checked."""


class ModelsDocument(TypedDict):
    """What ``vram-advisor models --json`` prints."""

    schema_version: int
    models: list[CatalogueModelDocument]


class FiguresDocument(TypedDict):
    """Six figures over some rows. Errors are relative: 0.03 is 3 %."""

    rows: int
    median_abs_error: float
    p90_abs_error: float
    bias: float
    """Mean of (predicted - measured) / measured."""
    under_10: float
    """Share of rows predicted more than 10 % too low."""
    coverage_90: float
    """Share of rows inside the 90 % interval."""


class GroupDocument(FiguresDocument):
    """How well one source is predicted on one meter."""

    source: str
    method: str
    meter: str
    quality: str


class MacroDocument(FiguresDocument):
    """Plain mean over sources with at least five rows of quality A, for one meter."""

    meter: str
    sources: int


class ProgramDocument(FiguresDocument):
    """All rows of one inference program that determine a figure, of every source."""

    program: str
    meter: str


class RefusedDocument(TypedDict):
    """A row that is not estimated."""

    id: str
    reason: str


class AccuracyDocument(TypedDict):
    """What ``vram-advisor accuracy --json`` prints."""

    schema_version: int
    groups: list[GroupDocument]
    macro: list[MacroDocument]
    programs: list[ProgramDocument]
    refused: list[RefusedDocument]
    unmetered: list[str]
    """Rows that do not say what was measured."""
