"""CSV, Markdown, HTML and SVG say what the JSON says, whatever a model is called, and reach for nothing."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sample_answers import answer

from vram_advisor import api
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.report.document import answer_document
from vram_advisor.report.formats.asked import Asked, FitMap, fit_map
from vram_advisor.report.formats.canvas import LETTER, NARROWEST, label
from vram_advisor.report.formats.csv_rows import answer_csv
from vram_advisor.report.formats.map_picture import cell_title
from vram_advisor.report.formats.markdown import answer_markdown, escaped
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.page import html_report
from vram_advisor.report.formats.palette import DARK, LIGHT, OUTCOMES
from vram_advisor.report.formats.parts import kind_order, needed, of_phase
from vram_advisor.report.formats.svg import svg_report
from vram_advisor.report.sizes import size
from vram_advisor.report.words import shown
from vram_advisor.units.bytes import GIB, gib

HOSTILE = "<script>alert(1)</script>\"'&|`x`](javascript:x)\x00\u202e*_$"
REAL: dict[str, dict[str, Any]] = {
    "compared": {"model": "7b", "gpu": "rtx-5070", "method": "lora"},
    "full": {"model": "llama-3.1-8b", "gpu": "h100-sxm", "method": "full"},
    "offloaded": {"model": "llama-3.1-8b", "gpu": "rtx-5070", "runtime": "llama.cpp", "quantization": "q8_0", "n_gpu_layers": 20},
    "a share of the card": {"model": "llama-3.1-8b", "gpu": "rtx-4090", "runtime": "vllm"},
    "several GPUs": {"model": "13b", "gpu": "rtx-4090", "method": "qlora", "num_gpus": 2, "sharding": "fsdp_full"},
}  # fmt: skip
SAMPLES = ("fits", "tight", "no", "unknown", "busy")
EVERY = [*SAMPLES, *REAL]


def an_answer(name: str) -> Answer:
    if name in REAL:
        asked = dict(REAL[name])
        return api.check(asked.pop("model"), gpu=asked.pop("gpu"), advised=True, **asked)
    return answer(name)  # type: ignore[arg-type]


class Page(HTMLParser):
    """What a browser reads in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[tuple[int, str]] = []
        self.text = ""
        self._value: int | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "data":
            self._value = int(dict(attrs)["value"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._value is not None:
            self.data.append((self._value, data))
            self._value = None


def byte_values(document: Any, key: str = "") -> set[int]:
    """Every number of bytes in a JSON document."""
    if isinstance(document, dict):
        inside = key.endswith("bytes")
        return set().union(*(byte_values(v, "bytes" if inside else k) for k, v in document.items()))
    if isinstance(document, list):
        return set().union(*(byte_values(v, key) for v in document))
    return {document} if key.endswith("bytes") and isinstance(document, int) else set()


def page_of(found: Answer, mapped: FitMap | None = None) -> str:
    return html_report(found, "vram-advisor check --model x --format html", mapped)


@pytest.mark.parametrize("name", EVERY)
def test_csv_has_every_component_of_the_json(name: str) -> None:
    found = an_answer(name)
    document = json.loads(json.dumps(answer_document(found)))
    text = answer_csv(found)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert all(line.endswith("\r\n") for line in text.splitlines(keepends=True))
    at = 0
    for index, option in enumerate(document["options"]):
        for component in option["components"]:
            row = rows[at]
            at += 1
            assert row["option"] == option["title"] and row["component"] == component["label"]
            assert row["formula"] == component["formula"] and row["alive"].split("; ") == component["alive"]
            for end in ("low", "mid", "high"):
                assert int(row[f"component_{end}_bytes"]) == component["bytes"][end]
                for number in ("allocated", "reserved", "process", "minimum"):
                    assert int(row[f"{number}_{end}_bytes"]) == option["peak"][f"{number}_bytes"][end]
            assert row["recommended"] == ("true" if index == document["recommended"] else "false")
            odds = option["verdict"]["probability"]
            assert row["probability"] == ("" if odds is None else str(odds))
    assert at == len(rows)


@pytest.mark.parametrize("name", EVERY)
def test_the_page_shows_the_bytes_of_the_json_and_no_others(name: str) -> None:
    found = an_answer(name)
    document = answer_document(found)
    page = Page(page_of(found))
    values = {value for value, _ in page.data}
    for option in document["options"]:
        assert byte_values(option["peak"]) <= values
        assert byte_values(option["components"]) <= values
        assert {option["host_bytes"], option["verdict"]["headroom_bytes"]} - {None} <= values
    best = document["options"][found.options.index(shown(found))]
    assert byte_values(best["phases"]) <= values
    known = byte_values(document)
    assert values <= known | {abs(value) for value in known}
    assert all(written in (size(value), gib(value), gib(value, 1)) for value, written in page.data)


@pytest.mark.parametrize("name", EVERY)
def test_markdown_and_picture_show_the_same(name: str) -> None:
    found = an_answer(name)
    best, text, picture = shown(found), answer_markdown(found, "x"), svg_report(found)
    for option in found.options:
        numbers = option.estimate.peak
        for number in (numbers.allocated_bytes, numbers.reserved_bytes, numbers.process_bytes, numbers.minimum_bytes):
            assert f"{gib(number.mid)} ({number.low / GIB:.2f}–{number.high / GIB:.2f} GiB)" in text
    for phase in best.estimate.phases:
        assert size(phase.allocated_bytes) in text and size(phase.allocated_bytes) in picture
    assert gib(best.estimate.peak.minimum_bytes.mid) in picture
    if found.device is not None and best.verdict.free_bytes is not None:
        assert gib(best.verdict.free_bytes) in picture
    assert all(escaped(sentence) in text for sentence in (*found.assumptions, *found.warnings))


@pytest.mark.parametrize("name", EVERY)
def test_bars_are_as_long_as_what_they_show(name: str) -> None:
    found = an_answer(name)
    option = shown(found)
    order = kind_order(option)
    for each in found.options:
        parts = needed(each, found.device, order)
        least = each.estimate.peak.minimum_bytes.mid
        total = sum(part.nbytes for part in parts)
        assert total == least or (each.estimate.share_bytes is not None and total > least)
        assert len({part.style for part in parts}) == len(parts), "no two parts look alike"
    for phase in option.estimate.phases:
        drawn = sum(part.nbytes for part in of_phase(option, phase, order))
        assert drawn == pytest.approx(phase.allocated_bytes, abs=len(option.estimate.components))


def test_the_map_is_made_of_answers() -> None:
    asked = Asked("7b", "rtx-5070", None, Workload(method="lora"), Plan())
    found = api.check("7b", gpu="rtx-5070", workload=asked.workload)
    mapped = fit_map(asked, found)
    assert mapped is not None
    assert len(mapped.cells) == len(mapped.rows.values) * len(mapped.columns.values)
    for cell in mapped.cells:
        values = mapped.rows.set(cell.row) | mapped.columns.set(cell.column)
        quantization = shown(found).plan.quantization
        there = shown(api.check("7b", gpu="rtx-5070", method="lora", quantization=quantization, **values))
        assert (cell.minimum_bytes, cell.outcome) == (
            there.estimate.peak.minimum_bytes.mid,
            there.verdict.outcome,
        )
    text = page_of(found, mapped)
    page = Page(text)
    assert {cell.minimum_bytes for cell in mapped.cells} <= {value for value, _ in page.data}
    assert all(f">{cell_title(cell)}</text>" in text for cell in mapped.cells)


def test_a_trace_has_no_map() -> None:
    asked = Asked("7b", None, None, Workload(method="lora"), Plan(), traced=True)
    assert fit_map(asked, answer("fits")) is None
    assert asked.command("html") == "vram-advisor check --model 7b --method lora --format html --trace"


def test_the_command_asks_the_same_again() -> None:
    asked = Asked("a b", None, 1, Workload(), Plan(quantization="q8"), calibrated=False)
    said = "vram-advisor check --model 'a b' --quantization q8 --format markdown --gpu-index 1 --no-calibration"
    assert asked.command("markdown") == said


def hostile() -> Answer:
    found = answer("no")
    return replace(
        found, model=replace(found.model, id=HOSTILE), warnings=(HOSTILE,), assumptions=(HOSTILE,),
        options=tuple(replace(option, title=HOSTILE) for option in found.options),
    )  # fmt: skip


def test_a_hostile_name_is_only_a_name_in_html() -> None:
    text = html_report(hostile(), f"vram-advisor check --model '{HOSTILE}'", None, (HOSTILE,))
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "embed", "img", "a", "link", "base", "form"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE.replace("\x00", "\ufffd").replace("\u202e", "\ufffd") in page.text


def test_a_hostile_name_is_only_a_name_in_svg() -> None:
    root = ElementTree.fromstring(svg_report(hostile()))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {
        "svg", "title", "desc", "style", "defs", "pattern", "path", "rect", "text", "tspan", "line", "circle",
    }  # fmt: skip


def test_a_hostile_name_is_only_a_name_in_markdown() -> None:
    text = answer_markdown(hostile(), f"vram-advisor check --model '{HOSTILE}'\n```\n<b>")
    body, fence, command = text.partition("```")
    assert fence and not re.search(r"(?<!\\)[<>`\[\]]", body), "every sign of markup is escaped"
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows[:5]} == {7}, "cells stay in their columns"
    assert command.endswith("````\n"), "the fence is longer than any that the command holds"
    assert "\x00" not in text and "\u202e" not in text


def test_a_spreadsheet_runs_no_formula() -> None:
    found = replace(answer("fits"), model=replace(answer("fits").model, id='=HYPERLINK("http://x")'))
    row = next(csv.DictReader(io.StringIO(answer_csv(found), newline="")))
    assert row["model"] == '\'=HYPERLINK("http://x")'
    assert int(row["headroom_bytes"]) < 0, "a negative number is no text"


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_page_needs_nothing_else(kind: str) -> None:
    text = page_of(an_answer(kind))
    page = Page(text)
    fetched = {"src", "href", "srcset", "xlink:href", "action", "poster", "data"}
    assert not [(tag, name) for tag, attributes in page.tags for name in attributes if name in fetched]
    assert not re.search(r"url\((?!#)|@import|@font-face", text)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script" not in {tag for tag, _ in page.tags}


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_picture_says_what_it_shows(kind: str) -> None:
    for text in (page_of(an_answer(kind)), svg_report(an_answer(kind))):
        page = Page(text)
        ids = [a["id"] for _, a in page.tags if "id" in a]
        assert len(ids) == len(set(ids))
        pictures = [a for t, a in page.tags if t == "svg" and a.get("role") == "img"]
        assert len(pictures) >= 3
        for picture in pictures:
            assert set(str(picture["aria-labelledby"]).split()) <= set(ids)
    assert page_of(an_answer(kind)).startswith('<!doctype html>\n<html lang="en">')


@pytest.mark.parametrize("at", [i / 50 for i in range(51)])
@pytest.mark.parametrize("text", ["free", "free memory ends at 11.61 GiB", "peak 113.64 GiB, backward, first layer"])
def test_labels_stay_inside(text: str, at: float) -> None:
    found = label(node(None, "svg"), text, at, 10)
    x, wide = float(found.get("x", "").rstrip("%")) / 100, len(text) * LETTER / NARROWEST
    left = x - {"end": wide, "middle": wide / 2}.get(found.get("class", ""), 0)
    assert left >= -1e-3 and left + wide <= 1 + 1e-3


def test_the_picture_of_the_readme_is_the_answer_of_today() -> None:
    kept = (Path(__file__).resolve().parents[2] / "docs" / "report.svg").read_text(encoding="utf-8")
    made = svg_report(api.check("7b", gpu="rtx-5070", method="lora"))
    assert re.findall(r"\d+\.\d\d GiB", kept) == re.findall(r"\d+\.\d\d GiB", made), (
        "vram-advisor check --model 7b --method lora --gpu rtx-5070 --format svg --output docs/report.svg"
    )


def test_rows_that_are_alive_sum_to_the_peak() -> None:
    found = answer("fits")
    rows = list(csv.DictReader(io.StringIO(answer_csv(found), newline="")))
    for option in found.options:
        alive = [r for r in rows if r["option"] == option.title and r["alive_at_peak"] == "true"]
        assert sum(int(r["component_mid_bytes"]) for r in alive) == int(alive[0]["allocated_mid_bytes"])


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["day", "night"])
def test_everything_can_be_read(colours: dict[str, str]) -> None:
    for ground in ("page", "card", "code"):
        assert contrast(colours["ink"], colours[ground]) >= 7
        assert contrast(colours["soft"], colours[ground]) >= 4.5
    for outcome in OUTCOMES:
        assert contrast(colours[outcome], colours["card"]) >= 4.5
        assert contrast(colours[outcome], colours[f"{outcome}_tint"]) >= 4.5
    for part in ("p0", "p1", "p2", "p3", "p4", "p5", "over"):
        assert contrast(colours[part], colours["card"]) >= 3
