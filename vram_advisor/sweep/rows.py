"""Rows of a sweep: their columns, written as Parquet or CSV one model at a time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vram_advisor import __version__
from vram_advisor.domain.sweep import Sweep
from vram_advisor.sweep.needs import PHASES
from vram_advisor.sweep.verdicts import OUTCOMES, Answers
from vram_advisor.units.errors import BadInput, Missing

NUMBERS = ("minimum_bytes", "minimum_sd_bytes", "free_bytes", "headroom_bytes")
FORMATS = (".parquet", ".csv")


class Writer(Protocol):
    """Takes the answers of one model after the other."""

    def write(self, model: str, answers: Answers, refusals: tuple[str, ...]) -> None:
        """Write the rows of a model: cards in their order, of each the questions in theirs."""

    def close(self) -> None:
        """Finish the file."""


def writer_for(kind: str, file: Path, sweep: Sweep) -> Writer:
    """A writer for ``.parquet`` or ``.csv``.

    Raises:
        BadInput: the format is not known.
        Missing: Parquet was asked for and pyarrow is not installed.
    """
    if kind == ".csv":
        return CsvRows(file, sweep)
    if kind == ".parquet":
        return ParquetRows(file, sweep)
    raise BadInput(f"--output {file.name}: should end in {' or '.join(FORMATS)}.")


class ParquetRows:
    """One row group a model; what repeats is a dictionary."""

    def __init__(self, file: Path, sweep: Sweep) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise Missing(
                "Parquet is written by pyarrow, which is not installed: pip install 'vram-advisor[sweep]', "
                "or let --output end in .csv."
            ) from None
        self.pa, self.cards, self.questions = pa, len(sweep.cards), len(sweep.questions)
        plan = np.tile(np.arange(self.questions, dtype=np.int32), self.cards)
        names = np.repeat(np.arange(self.cards, dtype=np.int32), self.questions)
        self.fixed: dict[str, Any] = {
            "gpu": self._words(names, [name for name, _ in sweep.cards]),
            "plan": pa.array(plan),
        }
        for name, values in sweep.columns:
            # Equal values share an entry; 1 and True are different ones.
            order: dict[tuple[type, Any], int] = {}
            index = [None if v is None else order.setdefault((type(v), v), len(order)) for v in values]
            entries = pa.array([value for _, value in order])
            tiled = pa.array(index * self.cards, pa.int32())
            self.fixed[name] = pa.DictionaryArray.from_arrays(tiled, entries)
        fields = [("model", pa.dictionary(pa.int32(), pa.string()))]
        fields += [(name, array.type) for name, array in self.fixed.items()]
        fields += [(name, pa.int64()) for name in NUMBERS] + [("probability", pa.float32())]
        fields += [(name, pa.dictionary(pa.int32(), pa.string())) for name in ("outcome", "peak_phase", "reason")]
        about = {"program": f"vram-advisor {__version__}", "coefficients": "nominal", "bytes": "whole numbers of bytes"}
        self.schema = pa.schema(fields, metadata={"vram-advisor": json.dumps(about)})
        self.writer = pq.ParquetWriter(
            file,
            self.schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name, kind in fields if pa.types.is_dictionary(kind)],
            write_statistics=["model", *NUMBERS],
        )

    def write(self, model: str, answers: Answers, refusals: tuple[str, ...]) -> None:
        """See ``Writer``."""
        pa, rows = self.pa, self.cards * self.questions
        none = (answers.refusal < 0).ravel()
        columns: dict[str, Any] = {"model": self._words(np.zeros(rows, np.int32), [model]), **self.fixed}
        for name, values in zip(NUMBERS, numbers(answers), strict=True):
            columns[name] = pa.array(values, mask=None if name == "free_bytes" else ~none)
        columns["probability"] = pa.array(answers.probability.ravel().astype(np.float32), mask=~none)
        columns["outcome"] = self._words(answers.outcome.ravel(), list(OUTCOMES))
        columns["peak_phase"] = self._words(answers.phase.ravel(), list(PHASES), ~none)
        columns["reason"] = self._words(answers.refusal.ravel(), list(refusals), none)
        self.writer.write_table(pa.table(columns, schema=self.schema), row_group_size=rows)

    def close(self) -> None:
        """See ``Writer``."""
        self.writer.close()

    def _words(self, index: Any, words: list[str], missing: Any = None) -> Any:
        pa = self.pa
        entries = pa.array(words, pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=missing), entries)


class CsvRows:
    """Text for programs that read nothing else; a missing value is empty."""

    def __init__(self, file: Path, sweep: Sweep) -> None:
        self.stream = file.open("w", encoding="utf-8", newline="")
        self.writer = csv.writer(self.stream, lineterminator="\n")
        self.cards = [name for name, _ in sweep.cards]
        named = [tuple("" if v is None else v for v in values) for _, values in sweep.columns]
        self.plans = list(zip(range(len(sweep.questions)), *named, strict=True))
        names = [name for name, _ in sweep.columns]
        self.writer.writerow(
            ["model", "gpu", "plan", *names, *NUMBERS, "probability", "outcome", "peak_phase", "reason"]
        )

    def write(self, model: str, answers: Answers, refusals: tuple[str, ...]) -> None:
        """See ``Writer``."""
        columns = [values.tolist() for values in numbers(answers)]
        rest = zip(
            *columns,
            answers.probability.ravel().tolist(),
            answers.outcome.ravel().tolist(),
            answers.phase.ravel().tolist(),
            answers.refusal.ravel().tolist(),
            strict=True,
        )
        keys = ((card, plan) for card in self.cards for plan in self.plans)
        for (card, plan), (need, sd, free, headroom, p, outcome, phase, refusal) in zip(keys, rest, strict=True):
            if refusal >= 0:
                row = ("", "", free, "", "", OUTCOMES[outcome], "", refusals[refusal])
            else:
                row = (need, sd, free, headroom, f"{p:.6f}", OUTCOMES[outcome], PHASES[phase], "")
            self.writer.writerow((model, card, *plan, *row))

    def close(self) -> None:
        """See ``Writer``."""
        self.stream.close()


def numbers(answers: Answers) -> list[Any]:
    """The columns of ``NUMBERS`` as whole bytes; 0 where there is no answer."""
    arrays = (answers.minimum, answers.minimum_sd, answers.free, answers.headroom)
    return [np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).ravel().astype(np.int64) for values in arrays]
