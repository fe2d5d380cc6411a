"""Laws of the data file of GPUs, and the ways to a card."""

import re
import tomllib
from collections import Counter
from dataclasses import asdict

import pytest
from pydantic import ConfigDict, TypeAdapter, with_config

from vram_advisor.domain.gpu import GpuSnapshot
from vram_advisor.sources import gpu_file
from vram_advisor.sources.catalog_gpus import find_gpu, gpus_with, list_gpus, match_reported, scan_gpus, with_spec
from vram_advisor.sources.data_files import data_path
from vram_advisor.sources.gpu_names import key
from vram_advisor.sources.gpu_record import GpuRecord
from vram_advisor.units.errors import BadInput

GIB, MIB = 2**30, 2**20


@pytest.fixture(scope="module")
def parsed():
    """The file as TOML, without the fast road."""
    return tomllib.loads(data_path("gpus.toml").read_text(encoding="utf-8"))["gpu"]


def snapshot(name, total, **fields):
    return GpuSnapshot(index=0, name=name, vendor="NVIDIA", total_bytes=total, free_bytes=total, **fields)


# laws of the file


def test_every_block_is_a_record(parsed):
    """The program's own checks and a library agree on every row."""
    heads = gpu_file.heads()
    assert len(heads) == len(parsed) >= 280
    adapter = TypeAdapter(with_config(ConfigDict(extra="forbid"))(GpuRecord))
    for head, whole in zip(heads, parsed, strict=True):
        record = gpu_file.record(head)
        assert asdict(record) == asdict(adapter.validate_python(whole))
        assert {key: getattr(record, key) for key in whole} == {
            key: tuple(value) if isinstance(value, list) else value for key, value in whole.items()
        }


def test_fields_have_their_form(parsed):
    for card in parsed:
        assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in (card["id"], *card["aliases"]))
        assert re.fullmatch(r"20\d\d(-\d\d-\d\d)?", card["launch"]), card["id"]
        assert re.fullmatch(r"\d+\.\d", card.get("compute_capability", "8.0")), card["id"]
        assert card["sources"]
        for value in card.values():
            for each in value if isinstance(value, list) else [value]:
                assert each is False or each, card["id"]
                assert not isinstance(each, (int, float)) or each >= 0, card["id"]


def test_sorted_by_unique_ids(parsed):
    ids = [card["id"] for card in parsed]
    assert ids == sorted(set(ids))


def test_what_is_typed_never_collides(parsed):
    keys = Counter(key(name) for card in parsed for name in (card["id"], *card["aliases"]))
    assert [name for name, count in keys.items() if count > 1] == []


def test_names_are_unique(parsed):
    assert [name for name, count in Counter(card["name"] for card in parsed).items() if count > 1] == []


def test_the_fast_road_reads_what_toml_reads(parsed):
    for head, card in zip(gpu_file.heads(), parsed, strict=True):
        size = card.get("vram_gib")
        assert (head.id, head.name, head.vendor, head.form) == (card["id"], card["name"], card["vendor"], card["form"])
        assert list(head.aliases) == card["aliases"]
        assert list(head.reported_names) == card["reported_names"]
        assert list(head.sizes_gib) == ([size] if size else card.get("vram_gib_options", []))
        assert head.reported_bytes == (card["vram_reported_mib"] * MIB if "vram_reported_mib" in card else None)
        assert (head.launch, head.unified, head.devices) == (card["launch"], card["unified"], card.get("devices", 1))


def test_sources_survive_loading(parsed):
    sources = {card["id"]: tuple(card["sources"]) for card in parsed}
    by_base = sorted(sources, key=len, reverse=True)
    for spec in list_gpus():
        base = next(card for card in by_base if spec.id == card or re.fullmatch(rf"{re.escape(card)}-\d+gb", spec.id))
        assert spec.sources == sources[base]
        assert spec.sources
        assert spec.checked


def test_reported_totals_are_plausible(parsed):
    for card in parsed:
        if mib := card.get("vram_reported_mib"):
            assert 0.9 * card["vram_gib"] * 1024 <= mib <= card["vram_gib"] * 1024, card["id"]


