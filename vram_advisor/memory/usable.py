"""What a process can get on an empty card that is not in this machine.

The total that a driver reports is not what a process gets: the driver keeps a part, Windows keeps another and draws a
desktop, and where memory is unified the operating system decides. A card that is in the machine is read instead and
none of this is used. The context of the process itself (``overhead``) is not taken off here.
"""

from math import hypot

from vram_advisor.domain.gpu import Device, GpuSpec
from vram_advisor.domain.unified import MAC_SHARE_SD, metal_limit_bytes
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import BadInput

DRIVER_RESERVE_BYTES = 0.258 * GIB
"""What the NVIDIA driver keeps on every card [B]; with ``DRIVER_RESERVE_SHARE`` a line through 20 pairs of the total
of nvidia-smi and ``total_memory`` of torch [GiB]: 5.997/5.86 (RTX 3050 laptop), 7.996/7.63 (4060 laptop), 8/7.66
(A2000 laptop), 11/10.74 (2080 Ti), 12/11.755 (3060), 12/11.63 (A3000 laptop), 15/14.56 (T4), 15.992/15.65 (Ada 16
GB), 23.988/23.645 and 23.535 (4090), 24/23.69 and 23.54 (3090), 31.843/31.365 (5090), 40/39.39 and 39.50 (A100),
44.99/44.52 (L40S), 44.99/44.43 (RTX 6000 Ada, ECC), 79.65/79.18 (H100), 80/79.14 and 79.25 (A100)."""

DRIVER_RESERVE_SHARE = 0.00576
"""What it keeps beside that, as a share of the total; same fit."""

DRIVER_RESERVE_SD_BYTES = 0.10 * GIB
"""Residual standard deviation of that fit [B]."""

HBM_USABLE_SHARE = 0.989
"""Usable share of the nominal memory of NVIDIA cards with HBM whose reported total is not known: 15.77 to 15.89 of 16
GiB (V100), 39.39 to 39.50 of 40, 79.14 to 79.25 of 80 (A100), 79.18 of 80 (H100)."""

HBM_USABLE_SD_SHARE = 0.005
"""Spread of that share."""

GEFORCE_USABLE_SHARE = 0.983
"""The same for cards with GDDR and no ECC: ``nominal x 0.983 - 0.05 GiB``, residual 0.10 GiB, from the GeForce pairs
above."""

GEFORCE_USABLE_OFFSET_BYTES = 0.05 * GIB
"""See ``GEFORCE_USABLE_SHARE`` [B]."""

ECC_SHARE = 1 / 16
"""What ECC takes of GDDR6: an A40 shows 46,068 MiB with it and 49,140 MiB without. Data-centre cards ship with it
on."""

ECC_SWITCH_SD_SHARE = 0.025
"""Spread for workstation cards with GDDR6, which ship with ECC off and may have it switched on: a guess of one card
in five."""

AMD_RESERVE_BYTES = 0.15 * GIB
"""What amdgpu keeps [B]. An estimate without a measurement behind it."""

AMD_RESERVE_SD_BYTES = 0.15 * GIB
"""Spread of that estimate [B]."""

INTEL_USABLE_SHARE = 0.94
"""Usable share on Intel cards. An estimate: one public log of llama.cpp shows 14,618 of 16,384 MiB free (0.89) on an
Arc Pro B50, and cards without a display come close to 1."""

INTEL_USABLE_SD_SHARE = 0.04
"""Spread of that estimate."""

WDDM_RESERVE_BYTES = 0.6 * GIB
"""Least that Windows keeps from a process on a card that it manages [B]. Between the full nominal memory that torch
shows and the 15 % of ollama/ollama #9167 (3.2 of 22 GiB on Windows 10)."""

WDDM_RESERVE_SHARE = 0.04
"""The same as a share of larger cards."""

WDDM_DISPLAY_BYTES = 0.6 * GIB
"""Desktop, compositor and browser on the card that Windows draws with [B]; 0.3 to 1.5 GiB is usual."""

WDDM_SD_BYTES = 0.5 * GIB
"""Spread of the three together [B]."""

UNIFIED_VISIBLE_SHARE = 0.95
"""What Linux sees of the memory of an NVIDIA chip with unified memory: MemTotal 121.69 of 128 GiB on a GB10
(XuehaiPan/nvitop #208), 61.4 of 64 GiB on a Jetson AGX Orin."""

UNIFIED_SYSTEM_BYTES = 1.5 * GIB
"""What the system itself uses of it [B]; with the share below it gives the 8 GiB of an idle GB10 (Syllo/nvtop #449,
XuehaiPan/nvitop #208) and about 2 GiB of a small Jetson."""

UNIFIED_SYSTEM_SHARE = 0.05
"""The same as a share of the memory."""

UNIFIED_SD_SHARE = 0.02
"""Spread as a share of the memory; half a GiB is added."""

