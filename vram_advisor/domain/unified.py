"""How much of a unified memory the GPU may take: policy of the operating system, not a fact of the chip."""

from vram_advisor.units.bytes import GIB

SMALL_MAC_BYTES = 32 * GIB
"""Macs up to this size have the smaller share [B]."""

SMALL_MAC_SHARE = 2 / 3
"""Share of the memory that Metal recommends as its largest working set on Macs up to 32 GiB.

llama.cpp prints it: 10,922.67 MiB of 16 GiB (abetlen/llama-cpp-python #687), 21,845.34 MiB of 32 GiB (ollama/ollama
#434).
"""

LARGE_MAC_SHARE = 3 / 4
"""The same above 32 GiB: 49,152 MiB of 64 GiB (ggml-org/llama.cpp #1870), 73,728 MiB of 96 GiB (ggml-org/llama.cpp
#3213)."""

MAC_SHARE_SD = 0.04
"""Spread of the share. Logs of later macOS versions show more (0.74 of 16 GiB, 0.78 of 48 GiB, 0.81 of 64 GiB), so the
two shares are what every version grants."""


def metal_limit_bytes(total_bytes: int) -> int:
    """Memory [B] that macOS lets the GPU use by default on a Mac with ``total_bytes`` [B]; ``iogpu.wired_limit_mb``
    changes it."""
    share = SMALL_MAC_SHARE if total_bytes <= SMALL_MAC_BYTES else LARGE_MAC_SHARE
    return int(total_bytes * share)
