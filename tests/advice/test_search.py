"""The search against walking everything, on spaces drawn at random."""

import random
from dataclasses import replace
from itertools import product
from math import log2

import pytest

from vram_advisor.advice import search as searching
from vram_advisor.advice.advise import Desk, advise
from vram_advisor.advice.levers import Setting, all_moves
from vram_advisor.advice.moves import Moves, Tried, compatible, pace, quality_of, tier_of
from vram_advisor.advice.search import search
from vram_advisor.domain.advice import TIERS, Move
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.models import resolve_model

MODELS = ("llama-2-7b", "llama-2-13b", "llama-3.1-8b", "qwen2.5-7b", "mistral-7b", "llama-3.2-1b")
GPUS = ("rtx-3060-12gb", "rtx-5070", "rtx-5080", "rtx-4090", "rtx-5090", "a100-sxm4-80gb")


def question(dice: random.Random) -> Desk:
    """A random plan on a random card."""
    method = dice.choice(["lora", "lora", "full"])
    workload = Workload(
        method=method,
        sequence_length=dice.choice([512, 2048, 4096, 8192]),
        micro_batch_size=dice.choice([1, 2, 4]),
    )
    plan = Plan(
        quantization=None if method == "full" else dice.choice(["bf16", "int8", "nf4_double"]),
        gradient_checkpointing=dice.choice([None, "none"]),
        lora_r=dice.choice([16, 64]),
        optimizer=dice.choice([None, "adamw_torch"]),
    )
    setting = Setting(resolve_model(dice.choice(MODELS)), workload, plan, resolved(workload, plan, recipe(plan.recipe)))
    # Time that depends on what is changed, so that fast and near are not the same.
    weights = {
        name: dice.uniform(0.8, 1.6) for name in ("bf16", "int8", "nf4_double", "full", "none", "offload", "liger")
    }

    def seconds(model: object, workload: Workload, plan: Plan) -> float:
        named = (plan.quantization, plan.gradient_checkpointing, plan.loss)
        time = 1.0
        for name in named:
            time *= weights.get(name or "full", 1.0)
        return time / workload.micro_batch_size**0.1

    return Desk(setting, device_from_spec(find_gpu(dice.choice(GPUS))), NOMINAL, seconds)


def cuts(moves: Moves) -> bool:
    """Whether samples are cut."""
    return any(move.lever == "length" for move in moves)


def doublings(desk: Desk, tried: Tried) -> int:
    """How often the time is doubled."""
    before = desk.attempt(())
    assert before is not None
    times = tried.time / before.time
    return int(log2(times)) if times > 1 else 0


def needless(desk: Desk, moves: Moves) -> bool:
    """Whether a set fits without one of its moves."""
    fewer = [desk.attempt(tuple(other for other in moves if other is not move)) for move in moves]
    return any(tried is not None and tried.probability >= 0.95 for tried in fewer)


def exhaustive(desk: Desk, levers: list[tuple[Move, ...]], key: str) -> tuple[float, ...] | None:
    """The cost of the best set that fits, by trying every one."""
    best = None
    for chosen in product(*[(None, *moves) for moves in levers]):
        moves: Moves = tuple(move for move in chosen if move is not None)
        tried = desk.attempt(moves) if compatible(moves) else None
        if tried is None or tried.probability < 0.95:
            continue
        if key == "smallest change" and needless(desk, moves):
            continue
        tier, quality = TIERS.index(tier_of(moves)), quality_of(moves)
        doubled = doublings(desk, tried)
        costs = {
            "smallest change": (tier + 2 * doubled, len(moves), quality, tried.time),
            "fastest": (tier > 1, cuts(moves), pace(tried.time), quality, len(moves), tried.time),
            "best quality": (quality + 3 * doubled, tier, pace(tried.time), len(moves), tried.time),
        }
        if best is None or costs[key] < best:
            best = costs[key]
    return best


@pytest.mark.parametrize("whole", [True, False], ids=["walked whole", "as large spaces are"])
def test_the_search_is_as_good_as_trying_everything(whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(3 if whole else 4)
    if not whole:
        # Sets of at most three moves, and those left out that single savings call hopeless.
        monkeypatch.setattr(searching, "WHOLE", 0)
    worse = []
    for _ in range(200 if whole else 100):
        desk = question(dice)
        levers = list(all_moves(desk.setting))
        levers = dice.sample(levers, min(3, len(levers)))
        result = search(levers, desk.attempt, float(desk.device.free_bytes))
        for reason in ("smallest change", "fastest", "best quality"):
            found = next((f for f in result.found if reason in f.reasons), None)
            best = exhaustive(desk, levers, reason)
            if reason == "fastest" and best is not None and best[0]:
                # A smaller model or lesser method is not offered as the fast one.
                assert found is None
                continue
            if found is None or best is None:
                assert found is None and best is None
                continue
            tier, quality = TIERS.index(tier_of(found.moves)), quality_of(found.moves)
            doubled = doublings(desk, found.tried)
            cost = {
                "smallest change": (tier + 2 * doubled, len(found.moves), quality, found.tried.time),
                "fastest": (
                    tier > 1,
                    cuts(found.moves),
                    pace(found.tried.time),
                    quality,
                    len(found.moves),
                    found.tried.time,
                ),
                "best quality": (
                    quality + 3 * doubled,
                    tier,
                    pace(found.tried.time),
                    len(found.moves),
                    found.tried.time,
                ),
            }[reason]
            if cost != pytest.approx(best):
                worse.append((reason, cost, best))
    assert worse == []


def test_what_fits_as_it_is_needs_no_move() -> None:
    workload, plan = Workload(method="lora"), Plan(quantization="nf4_double")
    setting = Setting(resolve_model("llama-3.2-1b"), workload, plan, resolved(workload, plan, recipe(plan.recipe)))
    answer = advise(Desk(setting, device_from_spec(find_gpu("rtx-4090")), NOMINAL, lambda *_: 1.0))
    assert answer.asked.verdict.outcome == "fits"
    assert answer.advices == ()
    assert {bound.field for bound in answer.bounds} == {"sequence_length", "micro_batch_size", "lora_r"}


def test_a_bound_fits_and_the_step_after_it_does_not() -> None:
    workload, plan = Workload(method="lora"), Plan(quantization="nf4_double")
    setting = Setting(resolve_model("llama-2-7b"), workload, plan, resolved(workload, plan, recipe(plan.recipe)))
    desk = Desk(setting, device_from_spec(find_gpu("rtx-5070")), NOMINAL, lambda *_: 1.0)
    batch = next(bound for bound in advise(desk).bounds if bound.field == "micro_batch_size")
    for size, fits in ((batch.largest, True), (batch.largest + 1, False)):
        again = Setting(setting.model, replace(workload, micro_batch_size=size), plan, setting.plan)
        applied = Desk(again, desk.device, NOMINAL, lambda *_: 1.0).apply(())
        assert applied is not None
        assert (applied.verdict.outcome == "fits") is fits
