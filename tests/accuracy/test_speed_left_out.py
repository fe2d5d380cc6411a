"""Generation on a GPU of which nothing was seen: shares fitted on all others, judged on its rows."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

numpy = pytest.importorskip("numpy")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fit_speed.py"


@pytest.fixture(scope="module")
def fit_speed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_speed", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generation_on_a_gpu_that_was_left_out(fit_speed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # Six steps of the fit change the shares by less than a hundredth from twelve.
    monkeypatch.setattr(fit_speed, "ROUNDS", 6)
    rows = fit_speed.rows_of("decode")
    parts = fit_speed.left_out(rows, fit_speed.DECODE, "gpu")
    everything = numpy.concatenate(list(parts.values()))
    assert len(parts) >= 20 and len(everything) == len(rows) >= 180
    assert numpy.median(everything[:, 0]) <= 0.15
    assert 0.85 <= numpy.mean(everything[:, 1]) <= 0.95
