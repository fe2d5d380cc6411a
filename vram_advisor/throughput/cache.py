"""What of the bytes between the products never reaches a card's memory: its last cache hands it on to the next kernel.

Kernels between the products follow each other over the same elements. Where what one writes is still in the cache when the
next one reads it, and where it is dead before it is pushed out, no byte crosses the bus of the memory. Cards with little
bandwidth beside their matrix rate have such caches for that reason.
"""

from __future__ import annotations

from vram_advisor.domain.efficiencies import compute_capability
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.units.grid import Number

MB_PER_SM = ((10.0, 0.85), (9.0, 0.38), (8.0, 0.37), (0.0, 0.07))
"""Last cache per multiprocessor of cards with HBM by compute capability [10^6 B] (NVIDIA white papers: 126 MB on B200,
50 MB on H100, 40 MB on A100, 6 MB on V100)."""
MB_PER_SM_GDDR = ((8.9, 0.65), (0.0, 0.07))
"""The same of other cards: 24 to 128 MB from Ada on, 6 MB before (GA102, TU102); single cards differ by a third."""
HALF = 2.6
"""Cache, in fp32 copies of the residual stream of a micro batch, at which half of the bytes reach the memory."""
STEEPNESS = 1.6
"""Of the passage from all to none. Both follow the operations of a layer (``tests/throughput/test_element_bytes.py``),
played through a cache that forgets what was used longest ago: 0.94, 0.80, 0.64 and 0.40 of the bytes of Llama 3.1 8B at
2,048 tokens reach the memory behind 24, 40, 50 and 96 MiB."""
FASTER = 3.0
"""Rate of the cache, in rates of the memory, assumed."""


def last_cache(gpu: GpuSpec) -> float:
    """Last cache of a card [B]; 0 where it is not known."""
    if gpu.vendor != "NVIDIA" or gpu.sm_count is None:
        return 0.0
    rows = MB_PER_SM if "HBM" in (gpu.memory_type or "") else MB_PER_SM_GDDR
    capability = compute_capability(gpu)
    return gpu.sm_count * 1e6 * next(size for least, size in rows if capability >= least)


def reaching_memory(gpu: GpuSpec, tokens: Number, hidden_size: int) -> Number:
    """Share of the bytes between the products that reach the memory: ``1 / (1 + (cache / 2.6 S)^1.6)``, where S are the
    bytes of an fp32 copy of the residual stream, 4 x tokens x hidden size."""
    copies = last_cache(gpu) / (4 * tokens * hidden_size)
    return 1 / (1 + (copies / HALF) ** STEEPNESS)
