"""The smallest card of the catalogue that would do."""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.advice.verdict import FITS, probability_of_fit
from vram_advisor.domain.answer import Option, SmallestGpu
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu, gpus_with

FORMS = ("desktop", "workstation", "datacentre", "laptop")
"""Cards that people put into a machine or rent for it, best first; boards and chips with a computer of their own are
no answer to which card."""


def smallest(options: Sequence[Option]) -> tuple[SmallestGpu, ...]:
    """For each option the smallest card that holds it: fewest bytes, desktop before laptop, then newest.

    Cards of NVIDIA that compute in bf16: the stacks whose memory is modelled run on them. A runtime that takes a share
    of the card needs its minimum within the share.
    """
    found: list[SmallestGpu] = []
    for i, option in enumerate(options):
        share = option.plan.gpu_memory_utilization if option.plan.runtime == "vllm" else 1.0
        need, sd = option.estimate.minimum_mean, option.estimate.minimum_sd
        rows = [row for row in gpus_with(int(need / share)) if row.vendor == "NVIDIA" and row.form in FORMS]
        for row in sorted(rows, key=lambda r: (r.vram_bytes or 0, FORMS.index(r.form), _descending(r.launch_date))):
            spec = find_gpu(row.id)
            if not spec.bf16:
                continue
            device = device_from_spec(spec, 1, "linux")
            p = probability_of_fit(need, sd, device.free_bytes * share, device.free_sd_bytes)
            if p >= FITS:
                found.append(SmallestGpu(i, row.id, row.name, device.total_bytes, round(p, 4)))
                break
    return tuple(found)


def _descending(date: str | None) -> str:
    """A key that sorts later dates first."""
    return "".join(chr(255 - ord(c)) for c in date or "")