def test_rates_are_consistent(parsed):
    """Matrix rates: what accumulates in fp16 is as fast or twice as fast, and fp8 doubles it."""
    for card in parsed:
        slow, fast = card.get("fp16_tflops"), card.get("fp16_tflops_fp16_accumulate")
        if slow and fast and card["vendor"] == "NVIDIA":
            assert fast / slow == pytest.approx(1, rel=0.02) or fast / slow == pytest.approx(2, rel=0.02), card["id"]
        if card["vendor"] == "NVIDIA":
            assert card["compute_capability"]
            assert card["sm_count"]
            assert card["bf16"] == (float(card["compute_capability"]) >= 8.0)


def test_every_reported_name_finds_its_card(parsed):
    """Through the name alone a card is among those that match; its total then decides."""
    for card in parsed:
        gib = card.get("vram_gib") or (card.get("vram_gib_options") or [16])[0]
        total = card.get("vram_reported_mib", gib * 1024) * MIB // card.get("devices", 1)
        for name in card["reported_names"]:
            found = match_reported(name, total)
            assert found is not None, (card["id"], name)
            # A card that cannot be told apart (a laptop's, or a rare memory type) is taken for the usual one.
            assert found.name.split(" (")[0].split()[1] == card["name"].split(" (")[0].split()[1], (
                card["id"],
                found.id,
            )


# by the name a person types


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("rtx-4090", "rtx-4090"),
        ("4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("geforce rtx_4090", "rtx-4090"),
        ("RTX4090", "rtx-4090"),
        ("5070", "rtx-5070"),
        ("5080", "rtx-5080"),
        ("4090 laptop", "rtx-4090-laptop"),
        ("rtx 4060 ti 16gb", "rtx-4060-ti-16gb"),
        ("RTX 4060 Ti 16 GB", "rtx-4060-ti-16gb"),
        ("3060 12 GiB", "rtx-3060-12gb"),
        ("rtx-3060-12-gb", "rtx-3060-12gb"),
        ("rtx 3090 24gb", "rtx-3090"),
        ("a100-80gb", "a100-sxm4-80gb"),
        ("A100 PCIe 40GB", "a100-pcie-40gb"),
        ("h100", "h100-sxm5-80gb"),
        ("tesla t4", "t4"),
        ("AMD Radeon RX 7900 XTX", "rx-7900-xtx"),
        ("Radeon PRO W7900", "pro-w7900"),
        ("Intel Arc B580", "arc-b580"),
        ("orin nx 16gb", "jetson-orin-nx-16gb"),
        ("m4 max 64gb", "apple-m4-max-40c-64gb"),
        ("m4-max-36gb", "apple-m4-max-32c"),
        ("Apple M2 16 GB", "apple-m2-16gb"),
        ("strix halo 128gb", "ryzen-ai-max-395-128gb"),
        ("780m-32gb", "radeon-780m-32gb"),
    ],
)
def test_spellings(name, card):
    assert find_gpu(name).id == card


def test_every_id_in_the_list_is_found_again():
    for row in scan_gpus():
        if row.vram_bytes is not None:
            found = find_gpu(row.id)
            assert (found.id, found.name, found.vram_bytes) == (row.id, row.name, row.vram_bytes)
            assert (found.vram_reported_bytes, found.launch_date) == (row.reported_bytes, row.launch_date)


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("3060", ["rtx-3060-12gb", "rtx-3060-8gb"]),
        ("rtx 3060", ["rtx-3060-12gb", "rtx-3060-8gb"]),
        ("4060 ti", ["rtx-4060-ti-16gb", "rtx-4060-ti-8gb"]),
        ("5060ti", []),
        ("5060 ti", ["rtx-5060-ti-16gb", "rtx-5060-ti-8gb"]),
        ("RTX 3080", ["rtx-3080-10gb", "rtx-3080-12gb"]),
        ("a100", ["a100-pcie-40gb", "a100-pcie-80gb", "a100-sxm4-40gb", "a100-sxm4-80gb"]),
        ("v100", ["v100-pcie-16gb", "v100-pcie-32gb", "v100-sxm2-16gb", "v100-sxm2-32gb"]),
        ("m2 max", ["apple-m2-max-32gb", "apple-m2-max-64gb", "apple-m2-max-96gb"]),
        ("rtx 6000", ["quadro-rtx-6000", "rtx-6000-ada"]),
    ],
)
def test_a_name_of_several_cards_is_refused_with_their_names(name, variants):
    with pytest.raises(BadInput) as refused:
        find_gpu(name)
    for variant in variants:
        assert variant in str(refused.value)