APU_SHARE = 0.5
"""What the GPU of an AMD processor may use of the memory without any setting: Linux grants half as GTT
(rjmalagon/ollama-linux-amd-apu #4; ROCm saw 62.5 of 125 GiB in unslothai/unsloth #7960) and Windows half as shared
memory. ``ttm.pages_limit`` or the firmware raise it to three quarters and more."""

APU_SD_SHARE = 0.12
"""Spread of that share: many owners have raised it."""


def usable_bytes(spec: GpuSpec, system: str) -> tuple[int, int]:
    """Memory that a process can get on an empty card, and its standard deviation [B], for one device.

    Args:
        spec: the card. Of one that the driver shows as two devices, one of them.
        system: linux (without a desktop on the card), windows, wsl or darwin. Apple's chips run macOS, and no other
            card does.
    """
    nominal = spec.vram_bytes // spec.devices
    system = _system(spec, system)
    if spec.unified:
        free, sd = _unified(spec, nominal)
    elif spec.vendor == "NVIDIA":
        free, sd = _nvidia(spec, nominal)
    elif spec.vendor == "AMD":
        free, sd = _reported(spec, nominal) - AMD_RESERVE_BYTES, AMD_RESERVE_SD_BYTES
    else:
        free, sd = nominal * INTEL_USABLE_SHARE, nominal * INTEL_USABLE_SD_SHARE
    if system in ("windows", "wsl") and not spec.unified and spec.form != "datacentre":
        # Windows shows the whole card and keeps its part when memory is asked for, so its reserve replaces the
        # driver's.
        total = _reported(spec, nominal)
        free = min(free, total - max(WDDM_RESERVE_BYTES, WDDM_RESERVE_SHARE * total)) - WDDM_DISPLAY_BYTES
        sd = hypot(sd, WDDM_SD_BYTES)
    return max(0, int(free)), int(sd)


def device_from_spec(spec: GpuSpec, count: int = 1, system: str = "linux") -> Device:
    """``count`` empty cards of the catalogue as the device that a verdict is measured against.

    Args:
        spec: the card.
        count: cards. One that the driver shows as two devices counts twice.
        system: see ``usable_bytes``.

    Raises:
        BadInput: ``count`` is less than one.
    """
    if count < 1:
        raise BadInput(f"There cannot be {count} cards: count is 1 or more.")
    free, sd = usable_bytes(spec, system)
    return Device(
        name=spec.name,
        count=count * spec.devices,
        source="catalogue",
        total_bytes=_reported(spec, spec.vram_bytes // spec.devices),
        free_bytes=free,
        sm_count=spec.sm_count,
        compute_capability=spec.compute_capability,
        system=_system(spec, system),
        spec=spec,
        unified=spec.unified,
        free_sd_bytes=sd,
    )


def _system(spec: GpuSpec, system: str) -> str:
    """A Mac asked about another card, or the other way round, is asking about another computer."""
    if spec.vendor == "Apple":
        return "darwin"
    return "linux" if system == "darwin" else system


def _reported(spec: GpuSpec, nominal: int) -> int:
    return nominal if spec.vram_reported_bytes is None else spec.vram_reported_bytes


def _nvidia(spec: GpuSpec, nominal: int) -> tuple[float, float]:
    """Total less what the driver keeps; from the nominal memory where no total has been seen."""
    memory = spec.memory_type or ""
    switchable = spec.form in ("workstation", "datacentre") and memory.startswith("GDDR6")
    sd = DRIVER_RESERVE_SD_BYTES
    if spec.vram_reported_bytes is None and memory.startswith("HBM"):
        return nominal * HBM_USABLE_SHARE, max(sd, nominal * HBM_USABLE_SD_SHARE)
    if spec.vram_reported_bytes is None and not (switchable and spec.form == "datacentre"):
        free = nominal * GEFORCE_USABLE_SHARE - GEFORCE_USABLE_OFFSET_BYTES
    else:
        total = nominal * (1 - ECC_SHARE) if spec.vram_reported_bytes is None else spec.vram_reported_bytes
        free = total * (1 - DRIVER_RESERVE_SHARE) - DRIVER_RESERVE_BYTES
    if switchable and spec.form == "workstation":
        sd = max(sd, nominal * ECC_SWITCH_SD_SHARE)
    return free, sd


def _unified(spec: GpuSpec, total: int) -> tuple[float, float]:
    """The GPU's share of the memory of the computer, by who made the chip."""
    if spec.vendor == "Apple":
        return metal_limit_bytes(total), total * MAC_SHARE_SD
    if spec.vendor == "AMD":
        return total * APU_SHARE, total * APU_SD_SHARE
    system = UNIFIED_SYSTEM_BYTES + UNIFIED_SYSTEM_SHARE * total
    return total * UNIFIED_VISIBLE_SHARE - system, total * UNIFIED_SD_SHARE + 0.5 * GIB
