"""The store of calibrations: whole files or nothing, and nothing that is in them is trusted."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_calibrations import LEARNT, calibration, measurement, moved

from vram_advisor.sources import calibrations
from vram_advisor.sources.calibration_file import MAX_BYTES, parsed, written
from vram_advisor.sources.calibrations import export_to, find, import_from, remove, save, store, stored
from vram_advisor.sources.user_data import VARIABLE, data_directory
from vram_advisor.units.errors import BadInput, Missing

ONE = calibration()
TWO = calibration("2026-11-22T08:00:00Z", stack="trl")


def test_what_is_saved_is_what_is_read() -> None:
    outcomes = ("measured", "out_of_memory", "killed")
    runs = tuple(replace(measurement(512 * 2**i), outcome=o, rank=i) for i, o in enumerate(outcomes))  # type: ignore[arg-type]
    kept = replace(ONE, measurements=runs)
    file = save(kept)
    assert file.name == f"{kept.id}.json"
    assert find(kept.id) == kept and stored().problems == ()


def test_the_newest_comes_first() -> None:
    save(ONE)
    save(TWO)
    assert stored().calibrations == (TWO, ONE)


def test_a_file_is_for_people_to_read() -> None:
    lines = save(ONE).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "{" and '  "schema_version": 1,' in lines
    assert any(line.strip() == '"name": "activation_scale",' for line in lines)
    assert max(map(len, lines)) < 200


def test_a_coefficient_that_is_no_more_is_left_out_and_the_others_count() -> None:
    """Earlier versions learnt one factor on all reserved memory."""
    document = json.loads(written(ONE))
    earlier = {"name": "reserved_scale", "prior": 1.0, "prior_sd": 0.063, "value": 0.98, "sd": 0.02, "bounded": False}
    document["learnt"].append(earlier)
    assert parsed(json.dumps(document).encode(), "file") == ONE


def test_without_a_store_there_is_nothing() -> None:
    directory = store()
    assert directory is not None and not directory.exists()
    assert stored().calibrations == () and stored().problems == ()
    with pytest.raises(BadInput, match="There is no calibration 'x': none is stored"):
        find("x")
    assert not directory.exists(), "looking makes no directory"


def test_an_empty_store_imports_no_reader_of_files() -> None:
    code = (
        "import sys; from vram_advisor.sources.calibrations import stored; stored();"
        "print(*sorted({'json', 'vram_advisor.domain.calibration', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_calibrations_are_found_by_the_beginning_of_their_id() -> None:
    save(ONE)
    save(TWO)
    assert find("2026-11-21") == ONE
    with pytest.raises(BadInput, match="could be .* or .*: write more of it"):
        find("2026-11")
    with pytest.raises(BadInput, match="There is no calibration ''"):
        find("")


def test_a_removed_calibration_is_gone() -> None:
    save(ONE)
    save(TWO)
    assert remove("2026-11-21") == ONE.id
    assert stored().calibrations == (TWO,)
    with pytest.raises(BadInput, match="There is no calibration"):
        remove(ONE.id)


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "..", "a/b", "A B", "x" * 200, "\0"])
def test_no_name_leads_out_of_the_store(name: str, tmp_path: Path) -> None:
    save(ONE)
    directory = store()
    assert directory is not None
    (directory.parent / "other.json").write_text("{}")
    for act in (remove, find):
        with pytest.raises(BadInput):
            act(name)
    assert (directory.parent / "other.json").exists()


def test_export_and_import_are_inverse(tmp_path: Path) -> None:
    save(ONE)
    file = tmp_path / "one.json"
    assert export_to(ONE.id, file) == ONE
    with pytest.raises(BadInput, match="is there already"):
        export_to(ONE.id, file)
    with pytest.raises(BadInput, match="is not a directory"):
        export_to(ONE.id, tmp_path / "no" / "one.json")
    remove(ONE.id)
    assert import_from(file) == ONE and import_from(file) == ONE
    assert stored().calibrations == (ONE,)


def test_an_import_does_not_replace_another_calibration(tmp_path: Path) -> None:
    save(ONE)
    file = tmp_path / "other.json"
    file.write_bytes(written(replace(ONE, learnt=moved("activation_scale", 1.4))))
    with pytest.raises(BadInput, match="remove that one first"):
        import_from(file)
    assert find(ONE.id) == ONE


def problem_of(data: bytes) -> str:
    """Why a file of these bytes is not used."""
    directory = store()
    assert directory is not None
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{ONE.id}.json").write_bytes(data)
    save(TWO)
    found = stored()
    assert found.calibrations == (TWO,), "one bad file does not take the others with it"
    (problem,) = found.problems
    assert problem.startswith("A calibration is not used: ") and problem.endswith(".") and "\n" not in problem
    return problem


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"{", "not JSON"),
        (b"[]", "expected an object"),
        (b"{}", "is not a calibration of vram-advisor"),
        (b'{"schema_version": 1, "kind": "model"}', "is not a calibration of vram-advisor"),
        (b'{"schema_version": 2, "kind": "calibration"}', "newer version of vram-advisor"),
        (b'{"schema_version": 1' + b"0" * 400 + b', "kind": "calibration"}', "newer version"),
        (b'{"schema_version": 0, "kind": "calibration"}', "no version of it"),
        (b'{"schema_version": 1, "kind": "calibration"}', "learnt should be a list"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN"),
        (b" " * (MAX_BYTES + 1), "expected at most"),
        (written(TWO), "another name"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_file_that_cannot_be_used_is_said_and_ignored(data: bytes, said: str) -> None:
    assert said in problem_of(data)


Break = Callable[[dict[str, Any]], Any]
BREAKS: dict[str, Break] = {
    "unknown key": lambda d: d.update(extra=1),
    "missing key": lambda d: d.pop("key"),
    "not a number": lambda d: d["learnt"][0].update(value="1.02"),
    "an infinite number": lambda d: d["learnt"][0].update(sd=float("inf")),
    "beyond the bound": lambda d: d["learnt"][0].update(value=2.5),
    "below the bound": lambda d: d["learnt"][3].update(value=-1e9),
    "a prior beyond the bound": lambda d: d["learnt"][0].update(prior=40.0),
    "no spread": lambda d: d["learnt"][0].update(sd=0.0),
    "a negative spread": lambda d: d["learnt"][0].update(sd=-1.0),
    "a spread that no measurement leaves": lambda d: d["learnt"][0].update(sd=0.5),
    "another coefficient": lambda d: d["learnt"][0].update(name="slack_loss"),
    "a method instead of a coefficient": lambda d: d["learnt"][0].update(name="__class__"),
    "twice": lambda d: d["learnt"].append(d["learnt"][0]),
    "too many runs": lambda d: d.update(measurements=d["measurements"] * 150),
    "no objects": lambda d: d.update(measurements=[1, 2]),
    "an id with a path": lambda d: d.update(id="../x"),
    "an id with an escape": lambda d: d.update(id="a\x1b[31m"),
    "a time without a zone": lambda d: d.update(created="2026-11-21 15:30"),
    "a backend of another world": lambda d: d["key"].update(backend="tpu"),
    "an escape in a name": lambda d: d["key"].update(gpu="\x1b]0;title\x07"),
    "a novel": lambda d: d["measurements"][0].update(message="x" * 10_000),
    "negative bytes": lambda d: d["measurements"][0].update(reserved_bytes=-1),
    "bytes of no memory": lambda d: d["measurements"][0].update(allocated_bytes=2**70),
    "a huge number": lambda d: d["measurements"][0].update(step_seconds=1e300),
    "a phase that is none": lambda d: d["measurements"][0]["phase_bytes"].update(lunch=1),
    "bytes that are no number": lambda d: d["measurements"][0]["phase_bytes"].update(load="1"),
    "a version that is no text": lambda d: d["measurements"][0]["environment"]["versions"].update(torch=2),
    "a workload that is none": lambda d: d["measurements"][0]["trial"]["workload"].update(sequence_length=0),
    "a plan that is none": lambda d: d["measurements"][0]["trial"]["plan"].update(lora_r="many"),
    "an escape in a plan": lambda d: d["measurements"][0]["trial"]["plan"].update(optimizer="\x1b[2J"),
    "a trial that is none": lambda d: d["measurements"][0].update(trial=7),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_what_no_calibration_has_is_refused(name: str, tmp_path: Path) -> None:
    document = json.loads(written(ONE))
    BREAKS[name](document)
    data = json.dumps(document).encode()
    assert "\x1b" not in problem_of(data)
    file = tmp_path / "file.json"
    file.write_bytes(data)
    with pytest.raises(BadInput):
        import_from(file)
    assert [each.id for each in stored().calibrations] == [TWO.id]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_a_file_is_a_calibration_or_one_sentence(data: st.DataObject) -> None:
    """Values of a real file replaced by any JSON, at any place."""
    document = json.loads(written(ONE))
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        break
    scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    place[key] = data.draw(st.recursive(scalar, lambda inner: st.lists(inner, max_size=2), max_leaves=3))
    try:
        parsed(json.dumps(document).encode(), "file")
    except BadInput as error:
        assert str(error) and "\n" not in str(error)


def test_pipes_and_directories_are_not_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path(os.devnull)):
        with pytest.raises(BadInput):
            import_from(path)


def test_a_full_disk_leaves_nothing_behind_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    save(ONE)
    directory = store()
    assert directory is not None
    before = {path: path.read_bytes() for path in directory.iterdir()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Missing, match=r"cannot be written: No space left on device\. Nothing was changed\."):
        save(TWO)
    with pytest.raises(Missing):
        save(replace(ONE, learnt=moved("activation_scale", 1.4)))
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions of POSIX")
def test_a_store_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    save(ONE)
    directory = store()
    assert directory is not None
    directory.chmod(0)
    try:
        (problem,) = stored().problems
        assert "are not used" in problem
    finally:
        directory.chmod(stat.S_IRWXU)


def test_a_store_that_is_a_file_is_empty() -> None:
    directory = store()
    assert directory is not None
    directory.parent.mkdir(parents=True)
    directory.write_text("")
    assert stored().calibrations == ()
    with pytest.raises(Missing, match="cannot be written"):
        save(ONE)


def test_files_in_the_making_and_of_others_are_left_alone() -> None:
    save(ONE)
    directory = store()
    assert directory is not None
    (directory / f".{ONE.id}.json.1.tmp").write_bytes(b"half")
    (directory / ".hidden.json").write_bytes(b"{}")
    (directory / "README").write_text("mine")
    assert stored().calibrations == (ONE,) and stored().problems == ()


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/vram-advisor"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/vram-advisor"),
        ("linux", {}, "/home/me/.local/share/vram-advisor"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "/home/me/Library/Application Support/vram-advisor"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/vram-advisor"),
        ("win32", {}, "/home/me/AppData/Local/vram-advisor"),
        ("linux", {VARIABLE: "/mine"}, "/mine"),
        ("win32", {VARIABLE: "/mine"}, "/mine"),
    ],
)
def test_where_a_system_keeps_data(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data_directory(platform) == Path(expected)


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrations, "data_directory", lambda: None)
    assert stored().calibrations == ()
    with pytest.raises(Missing, match=VARIABLE):
        save(ONE)


def test_every_coefficient_that_is_learnt_can_be_stored() -> None:
    assert parsed(written(ONE), "file").learnt == LEARNT
