"""Machine, catalogue and accuracy as text."""

from dataclasses import replace

import pytest
from golden import assert_golden
from test_document import MACHINE, REPORT

from vram_advisor.report.accuracy_tables import accuracy_lines
from vram_advisor.report.catalogue import (
    choice_lines,
    gpu_lines,
    matching_gpus,
    matching_models,
    model_lines,
    schema_lines,
)  # fmt: skip
from vram_advisor.report.choices import choices
from vram_advisor.report.layout import length
from vram_advisor.report.look import Look
from vram_advisor.report.machine import machine_lines
from vram_advisor.sources.catalog_gpus import find_gpu, list_gpus
from vram_advisor.sources.catalog_models import find_record

LOOK = Look()


def test_golden_machine() -> None:
    assert_golden("detect_80.txt", LOOK.painted(machine_lines(MACHINE, LOOK, 80)))


def test_golden_machine_without_a_gpu() -> None:
    machine = replace(MACHINE, gpus=(), driver=None, notes=("No NVIDIA driver is installed.",))
    assert_golden("detect_none_80.txt", LOOK.painted(machine_lines(machine, LOOK, 80)))


def test_golden_accuracy() -> None:
    assert_golden("accuracy_80.txt", LOOK.painted(accuracy_lines(REPORT, 80)))


def test_cards_are_found_by_words() -> None:
    cards = [find_gpu(name) for name in ("rtx-5070", "rtx-4090", "mi300x")]
    assert [gpu.id for gpu in matching_gpus(cards, ["RTX"])] == ["rtx-5070", "rtx-4090"]
    assert [gpu.id for gpu in matching_gpus(cards, ["rtx-5070"])] == ["rtx-5070"]
    assert [gpu.id for gpu in matching_gpus(cards, ["amd"])] == [cards[2].id]
    assert matching_gpus(cards, ["rtx", "amd"]) == ()
    assert len(matching_gpus(cards, [])) == 3


def test_models_are_found_by_words() -> None:
    records = [find_record("7b"), find_record("gpt2")]
    assert [record.id for record in matching_models(records, ["7b"])] == ["llama-2-7b"]
    assert [record.id for record in matching_models(records, ["meta", "llama"])] == ["llama-2-7b"]
    assert matching_models(records, ["nothing"]) == ()


def test_lists_keep_to_the_width() -> None:
    lists = (
        gpu_lines(list_gpus(), 80),
        model_lines([find_record("7b"), find_record("mixtral-8x7b")], 80),
        schema_lines(80),
        choice_lines(choices("optimizer"), 100),
    )
    for lines in lists:
        assert len(lines) > 2
        assert max(map(length, lines)) <= 100
    assert max(map(length, lists[0])) <= 80


def test_a_mixture_shows_its_active_parameters() -> None:
    text = LOOK.painted(model_lines([find_record("mixtral-8x7b"), find_record("7b")], 100))
    assert "46.70 B" in text and "12.88 B" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_accuracy_keeps_to_the_width_and_names_a_source_once(width: int) -> None:
    lines = list(accuracy_lines(REPORT, width))
    assert max(map(length, lines)) <= width
    assert LOOK.painted(lines).count("rtx-5090-receipts") == 1
