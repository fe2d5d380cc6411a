"""The GPU of a Mac, from the kernel's own values."""

from vram_advisor.domain.gpu import HostSnapshot
from vram_advisor.hardware import apple

GIB = 2**30
HOST = HostSnapshot("darwin", "Apple M2 Max", 12, 64 * GIB, 60 * GIB)
M2_MAX = {"machdep.cpu.brand_string": "Apple M2 Max", "hw.memsize": str(64 * GIB)}


def test_the_usual_share():
    (gpu,) = apple.probe(HOST, M2_MAX.get).gpus
    assert (gpu.name, gpu.total_bytes, gpu.free_bytes, gpu.unified) == ("Apple M2 Max", 64 * GIB, 48 * GIB, True)
    assert gpu.notes == (
        "macOS lets the GPU use 48.00 GiB of 64.00 GiB, its usual share; iogpu.wired_limit_mb changes it.",
    )


def test_a_limit_that_the_owner_set():
    (gpu,) = apple.probe(HOST, (M2_MAX | {"iogpu.wired_limit_mb": "57344"}).get).gpus
    assert gpu.free_bytes == 56 * GIB
    (gpu,) = apple.probe(HOST, (M2_MAX | {"iogpu.wired_limit_mb": "0"}).get).gpus
    assert gpu.free_bytes == 48 * GIB


def test_free_is_bounded_by_what_the_computer_has_left():
    busy = HostSnapshot("darwin", None, 12, 64 * GIB, 10 * GIB)
    assert apple.probe(busy, M2_MAX.get).gpus[0].free_bytes == 10 * GIB
    unknown = HostSnapshot("darwin", None, 12, None, None)
    assert apple.probe(unknown, M2_MAX.get).gpus[0].free_bytes is None


def test_a_mac_with_an_intel_processor():
    intel = {"machdep.cpu.brand_string": "Intel(R) Core(TM) i7", "hw.memsize": str(16 * GIB)}
    assert apple.probe(HOST, intel.get).absent == apple.ABSENT
    assert apple.probe(HOST, lambda name: None).absent == apple.ABSENT
