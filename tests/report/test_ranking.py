"""Ranked cards and fitting models as text."""

from golden import assert_golden

from vram_advisor.advice.cards import CardRanking, RankedCard
from vram_advisor.advice.choices import FittingModel, FittingModels
from vram_advisor.domain.estimate import Verdict
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.throughput import Span
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.report.layout import length
from vram_advisor.report.look import Look
from vram_advisor.report.ranking import fitting_lines, ranking_lines
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB

MODEL = find_model("13b")
ASKED = Workload(method="qlora")
PRESENT = device_from_spec(find_gpu("rtx-5070"))
FITS = Verdict("fits", 0.99, 12 * GIB, 2 * GIB, "")
NO = Verdict("no", 0.0, 8 * GIB, -3 * GIB, "")


def ranked(*cards: RankedCard, present: bool = True) -> CardRanking:
    return CardRanking(MODEL, ASKED, Plan(quantization="nf4_double"), "Q4", PRESENT if present else None, cards)


def card(name: str, verdict: Verdict = FITS, speed: float | None = 450.0) -> RankedCard:
    span = None if speed is None else Span(0.62 * speed, speed, 1.6 * speed)
    return RankedCard(find_gpu(name), 1, 10 * GIB, verdict, span, None if speed is None else speed / 450.0)


FITTING = FittingModels(
    PRESENT, ASKED,
    (FittingModel(MODEL, 13_015_864_320, "Q4", Plan(), 10 * GIB, FITS, 3712),
     FittingModel(find_model("gpt2"), 124_439_808, "Q4", Plan(), GIB // 2, FITS, 1024)),
    3,
)  # fmt: skip
CARDS = ranked(card("rtx-5070"), card("rtx-5090", speed=1365.0), card("l40s", speed=None))


def test_goldens() -> None:
    assert_golden("gpus_for_80.txt", Look().painted(ranking_lines(CARDS, 80)))
    assert_golden("models_fit_80.txt", Look().painted(fitting_lines(FITTING, 80)))


def test_lines_keep_to_the_width() -> None:
    for width in (40, 80, 110):
        lines = [*ranking_lines(CARDS, width), *fitting_lines(FITTING, width)]
        assert max(map(length, lines)) <= width


def test_where_nothing_fits_the_nearest_are_shown() -> None:
    text = Look().painted(ranking_lines(ranked(card("rtx-5070", NO), card("rtx-4060", NO)), 80))
    assert "3.00 GiB short" in text and "come nearest" in text


def test_where_something_fits_the_rest_is_left_out() -> None:
    text = Look().painted(ranking_lines(ranked(card("rtx-5090"), card("rtx-4060", NO)), 80))
    assert "rtx-5090" in text and "rtx-4060" not in text


def test_without_a_present_card_nothing_is_compared() -> None:
    alone = RankedCard(find_gpu("rtx-5090"), 1, 10 * GIB, FITS, Span(1.0, 2.0, 3.0), None)
    text = Look().painted(ranking_lines(ranked(alone, present=False), 80))
    assert "beside" not in text and "×  " not in text
