"""AMD GPUs of Linux, read from the files of the amdgpu driver under ``/sys/class/drm``."""

import re
from pathlib import Path

from vram_advisor.domain.gpu import GpuSnapshot
from vram_advisor.hardware.host import ROOT, read_int, read_text
from vram_advisor.hardware.reading import Reading

ABSENT = "No AMD GPU: no card of the amdgpu driver is under /sys/class/drm."

_VENDOR = "0x1002"
_CARD = re.compile(r"card\d+")
_NAMES = ("usr/share/libdrm/amdgpu.ids", "opt/amdgpu/share/libdrm/amdgpu.ids", "usr/local/share/libdrm/amdgpu.ids")
_GENERATIONS = {"2.5": 1, "5.0": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}
"""PCIe generation by the speed of a lane [GT/s]."""


def probe(root: Path = ROOT, first_index: int = 0) -> Reading:
    """All AMD GPUs as they are now; never raises.

    Args:
        root: where ``/sys`` and ``/usr`` are looked for.
        first_index: index of the first GPU found.
    """
    try:
        cards = [card for card in (root / "sys/class/drm").iterdir() if _CARD.fullmatch(card.name)]
    except OSError:
        cards = []
    gpus: list[GpuSnapshot] = []
    notes: list[str] = []
    for card in sorted(cards, key=lambda card: int(card.name[4:])):
        if read_text(card / "device/vendor") != _VENDOR:
            continue
        gpu = _snapshot(card, root, first_index + len(gpus))
        if gpu is None:
            notes.append(f"{card.name} is an AMD GPU whose driver does not say how much memory it has.")
        else:
            gpus.append(gpu)
    driver = read_text(root / "sys/module/amdgpu/version") or None
    return Reading(
        gpus=tuple(gpus),
        driver=driver if gpus else None,
        notes=tuple(notes),
        next_index=first_index + len(gpus),
        absent=None if gpus else ABSENT,
    )


def _snapshot(card: Path, root: Path, index: int) -> GpuSnapshot | None:
    device = card / "device"
    total, used = read_int(device / "mem_info_vram_total"), read_int(device / "mem_info_vram_used")
    if not total:
        return None
    sensors = next(iter(sorted(device.glob("hwmon/hwmon*"))), device)
    temperature, limit = read_int(sensors / "temp1_input"), read_int(sensors / "power1_cap")
    power = read_int(sensors / "power1_average")
    power = read_int(sensors / "power1_input") if power is None else power
    return GpuSnapshot(
        index=index,
        name=_name(device, root),
        vendor="AMD",
        total_bytes=total,
        free_bytes=None if used is None else max(0, total - used),
        used_bytes=used,
        shared_bytes=read_int(device / "mem_info_gtt_total"),
        shared_used_bytes=read_int(device / "mem_info_gtt_used"),
        driver=read_text(root / "sys/module/amdgpu/version") or None,
        pcie=_pcie(device),
        display=_display(card),
        utilisation_percent=read_int(device / "gpu_busy_percent"),
        temperature_c=None if temperature is None else round(temperature / 1000),
        power_w=None if power is None else power / 1e6,
        power_limit_w=None if limit is None else limit / 1e6,
        source="sysfs",
        notes=() if used is not None else ("The driver does not say how much memory is in use.",),
    )


def _name(device: Path, root: Path) -> str:
    """The name on the card, else libdrm's name of this chip and revision, else its number."""
    if named := read_text(device / "product_name"):
        return named
    chip, revision = (read_text(device / part).removeprefix("0x").upper() for part in ("device", "revision"))
    for path in _NAMES:
        for line in read_text(root / path).splitlines():
            fields = [field.strip() for field in line.split(",", 2)]
            if len(fields) == 3 and fields[0].upper() == chip and fields[1].upper().zfill(2) == revision.zfill(2):
                return fields[2]
    return f"AMD GPU {chip or 'of unknown kind'}"


def _pcie(device: Path) -> str | None:
    speed = read_text(device / "max_link_speed").split(" ", 1)[0]
    width = read_int(device / "max_link_width")
    generation = _GENERATIONS.get(speed)
    return f"{generation}.0 x{width}" if generation and width else None


def _display(card: Path) -> bool | None:
    """Whether a screen is attached to one of the card's outputs."""
    outputs = [read_text(output / "status") for output in card.parent.glob(f"{card.name}-*")]
    said = [state for state in outputs if state]
    return "connected" in said if said else None
