"""The AMD probe against a tree of files as amdgpu makes it."""

from pathlib import Path

from vram_advisor.hardware import amd

GIB = 2**30
IDS = "# List of AMDGPU IDs\n1.0.0\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n744C,\tCC,\tAMD Radeon RX 7900 XT\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def card(root: Path, number: int, **files: str) -> None:
    usual = {"vendor": "0x1002", "device": "0x744c", "revision": "0xc8", "mem_info_vram_total": str(24 * GIB)}
    write(
        root / f"sys/class/drm/card{number}/device",
        usual | {name.replace("__", "/"): text for name, text in files.items()},
    )


def test_a_card(tmp_path):
    card(
        tmp_path,
        1,
        mem_info_vram_used=str(GIB),
        mem_info_gtt_total=str(16 * GIB),
        mem_info_gtt_used="4096",
        max_link_speed="16.0 GT/s PCIe",
        max_link_width="16",
        gpu_busy_percent="7",
        hwmon__hwmon3__temp1_input="48500",
        hwmon__hwmon3__power1_average="25000000",
        hwmon__hwmon3__power1_cap="303000000",
    )
    write(tmp_path, {"usr/share/libdrm/amdgpu.ids": IDS, "sys/class/drm/card1-DP-1/status": "connected"})
    (gpu,) = amd.probe(tmp_path).gpus
    assert (gpu.name, gpu.vendor, gpu.source, gpu.notes) == ("AMD Radeon RX 7900 XTX", "AMD", "sysfs", ())
    assert (gpu.total_bytes, gpu.free_bytes, gpu.used_bytes) == (24 * GIB, 23 * GIB, GIB)
    assert (gpu.shared_bytes, gpu.shared_used_bytes) == (16 * GIB, 4096)
    assert (gpu.pcie, gpu.display, gpu.utilisation_percent) == ("4.0 x16", True, 7)
    assert (gpu.temperature_c, gpu.power_w, gpu.power_limit_w) == (48, 25.0, 303.0)


def test_the_revision_tells_two_cards_of_one_chip_apart(tmp_path):
    write(tmp_path, {"usr/share/libdrm/amdgpu.ids": IDS})
    card(tmp_path, 0)
    card(tmp_path, 1, revision="0xcc")
    card(tmp_path, 2, revision="0x01")
    card(tmp_path, 3, product_name="AMD Instinct MI300X OAM")
    names = [gpu.name for gpu in amd.probe(tmp_path).gpus]
    assert names == ["AMD Radeon RX 7900 XTX", "AMD Radeon RX 7900 XT", "AMD GPU 744C", "AMD Instinct MI300X OAM"]


def test_cards_are_numbered_on_from_the_others_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2, 0):
        card(tmp_path, number, product_name=f"card {number}")
    card(tmp_path, 1, vendor="0x8086")
    gpus = amd.probe(tmp_path, first_index=4).gpus
    assert [(gpu.index, gpu.name) for gpu in gpus] == [(4, "card 0"), (5, "card 2"), (6, "card 10")]


def test_what_cannot_be_read_is_none_and_said(tmp_path):
    card(tmp_path, 0)
    card(tmp_path, 1, mem_info_vram_total="")
    reading = amd.probe(tmp_path)
    (gpu,) = reading.gpus
    assert (gpu.free_bytes, gpu.used_bytes, gpu.temperature_c, gpu.power_w, gpu.pcie, gpu.display) == (None,) * 6
    assert gpu.notes == ("The driver does not say how much memory is in use.",)
    assert reading.notes == ("card1 is an AMD GPU whose driver does not say how much memory it has.",)


def test_no_cards(tmp_path):
    assert amd.probe(tmp_path, first_index=3) == amd.Reading(next_index=3, absent=amd.ABSENT)
