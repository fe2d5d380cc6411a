"""Inference against traces of the real code of transformers 5.23 on fake tensors.

``inference_traces.csv``: the first ``layers`` layers of a model in bf16, one forward pass over a prompt with its cache
and one step after it; live tensor bytes rounded up to 512, without cuBLAS workspace.
"""

import csv
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.generate import estimate_generation
from vram_advisor.memory.kv_cache import cache_bytes
from vram_advisor.memory.prompt import window
from vram_advisor.memory.session import open_session
from vram_advisor.sources.catalog_models import find_model

Row = dict[str, str]
with (Path(__file__).parent / "inference_traces.csv").open(newline="") as file:
    ROWS: list[Row] = list(csv.DictReader(file))


def cut(row: Row) -> ModelSpec:
    """The model of a row with its first layers alone."""
    model = find_model(row["model"])
    return replace(model, layer_kinds=model.layer_kinds[: int(row["layers"])], tower_parameters=0)


def plan_of(row: Row) -> Plan:
    return Plan(quantization="bf16", attn_implementation=row["attention"], cache_implementation=row["cache"])


def estimated(row: Row, context: int, prompt: int) -> Estimate:
    workload = Workload(num_sequences=int(row["num_sequences"]), context_length=context, prompt_length=prompt)
    return estimate_generation(cut(row), workload, plan_of(row), recipe("transformers-peft"), None, NOMINAL)


def phase_without(estimate: Estimate, phase: str, *kinds: str) -> int:
    """Bytes of a phase without weights, workspace and ``kinds``."""
    left = ("weights", "workspace", *kinds)
    return sum(c.nbytes for c in estimate.components if phase in c.alive and c.kind not in left)


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda r: f"{r['model']}-{r['cache']}-{r['num_sequences']}x{r['context_length']}"
)
def test_cache_is_exact(row: Row) -> None:
    session = open_session(cut(row), Workload(), plan_of(row), recipe("transformers-peft"))
    b, s = int(row["num_sequences"]), int(row["context_length"])
    after_prompt = cache_bytes(session.model, session.prompt_form, b, s + (row["cache"] == "static"))
    after_step = cache_bytes(session.model, session.form, b, s + 1)
    assert after_prompt == pytest.approx(int(row["prompt_cache_bytes"]), rel=0.002)
    assert after_step == pytest.approx(int(row["cache_bytes"]), rel=0.006)


def test_weights() -> None:
    for row in ROWS[::3]:
        if not row["weights_bytes"]:
            continue  # traced with an output layer of its own
        found = next(c for c in estimated(row, 512, 512).components if c.kind == "weights")
        assert found.nbytes == pytest.approx(int(row["weights_bytes"]), rel=0.006), row["model"]


def prompt_errors() -> list[float]:
    errors = []
    for row in ROWS:
        if row["cache"] != "dynamic":
            continue
        s = int(row["context_length"])
        kept = int(row["prompt_cache_bytes"])
        predicted = phase_without(estimated(row, s, s), "prefill", "kv_cache", "prompt_cache", "state")
        errors.append(abs(predicted / (int(row["prefill_bytes"]) - kept) - 1))
    return errors


def test_what_a_prompt_needs_beside_weights_and_cache() -> None:
    errors = prompt_errors()
    assert statistics.median(errors) < 0.005
    assert statistics.quantiles(errors, n=10)[-1] < 0.15


def test_the_last_step() -> None:
    errors = []
    for row in ROWS:
        model, s = cut(row), int(row["context_length"])
        shortest = window(model)
        if shortest is not None and s >= shortest:
            continue  # the first step behind a long prompt still holds views of it
        if 0 < model.position_rows <= s:
            continue  # traced beyond the positions that were learned
        # The traced step ends with the logits of the model; generate() makes an fp32 copy of them.
        logits = int(row["num_sequences"]) * model.vocab_size * 6
        off = abs(phase_without(estimated(row, s + 1, s), "decode") - int(row["decode_bytes"]))
        errors.append(max(0, off - logits) / int(row["decode_bytes"]))
    assert statistics.median(errors) < 0.001
    assert max(errors) < 0.07
