"""Kept calibrations as documents and as words."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from json_schema import problems
from sample_answers import BUSY, CALIBRATION, CARD, answer, component
from sample_calibrations import LEARNT, calibration, moved

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.plan import Workload
from vram_advisor.report.bar import segments
from vram_advisor.report.calibration_words import DIFFERENCES, NAMES, age, corrections, rests_on
from vram_advisor.report.calibrations import calibration_document, calibration_lines, list_document
from vram_advisor.report.layout import plain
from vram_advisor.report.schema import schema
from vram_advisor.sources.calibrations import Stored
from vram_advisor.units.bytes import MIB

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def as_json(document: Any) -> Any:
    return json.loads(json.dumps(document))


def test_documents_follow_their_schemas() -> None:
    stored = Stored((calibration(),), ("A calibration is not used: it is empty.",))
    assert problems(as_json(list_document(stored)), schema("calibrations")) == []
    one = as_json(calibration_document(calibration()))
    assert problems(one, schema("calibration")) == []
    for wrong in ({"key": 1}, {"extra": 1}, {"learnt": [{}]}):
        assert problems({**copy.deepcopy(one), **wrong}, schema("calibration")) != []


@pytest.mark.parametrize(
    ("created", "said"),
    [
        ("2026-11-24T00:00:01Z", "today"),
        ("2026-11-23T23:59:59Z", "yesterday"),
        ("2026-11-21T15:30:12Z", "3 days ago"),
        ("2026-09-01T00:00:00Z", "on 2026-09-01"),
        ("2026-12-24T00:00:00Z", "on 2026-12-24"),
        ("2026-99-99T00:00:00Z", "on 2026-99-99"),
    ],
)
def test_ages(created: str, said: str) -> None:
    assert age(created, NOW) == said
    assert age(created, None) == f"on {created[:10]}"


def test_an_answer_says_what_it_rests_on() -> None:
    fits = replace(answer("fits"), device=BUSY)
    assert rests_on(fits, NOW) == "calibrated on this GPU 3 days ago (activations ×1.02, context −40 MiB)"
    other = replace(fits, calibration=replace(CALIBRATION, kinship="recipe", differs=("torch", "levers")))
    assert rests_on(other, NOW) == (
        "calibrated with this recipe on another GPU, Sample 12 GB, 3 days ago (activations ×1.02, context −40 MiB); "
        "less of it counts: another version of PyTorch, other kernels"
    )
    card = replace(fits, calibration=replace(CALIBRATION, kinship="gpu"))
    assert rests_on(card, NOW).startswith("calibrated on this GPU with another recipe, transformers-peft, 3 days ago")
    assert rests_on(replace(card, workload=Workload()), NOW).startswith("calibrated on this GPU by a fine-tune 3 days")
    assert rests_on(answer("no")) == "nominal coefficients, not calibrated"


def test_a_correction_at_its_bound_is_marked() -> None:
    assert corrections((replace(LEARNT[0], value=2.0, bounded=True),)) == "activations ×2.00 at its bound"
    assert corrections(()) == "nothing learnt"


def test_every_name_has_words() -> None:
    from vram_advisor.calibration.matching import LESS
    from vram_advisor.domain.calibration import BOUNDS

    assert set(NAMES) == set(BOUNDS) and set(DIFFERENCES) == set(LESS)


def test_what_did_not_finish_is_said() -> None:
    runs = tuple(replace(each, outcome="out_of_memory", step_seconds=None) for each in calibration().measurements)
    lines = [plain(each) for each in calibration_lines(replace(calibration(), measurements=runs), 120, NOW)]
    assert sum("out of memory" in text for text in lines) == 2
    unlearnt = calibration_lines(replace(calibration(), learnt=()), 80, NOW)
    assert any("taught nothing" in plain(each) for each in unlearnt)
    bounded = replace(calibration(), learnt=(replace(moved("activation_scale", 2.0)[0], bounded=True),))
    assert any("at its bound" in plain(each) for each in calibration_lines(bounded, 80, NOW))


@pytest.mark.parametrize("share", [-0.4, 0.4])
def test_a_correction_is_drawn_in_the_parts_that_it_corrects(share: float) -> None:
    option = answer("fits").options[1]
    estimate = option.estimate
    phase = estimate.peak.phase
    alive = [c for c in estimate.components if phase in c.alive]
    grown = sum(a.nbytes(c.values) for c in alive for a in c.amounts if a.rows != "one")
    amount = Amount("correction", "one", int(share * grown), 1, "correction")
    parts = (*estimate.components, component("correction", "measured correction", (amount,), (phase,), "measured"))
    corrected = replace(option, estimate=replace(estimate, components=parts))
    before = {s.title: s.nbytes for s in segments(option, CARD)}
    after = {s.title: s.nbytes for s in segments(corrected, CARD)}
    assert sum(after.values()) == pytest.approx(CARD.total_bytes, abs=8)
    assert after["weights"] == before["weights"]
    assert after["logits and loss"] == pytest.approx((1 + share) * before["logits and loss"], abs=MIB)
