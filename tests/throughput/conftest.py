"""Cards and models that the tests of speed share."""

import pytest

from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model


@pytest.fixture(scope="session")
def a100() -> GpuSpec:
    return find_gpu("a100-sxm4-80-gb")


@pytest.fixture(scope="session")
def rtx_4090() -> GpuSpec:
    return find_gpu("rtx-4090")


@pytest.fixture(scope="session")
def llama_7b() -> ModelSpec:
    return find_model("llama-2-7b")


@pytest.fixture(scope="session")
def mixtral() -> ModelSpec:
    return find_model("mixtral-8x7b")