def test_a_chip_that_takes_the_computers_memory_needs_a_size():
    with pytest.raises(BadInput, match="such as radeon-780m-32gb"):
        find_gpu("780m")
    assert find_gpu("780m", memory_bytes=64 * GIB).vram_bytes == 64 * GIB
    assert find_gpu("m2-max", memory_bytes=96 * GIB).id == "apple-m2-max-96gb"


def test_a_size_that_is_not_made_is_refused():
    with pytest.raises(BadInput, match=r"not in the catalogue with 48 GB: there is rtx-4090 \(24 GB\)"):
        find_gpu("rtx 4090 48gb")


def test_a_wrong_name_gets_the_three_nearest():
    with pytest.raises(BadInput, match=r"No GPU is called 'rtx 5079'\. Nearest: rtx-5090, rtx-5070, rtx-5090-d\.$"):
        find_gpu("rtx 5079")
    with pytest.raises(BadInput):
        find_gpu(" - ")


def test_facts_of_two_cards():
    small, large = find_gpu("rtx-5070"), find_gpu("rtx-5080")
    assert (small.vram_bytes, small.vram_reported_bytes, small.bandwidth_gb_per_s) == (12 * GIB, 12227 * MIB, 672)
    assert (large.vram_bytes, large.vram_reported_bytes, large.bandwidth_gb_per_s) == (16 * GIB, 16303 * MIB, 960)
    assert (small.compute_capability, small.sm_count, small.architecture) == ("12.0", 48, "Blackwell 2.0")


# by the name a driver prints


@pytest.mark.parametrize(
    ("name", "mib", "card"),
    [
        ("NVIDIA GeForce RTX 3060", 12288, "rtx-3060-12gb"),
        ("NVIDIA GeForce RTX 3060", 8192, "rtx-3060-8gb"),
        ("NVIDIA GeForce RTX 4060 Ti", 16380, "rtx-4060-ti-16gb"),
        ("NVIDIA GeForce RTX 4060 Ti", 8188, "rtx-4060-ti-8gb"),
        ("NVIDIA GeForce RTX 3080", 12053, "rtx-3080-12gb"),
        ("GeForce RTX 3090", 24268, "rtx-3090"),
        ("NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes", 24564, "rtx-4090"),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", 24560, "rx-7900-xtx"),
        ("Intel(R) Arc(TM) A770 Graphics", 16288, "arc-a770-16gb"),
        ("Tesla P100-SXM2-16GB", 16276, "p100-sxm2-16gb"),
        ("P100 SXM2", 16276, "p100-sxm2-16gb"),
        ("NVIDIA RTX A1000", 8188, "rtx-a1000"),
        ("NVIDIA RTX A6000", 46068, "rtx-a6000"),
        ("TITAN X (Pascal)", 12196, "titan-x-pascal"),
        ("Tesla T4", 15109, "t4"),
        ("NVIDIA GB10", 124610, "gb10"),
        ("Orin (nvgpu)", 62841, "jetson-agx-orin-64gb"),
        ("AMD Instinct MI250", 65520, "mi250"),
        ("Apple M3 Max", 36864, "apple-m3-max-30c-36gb"),
        ("Apple M3 Max", 131072, "apple-m3-max-40c-128gb"),
        ("NVIDIA GeForce GTX 1080", 8192, "gtx-1080"),
        ("NVIDIA GeForce RTX 4070", 12282, "rtx-4070"),
    ],
)
def test_reported_names(name, mib, card):
    assert match_reported(name, mib * MIB).id == card


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        ("NVIDIA GeForce RTX 5070 SUPER", 18432),
        ("NVIDIA GeForce RTX 3080 Laptop GPU", 16384),
        ("NVIDIA GeForce RTX 4090", 49140),
        ("Apple M2 Turbo", 16384),
        ("llvmpipe (LLVM 17.0.6, 256 bits)", 16384),
        ("", 16384),
    ],
)
def test_another_card_is_not_taken_for_a_known_one(name, mib):
    assert match_reported(name, mib * MIB) is None


