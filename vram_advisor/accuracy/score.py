"""The model scored on ledgers: every row estimated and compared with its own meter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vram_advisor.accuracy.case import Case, Refusal
from vram_advisor.accuracy.complete import INCOMPLETE, quality
from vram_advisor.accuracy.gguf_rows import file_size
from vram_advisor.accuracy.inference_rows import cases as inference_cases
from vram_advisor.accuracy.inference_rows import recipes as inference_recipes
from vram_advisor.accuracy.ledger import Kind, Ledger, Reading, Row, readings
from vram_advisor.accuracy.llama_cpp_rows import GGUF_PROGRAMS, figures_of, model_named
from vram_advisor.accuracy.metrics import Figures, Scored, figures, mean
from vram_advisor.accuracy.mixture import mixed
from vram_advisor.accuracy.speed_rows import quality_of, speed_row
from vram_advisor.accuracy.training_rows import training_cases
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import Estimate, Interval
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.errors import AdvisorError

TRACED_OUTSIDE = ("load", "evaluation", "save")
"""Phases that a trace of one step does not see."""
LEAST_ROWS = 5
"""Rows of quality A from which a source counts in the macro average."""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Figures of one source, method, meter and quality."""

    source: str
    method: str
    meter: str
    quality: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class MacroScore:
    """Plain mean over sources with enough rows of quality A."""

    meter: str
    sources: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class ProgramScore:
    """All rows of one inference program that determine a figure, of every source."""

    program: str
    meter: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """Everything ``accuracy`` says."""

    groups: tuple[GroupScore, ...]
    macro: tuple[MacroScore, ...]
    refused: tuple[Refusal, ...]
    unmetered: tuple[str, ...]
    """Rows that state no meter."""
    scored: tuple[Scored, ...]
    programs: tuple[ProgramScore, ...] = ()


def score_ledgers(ledgers: Iterable[Ledger], coefficients: Coefficients = NOMINAL) -> Report:
    """Estimate every row and compare it with its own meters."""
    scored: list[Scored] = []
    refused: list[Refusal] = []
    unmetered: list[str] = []
    for ledger in ledgers:
        for row in ledger.rows:
            found = readings(ledger.kind, row)
            if not found:
                unmetered.append(row["id"])
                continue
            result = score_row(ledger.kind, row, found, coefficients)
            if isinstance(result, Refusal):
                refused.append(result)
            else:
                scored += result
    return Report(
        tuple(_groups(scored)), tuple(_macro(scored)), tuple(refused), tuple(unmetered), tuple(scored),
        tuple(_programs(scored)),
    )  # fmt: skip


def score_row(kind: Kind, row: Row, found: tuple[Reading, ...], coefficients: Coefficients) -> list[Scored] | Refusal:
    """One row, or why it is refused."""
    if kind == "llamacpp_buffers" or (kind == "inference" and row["runtime"] in GGUF_PROGRAMS):
        return score_gguf(kind, row, found)
    if kind == "throughput":
        return score_speed(row, found[0], coefficients)
    if kind == "gguf_sizes":
        size = file_size(row)
        return size if isinstance(size, Refusal) else [_compared(row, found[0], size, "gguf")]
    cases = inference_cases(row) if kind == "inference" else training_cases(row)
    if isinstance(cases, Refusal):
        return cases
    try:
        estimates = [(case.weight, _estimate(case, coefficients)) for case in cases]
    except AdvisorError as error:
        return Refusal(row["id"], str(error))
    scored: list[Scored] = []
    for reading in found:
        parts = [(weight, figure(value, reading.meter, cases[0].phase)) for weight, value in estimates]
        known = [(weight, summed(part, cases[0].sum_over)) for weight, part in parts if part is not None]
        if not known:
            continue
        low, mid, high = mixed([(weight, part) for weight, part in known])
        scored.append(
            Scored(row["id"], row["source"], row["method"] or row["runtime"], reading.meter,
                   row["quality"], reading.measured, reading.resolution, low, mid, high, program_of(kind, row))
        )  # fmt: skip
    return scored or Refusal(row["id"], f"no figure for {', '.join(r.meter for r in found)}")


def score_speed(row: Row, reading: Reading, coefficients: Coefficients) -> list[Scored] | Refusal:
    """A row that measured tokens per second."""
    speed = speed_row(row, coefficients=coefficients)
    if isinstance(speed, Refusal):
        return speed
    rate = speed.tokens_per_second
    return [Scored(row["id"], row["source"], row["runtime"], reading.meter, quality_of(row), reading.measured,
                   reading.resolution, float(rate.low), float(rate.mid), float(rate.high))]  # fmt: skip


def _compared(row: Row, reading: Reading, size: Interval, method: str) -> Scored:
    """One figure that needs no mixture."""
    return Scored(row["id"], row["source"], method, reading.meter, row["quality"], reading.measured,
                  reading.resolution, size.low, size.mid, size.high)  # fmt: skip


