"""Rows of a ledger of training speeds, as runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.speed_rows import card, model_named
from vram_advisor.accuracy.training_rows import METHODS, plan_of, recipe_name
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies
from vram_advisor.domain.plan import Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Speed
from vram_advisor.throughput.training import training_speed
from vram_advisor.units.errors import AdvisorError

Row = Mapping[str, str]


def training_row_speed(
    row: Row, efficiencies: Efficiencies = EFFICIENCIES, coefficients: Coefficients = NOMINAL
) -> Speed | Refusal:
    """The predicted speed of a row, or why it is refused."""
    if row["method"] not in METHODS:
        return Refusal(row["id"], f"method {row['method']} is not modelled")
    try:
        gpu = card(row["gpu"])
        habits = recipe(recipe_name(row))
        if row["kbit_prepared"]:
            habits = replace(habits, kbit_prepared=row["kbit_prepared"] == "yes")
        workload = Workload(
            method=METHODS[row["method"]],  # type: ignore[arg-type]
            sequence_length=int(row["sequence_length"]),
            micro_batch_size=int(row["micro_batch_size"]),
            gradient_accumulation_steps=int(row["gradient_accumulation_steps"] or 1),
        )
        found = training_speed(
            model_named(row["model"]), workload, plan_of(row, workload), gpu, habits,
            efficiencies=efficiencies, coefficients=coefficients, compiled="torch.compile" in row["notes"],
        )  # fmt: skip
    except AdvisorError as error:
        return Refusal(row["id"], str(error))
    return found or Refusal(row["id"], f"the catalogue lacks the rates of {row['gpu']}")