def test_a_snapshot_gets_its_card_and_what_only_the_catalogue_knows():
    found = with_spec(snapshot("NVIDIA GeForce RTX 5070", 12227 * MIB))
    assert (found.spec, found.sm_count, found.compute_capability) == (find_gpu("rtx-5070"), 48, "12.0")
    assert found.notes == ()
    assert with_spec(snapshot("NVIDIA GeForce RTX 5070", 12227 * MIB, sm_count=47)).sm_count == 47


def test_cards_that_cannot_be_told_apart_are_named():
    found = with_spec(snapshot("NVIDIA GeForce GTX 1080", 8192 * MIB, notes=("first",)))
    assert found.notes == ("first", "Taken for gtx-1080; gtx-1080-laptop prints the same name and memory.")


def test_what_is_not_known_stays_as_it_was():
    unknown = snapshot("NVIDIA GeForce RTX 7090", 48 * GIB)
    assert with_spec(unknown) is unknown
    piece = snapshot("NVIDIA A100-SXM4-40GB", 40960 * MIB, mig=True)
    assert with_spec(piece) is piece


def test_a_gpu_inside_a_processor_uses_what_the_driver_lets_it_map():
    carved = snapshot("AMD Radeon 8060S Graphics", 4 * GIB, shared_bytes=96 * GIB, shared_used_bytes=GIB, used_bytes=0)
    found = with_spec(carved)
    assert (found.total_bytes, found.free_bytes, found.used_bytes, found.unified) == (100 * GIB, 99 * GIB, GIB, True)
    assert (found.spec.id, found.spec.vram_bytes) == ("ryzen-ai-max-395", 100 * GIB)
    discrete = with_spec(snapshot("AMD Radeon RX 7900 XTX", 24560 * MIB, shared_bytes=32 * GIB))
    assert (discrete.total_bytes, discrete.unified) == (24560 * MIB, False)


# the list


def test_cards_with_enough_memory():
    rows = gpus_with(24 * GIB)
    ids = {row.id for row in rows}
    assert {"rtx-3090", "rtx-5090", "h100-sxm5-80gb", "apple-m2-max-64gb"} <= ids
    assert not ids & {"rtx-4090", "apple-m2-max-16gb", "rtx-5080", "radeon-780m"}  # a 4090 reports 24564 MiB
    assert all((row.reported_bytes or row.vram_bytes) >= 24 * GIB for row in rows)


def test_the_list_and_the_scan_agree():
    rows = [row for row in scan_gpus() if row.vram_bytes is not None]
    assert [(row.id, row.name, row.vram_bytes) for row in rows] == [(s.id, s.name, s.vram_bytes) for s in list_gpus()]
    assert sum(row.vram_bytes is None for row in scan_gpus()) == 5


# a damaged file


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (("tdp_w = 250\n", 'tdp_w = "much"\n'), r"\[\[gpu\]\] rtx-5070: tdp_w: "),
        (("tdp_w = 250\n", "tpd_w = 250\n"), r"\[\[gpu\]\] rtx-5070: tpd_w: no such key"),
        (("tdp_w = 250\n", "tdp_w = \n"), r"\[\[gpu\]\] rtx-5070: Invalid value"),
        (("vram_gib = 12\n", ""), r"needs vram_gib"),
        (('form = "desktop"\n', ""), r"a block begins with id, aliases"),
    ],
)
def test_a_damaged_card_is_named_with_its_field(tmp_path, monkeypatch, damage, message):
    head = next(head for head in gpu_file.heads() if head.id == "rtx-5070")
    path = tmp_path / "gpus.toml"
    path.write_text("# head\n\n[[gpu]]\n" + head.block.replace(*damage))
    monkeypatch.setattr(gpu_file, "data_path", lambda name: path)
    for cached in (gpu_file.heads, gpu_file._blocks, gpu_file._index):
        cached.cache_clear()
    try:
        with pytest.raises(BadInput, match=message):
            gpu_file.record(gpu_file.heads()[0])
    finally:
        for cached in (gpu_file.heads, gpu_file._blocks, gpu_file._index):
            cached.cache_clear()
