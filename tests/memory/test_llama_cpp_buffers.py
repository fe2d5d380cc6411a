"""Every thirteenth of the buffer sizes that llama.cpp v0.5.0 prints, to the byte."""

import pytest

from vram_advisor.accuracy.ledger import Row, read_ledger
from vram_advisor.accuracy.llama_cpp_rows import planned
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory, llama_cpp_memory
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.sources.data_files import data_path

ROWS = read_ledger(data_path("measurements/llamacpp_buffers.csv")).rows
EVERY = 13
HOST_ALIGNMENT = 64
"""The plans were made with a host buffer aligned to 64 bytes instead of ggml's 32 [B]."""
Pairs = list[tuple[Row, LlamaCppMemory]]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Rows beside what is computed for them."""
    found = []
    for row in ROWS[::EVERY]:
        (start,) = planned(row)
        found.append((row, llama_cpp_memory(start.model, file_tensors(start.model, start.file_type), start.options)))
    return found


def test_every_model_is_there(pairs: Pairs) -> None:
    assert {row["model"] for row, _ in pairs} == {row["model"] for row in ROWS}
    assert len(pairs) > 240


def test_caches_are_exact(pairs: Pairs) -> None:
    assert [m.gpus[0].cache for _, m in pairs] == [int(row["cache_gpu_bytes"]) for row, _ in pairs]
    assert [m.host.cache for _, m in pairs] == [int(row["cache_host_bytes"]) for row, _ in pairs]


def test_compute_buffers_are_exact(pairs: Pairs) -> None:
    missed = {
        row["id"]: m.gpus[0].compute - int(row["compute_gpu_bytes"])
        for row, m in pairs
        if m.gpus[0].compute != int(row["compute_gpu_bytes"])
    }
    assert missed == {}


def test_compute_buffers_of_the_host_differ_by_their_alignment(pairs: Pairs) -> None:
    assert max(abs(m.host.compute - int(row["compute_host_bytes"])) for row, m in pairs) <= HOST_ALIGNMENT


def test_weights_are_exact(pairs: Pairs) -> None:
    for row, memory in pairs:
        assert memory.gpus[0].model == int(row["weights_gpu_bytes"]), row["id"]
        assert memory.host.model == int(row["weights_host_bytes"]), row["id"]