def score_gguf(kind: Kind, row: Row, found: tuple[Reading, ...]) -> list[Scored] | Refusal:
    """A row that llama.cpp printed: its figures are sums over buffers, not those of one GPU."""
    try:
        parts = figures_of(row, kind)
    except AdvisorError as error:
        return Refusal(row["id"], str(error))
    if isinstance(parts, Refusal):
        return parts
    method = row["runtime"] or "llama.cpp"
    model = model_named(row["model"])
    scored = []
    for reading in found:
        known = [(weight, figures[reading.meter]) for weight, figures in parts if reading.meter in figures]
        if known:
            low, mid, high = mixed(known)
            scored.append(
                Scored(row["id"], row["source"], method, reading.meter,
                       quality(row, model, reading.meter) if kind == "inference" else row["quality"],
                       reading.measured, reading.resolution, low, mid, high, program_of(kind, row))
            )  # fmt: skip
    return scored or Refusal(row["id"], f"no figure for {', '.join(r.meter for r in found)}")


def program_of(kind: Kind, row: Row) -> str:
    """The program of an inference run as the figures are summed up: real logs of llama.cpp, PyTorch programs by version."""
    if kind != "inference":
        return ""
    if row["runtime"] in GGUF_PROGRAMS:
        return "llama.cpp logs"
    return inference_recipes(row)[0].name if row["runtime"] == "transformers" else row["runtime"]


def summed(one: Interval, gpus: int) -> Interval:
    """The figure of one GPU, times so many that hold as much."""
    return one if gpus == 1 else Interval(one.low * gpus, one.mid * gpus, one.high * gpus)


def _estimate(case: Case, coefficients: Coefficients) -> Estimate:
    chosen = case.coefficients or coefficients
    return estimate(case.model, case.workload, case.plan, case.recipe, case.device, chosen).estimate


def figure(value: Estimate, meter: str, phase: str | None = None) -> Interval | None:
    """The figure of an estimate that a meter reads."""
    peak = value.peak
    if meter in ("allocated", "reserved", "process"):
        found: Interval = getattr(peak, f"{meter}_bytes")
        return found
    if meter == "self":
        return peak.allocated_bytes
    if meter == "traced":
        return _traced(value, phase)
    kinds = {"weights_gpu": ("weights",), "cache_gpu": ("kv_cache", "state")}.get(meter)
    if kinds is None:
        return None
    parts = [c.bytes for c in value.components if c.kind in kinds]
    return Interval(sum(p.low for p in parts), sum(p.mid for p in parts), sum(p.high for p in parts)) if parts else None


def _traced(value: Estimate, phase: str | None) -> Interval:
    """Live tensors of one training step or phase, without the workspaces of cuBLAS."""
    outside = sum(c.nbytes for c in value.components if c.kind == "workspace")
    top = max(p.allocated_bytes for p in value.phases if _seen(p.phase, phase)) - outside
    spread = value.peak.allocated_bytes
    share = (spread.high - spread.low) / 2 / spread.mid if spread.mid else 0.0
    return Interval(int(top * (1 - share)), top, int(top * (1 + share)))


def _seen(phase: str, only: str | None) -> bool:
    return phase == only if only else phase not in TRACED_OUTSIDE


def _groups(scored: list[Scored]) -> Iterator[GroupScore]:
    keys = dict.fromkeys((s.source, s.method, s.meter, s.quality) for s in scored)
    for source, method, meter, grade in sorted(keys):
        rows = [s for s in scored if (s.source, s.method, s.meter, s.quality) == (source, method, meter, grade)]
        yield GroupScore(source, method, meter, grade, figures(rows))


def _macro(scored: list[Scored]) -> Iterator[MacroScore]:
    for meter in sorted({s.meter for s in scored}):
        by_source: dict[str, list[Scored]] = {}
        for s in scored:
            if s.meter == meter and s.quality == "A":
                by_source.setdefault(s.source, []).append(s)
        parts = [figures(rows) for rows in by_source.values() if len(rows) >= LEAST_ROWS]
        if parts:
            yield MacroScore(meter, len(parts), mean(parts))


def _programs(scored: list[Scored]) -> Iterator[ProgramScore]:
    for program, meter in sorted({(s.program, s.meter) for s in scored if s.program}):
        rows = [s for s in scored if (s.program, s.meter) == (program, meter) and s.quality != INCOMPLETE]
        if rows:
            yield ProgramScore(program, meter, figures(rows))


def without(report: Report, source: str) -> Report:
    """The same report without one source, for leaving sources out in turn."""
    kept = [s for s in report.scored if s.source != source]
    return replace(
        report,
        groups=tuple(_groups(kept)),
        macro=tuple(_macro(kept)),
        scored=tuple(kept),
        programs=tuple(_programs(kept)),
    )
