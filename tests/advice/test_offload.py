"""What to leave in system memory when a model does not fit."""

from typing import Any

import pytest

from vram_advisor import api
from vram_advisor.advice.offload import least, offload, sentences
from vram_advisor.domain.offload import Offload
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB


def found(model: str, gpu: str, context: int = 8192, ram_gib: int | None = 64, **choices: Any) -> Offload:
    """The advice for a Q4_K_M file."""
    plan = Plan(runtime="llama.cpp", quantization="q4_k_m", **choices)
    device = device_from_spec(find_gpu(gpu), 1, "linux")
    workload = Workload(method="inference", context_length=context)
    ram = None if ram_gib is None else ram_gib * GIB
    return offload(find_model(model), workload, plan, recipe(plan.recipe), device, ram)


def test_a_model_that_fits_stays_whole() -> None:
    advice = found("qwen3-4b", "rtx-4090")
    assert advice.ours is not None
    assert advice.ours.by == "whole"
    assert advice.ours.offloaded_bytes == 0
    assert advice.fit.options.n_gpu_layers == -1


def test_experts_leave_before_layers() -> None:
    """A token uses 8 of 128 experts: what lies in system memory is read least per byte."""
    advice = found("qwen3-30b-a3b", "rtx-4070", 16_384)
    ours, fit = advice.ours, advice.fit
    assert ours is not None
    assert ours.by == "experts"
    assert 0 < ours.options.n_cpu_moe < 48
    assert len(fit.options.override_tensor) >= ours.options.n_cpu_moe
    assert ours.host_bytes > ours.offloaded_bytes > 0
    assert ours.traffic.batch_bytes > ours.offloaded_bytes * 0.9
    assert ours.traffic.token_bytes < 10**7
    assert ours.fits_host


def test_one_layer_more_would_not_fit() -> None:
    advice = found("llama-3.1-70b", "rtx-4090")
    assert advice.ours is not None
    assert advice.ours.by == "layers"
    device = device_from_spec(find_gpu("rtx-4090"), 1, "linux")
    assert device.free_bytes * 0.9 < advice.ours.gpu_bytes < device.free_bytes
    assert advice.ours.gpu_bytes + advice.ours.offloaded_bytes / 81 > device.free_bytes * 0.95


def test_system_memory_that_does_not_suffice_is_said() -> None:
    advice = found("llama-3.1-70b", "rtx-4090", ram_gib=16)
    assert advice.ours is not None
    assert advice.ours.fits_host is False
    assert any("does not have that much memory" in sentence for sentence in sentences(advice))
    unknown = found("llama-3.1-70b", "rtx-4090", ram_gib=None).ours
    assert unknown is not None
    assert unknown.fits_host is None


def test_longer_contexts_fit_with_smaller_caches() -> None:
    contexts = {c.cache_type: c.tokens for c in found("llama-3.1-8b", "rtx-4060").contexts}
    assert 0 < contexts["f16"] < contexts["q8_0"] < contexts["q4_0"]


@pytest.mark.parametrize("answer", range(1, 9))
def test_the_least_that_holds(answer: int) -> None:
    assert least(lambda n: n >= answer, 8) == answer
    assert least(lambda n: False, 8) is None


def test_the_question_of_a_person() -> None:
    answer = api.check("llama-3.1-70b", gpu="rtx-4090", method="inference", runtime="llama.cpp")
    said = " ".join(answer.warnings)
    assert "--n-gpu-layers" in said
    assert "--fit of llama.cpp itself would choose" in said
    assert "cross PCIe" in said
