"""Files of one model in several types share their estimates, and are told what each would be told alone."""

from functools import cache

import pytest

from vram_advisor.advice.shared_needs import FileNeeds, SharedNeeds
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Runtime, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.estimate import estimate
from vram_advisor.sources.models import resolve_model

MODELS = ("llama-3.2-1b", "qwen3-8b", "gemma-3-12b", "gpt-oss-20b")
TYPES = ("q4_k_m", "q2_k", "q8_0", "f16", "mxfp4")
CONTEXTS = (1000, 4096, 8192, 20_000)
CARD = Device("a card of 12 GiB", 1, "catalogue", total_bytes=12 << 30, free_bytes=11 << 30, sm_count=48)


@cache
def model_of(name: str) -> ModelSpec:
    return resolve_model(name)


@pytest.mark.parametrize("runtime", ["ollama", "llama.cpp"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_shared_is_what_each_file_needs_alone(name: str, runtime: Runtime) -> None:
    shared = SharedNeeds(CARD)
    model = model_of(name)
    for kind in TYPES:
        plan = Plan(runtime=runtime, quantization=kind)
        file = FileNeeds(model, plan, shared)
        for context in CONTEXTS:
            alone = estimate(model, Workload(context_length=context), plan, recipe(plan.recipe), CARD).estimate
            need = file.at(context, estimated=True)
            assert (need.mean, need.sd) == (alone.minimum_mean, alone.minimum_sd), (kind, context)


@pytest.mark.parametrize("name", MODELS)
def test_types_of_a_model_are_one_shape(name: str) -> None:
    shared = SharedNeeds(CARD)
    for kind in TYPES:
        FileNeeds(model_of(name), Plan(runtime="llama.cpp", quantization=kind), shared).at(4096, estimated=True)
    assert len(shared.numbers) == len(shared.lines) == 1


def test_other_dimensions_are_another_shape() -> None:
    shared = SharedNeeds(CARD)
    for name in ("llama-3.2-1b", "llama-3.1-8b"):
        FileNeeds(model_of(name), Plan(runtime="llama.cpp", quantization="q8_0"), shared).at(4096, estimated=True)
    assert len(shared.numbers) == 2


def test_between_contexts_of_another_file_a_line_is_enough_only_where_it_is_allowed() -> None:
    shared, model = SharedNeeds(CARD), model_of("llama-3.2-1b")
    first, second = (FileNeeds(model, Plan(runtime="llama.cpp", quantization=kind), shared) for kind in ("q8_0", "f16"))
    for context in (4096, 16_384, 65_536):
        first.at(context, estimated=True)
    near = second.at(30_000, estimated=False)
    assert contexts(shared) == [4096, 16_384, 65_536]
    exact = second.at(30_000, estimated=True)
    assert contexts(shared) == [4096, 16_384, 30_208, 65_536]
    assert near.mean == pytest.approx(exact.mean, rel=1e-4)


def contexts(shared: SharedNeeds) -> list[int]:
    """What was estimated, in cells of 256."""
    (line,) = shared.lines.values()
    return [point.context_length for point in line.needs.points]
