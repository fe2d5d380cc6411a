"""What an empty card gives, against what has been seen on real ones."""

from dataclasses import replace

import pytest

from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.memory.usable import device_from_spec, usable_bytes
from vram_advisor.units.errors import BadInput

GIB, MIB = 2**30, 2**20


def card(gib, mib=None, form="desktop", vendor="NVIDIA", memory="GDDR6", **fields):
    reported = None if mib is None else mib * MIB
    return GpuSpec("card", "Card", vendor, "", form, gib * GIB, reported, memory_type=memory, **fields)


# ``total_memory`` of torch on Linux [GiB], beside the nominal memory and the total of nvidia-smi [MiB]
SEEN = [
    ("RTX 5090", card(32, 32607, memory="GDDR7"), 31.36),
    ("RTX 4090", card(24, 24564, memory="GDDR6X"), 23.64),
    ("RTX 3090", card(24, 24576, memory="GDDR6X"), 23.69),
    ("RTX 3060", card(12, 12288), 11.755),
    ("RTX 2080 Ti", card(11, 11264), 10.74),
    ("RTX 4060 laptop", card(8, 8188, form="laptop"), 7.63),
    ("T4", card(16, 15360, form="datacentre"), 14.56),
    ("A100 40", card(40, 40960, form="datacentre", memory="HBM2"), 39.39),
    ("A100 80", card(80, 81920, form="datacentre", memory="HBM2e"), 79.25),
    ("H100", card(80, 81559, form="datacentre", memory="HBM3"), 79.18),
    ("L40S", card(48, 46068, form="datacentre"), 44.52),
    ("V100 16, total not known", card(16, form="datacentre", memory="HBM2"), 15.78),
    ("RTX 3090, total not known", card(24, memory="GDDR6X"), 23.54),
    ("L40, total not known", card(48, form="datacentre"), 44.52),
]


@pytest.mark.parametrize(("spec", "seen"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN])
def test_cards_that_have_been_read(spec, seen):
    free, sd = usable_bytes(spec, "linux")
    assert abs(free - seen * GIB) <= 3 * sd
    assert free < spec.vram_bytes


def test_a_workstation_card_may_have_ecc_on():
    """An RTX 6000 Ada with ECC has 44.43 GiB, and 47.5 GiB as it is sold: the spread has to cover both."""
    free, sd = usable_bytes(card(48, 49140, form="workstation"), "linux")
    assert free - 3 * sd < 44.43 * GIB < free < 48 * GIB
    assert sd > 10 * usable_bytes(card(48, 49140), "linux")[1]


@pytest.mark.parametrize("gib", [4, 8, 12, 16, 24, 32])
@pytest.mark.parametrize("vendor", ["NVIDIA", "AMD", "Intel"])
def test_windows_gives_less_and_is_less_sure(gib, vendor):
    spec = card(gib, vendor=vendor)
    linux, windows = usable_bytes(spec, "linux"), usable_bytes(spec, "windows")
    assert 0 < windows[0] < linux[0]
    assert windows[1] > linux[1]
    assert usable_bytes(spec, "wsl") == windows


def test_windows_keeps_a_share_of_large_cards():
    assert 22.0 < usable_bytes(card(24, 24564), "windows")[0] / GIB < 22.6
    assert usable_bytes(card(6, 6141, form="laptop"), "windows")[0] / GIB == pytest.approx(4.8, abs=0.05)


def test_more_nominal_memory_is_more_usable_memory():
    for vendor in ("NVIDIA", "AMD", "Intel"):
        for memory in ("GDDR6", "HBM3"):
            frees = [usable_bytes(card(gib, vendor=vendor, memory=memory), "linux")[0] for gib in range(1, 200)]
            assert frees == sorted(frees)


@pytest.mark.parametrize(("gib", "least"), [(8, 5.33), (16, 10.66), (32, 21.33), (36, 27), (64, 48), (128, 96)])
def test_macs(gib, least):
    mac = card(gib, form="soc", vendor="Apple", unified=True)
    assert usable_bytes(mac, "darwin")[0] / GIB == pytest.approx(least, abs=0.01)
    assert usable_bytes(mac, "linux") == usable_bytes(mac, "darwin")


def test_chips_that_share_the_computers_memory():
    gb10 = usable_bytes(card(128, form="desktop-soc", memory="LPDDR5X", unified=True), "linux")
    assert abs(gb10[0] / GIB - 113.1) < 1.0
    halo = usable_bytes(card(128, form="apu", vendor="AMD", memory="LPDDR5X-8000", unified=True), "linux")
    assert halo[0] == 64 * GIB
    assert halo[1] > 10 * GIB


def test_a_device_of_the_catalogue():
    spec = replace(card(24, 24564), sm_count=128, compute_capability="8.9")
    device = device_from_spec(spec, 2, "windows")
    assert (device.name, device.count, device.source, device.spec) == ("Card", 2, "catalogue", spec)
    assert (device.total_bytes, device.sm_count, device.compute_capability) == (24564 * MIB, 128, "8.9")
    assert (device.free_bytes, device.free_sd_bytes) == usable_bytes(spec, "windows")
    assert device.system == "windows"
    assert device_from_spec(spec, 1, "darwin").system == "linux"


def test_a_card_with_two_devices_counts_twice_with_half_the_memory():
    device = device_from_spec(card(128, form="datacentre", vendor="AMD", memory="HBM2e", devices=2), 3)
    assert (device.count, device.total_bytes) == (6, 64 * GIB)
    assert device.free_bytes < 64 * GIB


def test_no_card_is_refused():
    with pytest.raises(BadInput, match="0 cards"):
        device_from_spec(card(8), 0)
