"""A step at full depth from two small ones, and a trace beside the closed form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vram_advisor.calibration.borders import backward_borders
from vram_advisor.calibration.compare import compare
from vram_advisor.calibration.depths import Pattern, at_depth, pattern
from vram_advisor.calibration.extrapolation import Moment, Unequal, extrapolated, phases_of
from vram_advisor.calibration.phases import BACKWARD_MIDDLE, PHASES
from vram_advisor.domain.amount import SYMBOLS, Amount
from vram_advisor.domain.estimate import Component, Estimate, Interval, Peak, PhasePeak
from vram_advisor.domain.trace import Trace, TracedPhase

SAVED = {"a": 7, "b": 40, "c": 300}
"""Bytes that a layer of each kind saves."""
GRADIENTS = {"a": 90, "b": 11, "c": 5}
WORKING = {"a": 1000, "b": 10, "c": 100}


def step(kinds: list[str]) -> list[Moment]:
    """A step of a made-up model: layers save, work, and leave gradients."""
    moments = []

    def note(border: str, saved: int, work: int, gradients: int) -> None:
        parts = {"weights": 13 * len(kinds), "activations": saved, "temporaries": work, "gradients": gradients}
        moments.append(Moment(border, sum(parts.values()), parts))

    for i, kind in enumerate(kinds):
        note("forward", sum(SAVED[k] for k in kinds[:i]), WORKING[kind] + (500 if i == 0 else 0), 0)
    note("loss_forward", sum(SAVED[k] for k in kinds), 50, 0)
    note("loss_backward", sum(SAVED[k] for k in kinds), 60, 0)
    borders = backward_borders(list(kinds))
    for i, kind in reversed(list(enumerate(kinds))):
        done = sum(GRADIENTS[k] for k in kinds[i + 1 :])
        note(borders[i], sum(SAVED[k] for k in kinds[: i + 1]), 2 * WORKING[kind] + (700 if i == 0 else 0), done)
    note("optimizer_step", 0, 3, sum(GRADIENTS[k] for k in kinds))
    return moments


KINDS = st.lists(st.sampled_from("abc"), max_size=3)
MODELS = st.tuples(KINDS, st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers(4, 30), KINDS)


@given(MODELS)
def test_two_depths_give_the_phases_of_the_whole(model: tuple[list[str], list[str], int, list[str]]) -> None:
    prefix, group, groups, rest = model
    kinds = prefix + group * groups + rest
    found = pattern(kinds)
    if len(found.depths) == 1:
        return
    config = {"num_hidden_layers": len(kinds), "layer_types": kinds}
    short, long = (step(at_depth(config, depth, found)["layer_types"]) for depth in found.depths)
    followed, whole = phases_of(extrapolated(short, long, found)), phases_of(step(kinds))
    top = max(whole, key=lambda phase: phase.allocated_bytes)
    assert max(phase.allocated_bytes for phase in followed) == top.allocated_bytes
    if len(set(kinds)) == 1:
        assert [(p.phase, p.allocated_bytes, p.by_category) for p in followed] == [
            (p.phase, p.allocated_bytes, p.by_category) for p in whole
        ]


def test_runs_that_differ_in_more_than_layers_give_nothing() -> None:
    short, long = step(["a"] * 3), step(["a"] * 4)
    with pytest.raises(Unequal):
        extrapolated(short, [*long, Moment("clip", 1, {})], Pattern(0, 1, 32, 0))
    with pytest.raises(Unequal):
        extrapolated(short, step(["a"] * 5), Pattern(0, 1, 32, 0))


def test_the_last_layer_of_a_kind_is_visited_first_and_the_first_one_last() -> None:
    assert backward_borders(list("aaaa")) == ["backward_last", BACKWARD_MIDDLE, BACKWARD_MIDDLE, "backward_first"]
    assert backward_borders(list("ababab")) == ["backward_last"] * 2 + [BACKWARD_MIDDLE] * 2 + ["backward_first"] * 2
    assert backward_borders(list("daaa"))[0] == "backward_last"
    assert backward_borders(["a"]) == ["backward_first"]


def component(kind: str, nbytes: int) -> Component:
    return Component(
        kind, kind, nbytes, (Amount(kind, "one", nbytes, 1, kind),), (1,) + (0,) * (len(SYMBOLS) - 1), ("forward",), ""
    )


def test_parts_of_both_are_laid_side_by_side() -> None:
    nothing = Interval(0, 0, 0)
    estimate = Estimate(
        Peak("forward", nothing, nothing, nothing, nothing),
        (PhasePeak("load", 90), PhasePeak("forward", 100)),
        (component("weights", 50), component("checkpoints", 20), component("working_set", 25), component("inputs", 5)),
        0, None, 0.0, 0.0,
    )  # fmt: skip
    traced = TracedPhase("forward", 104, {"weights": 52, "activations": 30, "temporaries": 20, "logits": 2})
    trace = Trace((traced,), 52, None, (3, 4), "cuda", 1.0, 1, {})
    compared = compare(estimate, trace)
    assert [(c.name, c.formula_bytes, c.trace_bytes) for c in compared.phases] == [("forward", 100, 104)]
    sizes = {c.name: (c.formula_bytes, c.trace_bytes) for c in compared.components}
    assert sizes["weights"] == (50, 52)
    assert sizes["activations"] == (50, 52)
    assert sum(formula for formula, _ in sizes.values()) == 100


def test_phases_come_in_the_order_of_a_step() -> None:
    assert [p.phase for p in phases_of(step(list("abab")))] == [p for p in PHASES if p != "clip"]
