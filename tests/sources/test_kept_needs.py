"""What runs keep for the next one: never out of date, never in the way."""

import json
import os
from pathlib import Path

import pytest

from vram_advisor.domain.need import Need, Needs
from vram_advisor.sources.kept_needs import MOST_ENTRIES, KeptNeeds, kept_needs

NEEDS = Needs(7_000_000_000, 8192, (Need(256, 4.0e9, 1e8), Need(4096, 5.0e9, 1e8)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    return path


def test_what_was_put_is_there_in_the_next_run(tmp_path: Path, model: Path) -> None:
    first = KeptNeeds(tmp_path / "kept.json")
    first.put(first.key([model], "ollama", 12), NEEDS)
    first.save()
    second = KeptNeeds(tmp_path / "kept.json")
    assert second.get(second.key([model], "ollama", 12)) == NEEDS


@pytest.mark.parametrize("change", ["bytes", "time", "another file", "another card"])
def test_another_state_of_a_file_or_card_is_another_key(tmp_path: Path, model: Path, change: str) -> None:
    kept = KeptNeeds(tmp_path / "kept.json")
    before = kept.key([model], "card", 12)
    if change == "bytes":
        model.write_bytes(b"GGUF2")
    elif change == "time":
        os.utime(model, ns=(1, 1))
    elif change == "another file":
        new = tmp_path / "new.gguf"
        new.write_bytes(b"GGUF")
        os.utime(new, ns=(model.stat().st_atime_ns, model.stat().st_mtime_ns))
        new.replace(model)
    assert kept.key([model], "card", 16 if change == "another card" else 12) != before


def test_a_file_that_is_gone_has_no_key(tmp_path: Path) -> None:
    kept = KeptNeeds(tmp_path / "kept.json")
    assert kept.key([tmp_path / "none.gguf"]) is None
    kept.put(None, NEEDS)
    assert kept.get(None) is None and not kept.changed


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"schema_version": 2, "entries": {}}', '{"schema_version": 1, "entries": 5}',
        '{"schema_version": 1, "entries": {"k": 5, "l": [], "m": [1, 2], "n": [1, 2, [[1]]], "o": [1, 2, [[1, "a", 2]]]}}',
        '{"schema_version": 1, "entries": {"k": [1, 8192, [[4096, 1e9, 1], [256, 1e9, 1]]], "l": [-1, 2, []]}}',
        '{"schema_version": 1, "entries": {"k": [1, 8192, [[4096, 1e999, 1]]], "l": [1, 2, [[0, -1, 1]]]}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_cache_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept.json").write_text(text)
    assert KeptNeeds(tmp_path / "kept.json").entries == {}


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path, model: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = KeptNeeds(tmp_path / "file" / "kept.json")
    kept.put(kept.key([model]), NEEDS)
    kept.save()


def test_the_entries_that_were_used_last_are_kept(tmp_path: Path) -> None:
    kept = KeptNeeds(tmp_path / "kept.json")
    for number in range(MOST_ENTRIES + 10):
        kept.put(f"key {number}", NEEDS)
    kept.get("key 3")
    kept.save()
    entries = json.loads((tmp_path / "kept.json").read_text())["entries"]
    assert len(entries) == MOST_ENTRIES and "key 3" in entries and "key 10" not in entries


def test_the_cache_is_in_the_users_cache_directory() -> None:
    assert kept_needs().path == Path(os.environ["XDG_CACHE_HOME"]) / "vram-advisor" / "local-models.json"


def needs(*points: tuple[int, float]) -> Needs:
    return Needs(1, 100_000, tuple(Need(context, mean, 1.0) for context, mean in points))


def test_a_need_lies_on_a_straight_line_between_its_neighbours() -> None:
    line = needs((256, 256e3), (4096, 4096e3), (32768, 32768e3))
    assert line.at(4096) == Need(4096, 4096e3, 1.0)
    assert line.at(8192) == Need(8192, 8192e3, 1.0) and line.at(1024) == Need(1024, 1024e3, 1.0)


def test_where_the_line_bends_or_ends_nothing_is_known() -> None:
    bent = needs((256, 256e3), (4096, 4096e3), (32768, 20e6))
    assert bent.at(8192) is None and bent.at(1024) is None
    assert bent.at(128) is None and bent.at(65536) is None
    assert needs((256, 256e3), (4096, 4096e3)).at(1024) is None and needs().at(256) is None
