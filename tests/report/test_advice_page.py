"""The page and the picture of ``advise`` say what its JSON says, whatever a model is called, and reach for nothing."""

import json
import re
from dataclasses import replace
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from vram_advisor import api
from vram_advisor.domain.advice import AdviceAnswer
from vram_advisor.domain.job import Dataset
from vram_advisor.report.advice_document import advice_document
from vram_advisor.report.formats.advice_page import advice_page, options
from vram_advisor.report.formats.advice_svg import advice_svg
from vram_advisor.report.formats.canvas import LETTER, NARROWEST
from vram_advisor.report.formats.front_picture import Scale, front_picture
from vram_advisor.units.bytes import gib

ASKED: dict[str, dict[str, Any]] = {
    "does not fit": {"model": "13b", "gpu": "rtx-5070", "method": "lora"},
    "fits": {"model": "7b", "gpu": "rtx-5090", "method": "qlora"},
    "half on the host": {"model": "mixtral-8x7b", "gpu": "rtx-4090"},
    "served": {"model": "llama-3.1-8b", "gpu": "rtx-4090", "runtime": "vllm", "context_length": 131072},
    "a job": {"model": "7b", "gpu": "rtx-5090", "method": "qlora", "dataset": Dataset(tokens=100_000, price_per_kwh=0.3)},
    "far too large": {"model": "llama-3.1-405b", "gpu": "rtx-3050-8gb", "method": "full"},
}  # fmt: skip
HOSTILE = "<script>alert(1)</script>\"'&|`x`](javascript:x)\x00\u202e*_$"


@cache
def advised(name: str) -> AdviceAnswer:
    asked = dict(ASKED[name])
    return api.advise(asked.pop("model"), **asked)


def page_of(answer: AdviceAnswer) -> str:
    return advice_page(answer, None, "vram-advisor advise --model x --format html")


def said(markup: str) -> str:
    """The text of a document in one line."""
    root = ElementTree.fromstring(re.sub(r"^<!doctype html>|<(meta|br)[^>]*>", "", markup))
    return " ".join("".join(root.itertext()).replace("\u00a0", " ").split())


@pytest.mark.parametrize("name", ASKED)
def test_the_page_has_every_change_with_what_it_costs_and_its_command(name: str) -> None:
    answer = advised(name)
    text = said(page_of(answer))
    document = json.loads(json.dumps(advice_document(answer)))
    assert gib(document["minimum_bytes"]) in text and document["verdict"]["reason"] in text
    for number, one in enumerate(document["advices"], 1):
        assert f"Change {number}" in text and gib(one["minimum_bytes"]) in text
        for move in one["moves"]:
            assert move["title"] in text and move["needs"] in text
            assert move["cost"].removeprefix("none: ") in text
    assert text.count("vram-advisor check --model") == len(document["advices"])
    for one in document["front"]:
        assert f"{gib(one['minimum_bytes'])} ×{one['relative_time']:.2f} the time".replace(" ", "") in text.replace(
            " ", ""
        )
    for note in document["notes"]:
        assert note in text
    if answer.job is not None:
        assert "optimizer steps" in text and "kWh" in text


def test_a_page_without_advice_says_so() -> None:
    answer = replace(advised("far too large"), advices=(), front=(), bounds=())
    for markup in (page_of(answer), advice_svg(answer).partition("?>")[2]):
        text = said(markup)
        assert "DOES NOT FIT" in text and "Change 1" not in text and "Memory against time" not in text
    assert "Nothing that is known here makes it fit this card." in said(page_of(answer))


@pytest.mark.parametrize("name", ASKED)
def test_the_picture_has_a_bar_for_each_plan_and_a_point_for_each_of_the_front(name: str) -> None:
    answer = advised(name)
    text = said(advice_svg(answer).partition("?>")[2])
    for option in options(answer):
        assert option.title in text and gib(option.estimate.peak.minimum_bytes.mid) in text
    for number, advice in enumerate(answer.front, 1):
        assert f"{number}: {gib(advice.estimate.minimum_mean)}" in text
    assert len(options(answer)) == 1 + len(answer.advices)


@pytest.mark.parametrize("name", ASKED)
def test_points_lie_where_their_numbers_are_and_names_over_nothing(name: str) -> None:
    answer = advised(name)
    root = front_picture(answer)
    points = [e for e in root if e.tag == "svg" and len(e) and e[0].tag == "path" and "cut" in e[0].get("class", "")]
    across = [float(point.get("x", "").rstrip("%")) for point in points]
    up = [-float(point.get("y", "")) for point in points]
    needs = [advice.estimate.minimum_mean for advice in answer.front]
    times = [advice.relative_time for advice in answer.front]
    assert sorted(range(len(points)), key=across.__getitem__) == sorted(range(len(points)), key=needs.__getitem__)
    assert [up[i] for i in sorted(range(len(points)), key=times.__getitem__)] == sorted(up)
    names = [e for e in root if e.tag == "svg" and len(e) and e[0].tag == "text"]
    assert [e[0].text for e in names] == ["asked", *(str(i) for i in range(1, len(points) + 1))]
    boxes = []
    for e in names:
        x, wide = float(e.get("x", "").rstrip("%")) / 100 * NARROWEST, len(e[0].text or "") * LETTER
        start = x - 12 - wide if "end" in str(e[0].get("class")) else x + 12
        assert start >= 0 and start + wide <= NARROWEST
        boxes.append((start, start + wide, float(e.get("y", ""))))
    for i, (left, right, y) in enumerate(boxes):
        for other_left, other_right, other_y in boxes[i + 1 :]:
            assert right <= other_left or other_right <= left or abs(y - other_y) >= 12


def test_an_axis_has_round_figures_that_are_apart() -> None:
    """Of one digit where these are enough, of two where little differs."""
    assert Scale(0.8, 120, 0, 1).ticks(0.1) == [1, 2, 5, 10, 20, 50, 100]
    near = Scale(0.85, 1.3, 0, 1).ticks(0.05)
    assert near == pytest.approx([0.9, 1, 1.1, 1.2])
    for scale, apart in ((Scale(0.01, 9000, 0.1, 1), 0.12), (Scale(3, 4, 200, 0), 20)):
        ticks = [scale.at(value) for value in scale.ticks(apart)]
        assert all(abs(one - other) >= apart for i, one in enumerate(ticks) for other in ticks[:i])


def test_a_hostile_name_is_only_a_name() -> None:
    answer = advised("does not fit")
    answer = replace(answer, model=replace(answer.model, id=HOSTILE), notes=(HOSTILE,))
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
    assert shown in said(page_of(answer)) and shown[:40] in said(advice_svg(answer).partition("?>")[2])
    for markup in (page_of(answer), advice_svg(answer)):
        assert "<script" not in markup and "src=" not in markup and "href=" not in markup
    assert "default-src 'none'" in page_of(answer)


@pytest.mark.parametrize("name", ASKED)
def test_every_picture_says_what_it_shows(name: str) -> None:
    for markup in (page_of(advised(name)), advice_svg(advised(name))):
        ids = re.findall(r' id="([^"]+)"', markup)
        assert len(ids) == len(set(ids))
        pictures = re.findall(r'aria-labelledby="([^"]+)"', markup)
        assert pictures and all(set(each.split()) <= set(ids) for each in pictures)
