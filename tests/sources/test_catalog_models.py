"""The catalogue of models: a test harder than its loader."""

import re
import tomllib
from collections import Counter
from dataclasses import asdict

import pytest
from pydantic import ConfigDict, TypeAdapter, with_config

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.tensors import active_parameters, count_parameters
from vram_advisor.sources import catalog_models
from vram_advisor.sources.catalog_models import (
    ModelRecord,
    Parameters,
    entries,
    find_model,
    find_record,
    list_models,
    model_id,
    normal,
    shape_names,
    to_spec,
)
from vram_advisor.sources.data_files import data_path
from vram_advisor.units.errors import BadInput, NotModelled

REFUSED = {"deepseek-v4-flash": "deepseek_v4", "deepseek-v4-pro": "deepseek_v4", "kimi-k3": "kimi_k3"}
EXPLAINED = re.compile(
    r"exact(\+(buffers|tied-duplicate|mtp|fp8-scales|router-bias|unused-kv))*|by-difference|near|published-only|"
    r"no-published-count"
)
IDS = [entry.id for entry in list_models()]


@pytest.fixture(scope="module")
def records() -> dict[str, ModelRecord]:
    """Every row, read by a parser and checked by a library that the program itself does not use for it."""
    for record in (Parameters, ModelRecord):
        with_config(ConfigDict(extra="forbid"))(record)
    adapter = TypeAdapter(ModelRecord)
    text = data_path("models.toml").read_text(encoding="utf-8")
    return {row["id"]: adapter.validate_python(row) for row in tomllib.loads(text)["model"]}


def test_the_heads_that_are_searched_are_all_rows(records: dict[str, ModelRecord]) -> None:
    assert list(records) == IDS
    for entry in list_models():
        row = records[entry.id]
        assert (entry.aliases, entry.hf_repo) == (row.aliases, row.hf_repo)


def test_rows_are_sorted_and_names_never_collide(records: dict[str, ModelRecord]) -> None:
    assert sorted(IDS) == IDS
    typed = Counter(name for row in records.values() for name in (row.id, *row.aliases))
    assert [name for name, uses in typed.items() if uses > 1] == []
    assert all(normal(name) == name for name in typed)
    repositories = {normal(row.hf_repo): row.id for row in records.values()}
    assert {name: typed[name] for name in repositories if name in typed} == {}


def test_short_names_that_two_rows_share_mean_neither(records: dict[str, ModelRecord]) -> None:
    for short, id in shape_names().items():
        if id is None:
            assert model_id(short) is None or model_id(short) in records


def test_every_row_has_sources_that_survive_loading(records: dict[str, ModelRecord]) -> None:
    for id, row in records.items():
        assert row.sources and all(source.strip() for source in row.sources), id
        assert row.checked.year == 2026
        assert "/" in row.hf_repo
        assert asdict(find_record(id)) == asdict(row)


def test_what_is_recalled_says_so(records: dict[str, ModelRecord]) -> None:
    for row in records.values():
        if row.ollama_check == "unverified":
            assert any("recalled" in source for source in row.sources), row.id


@pytest.mark.parametrize("id", [id for id in IDS if id not in REFUSED])
def test_tensors_sum_to_the_count_of_the_row(id: str, records: dict[str, ModelRecord]) -> None:
    row = records[id]
    model = to_spec(row)
    counts = row.parameters
    assert count_parameters(model) == counts.total
    assert count_parameters(model) - model.tower_parameters == counts.text
    assert active_parameters(model) == counts.active
    assert EXPLAINED.fullmatch(counts.match)
    if counts.match == "exact":
        assert counts.published == counts.total
    elif counts.match not in ("no-published-count", "published-only"):
        assert counts.match_note and counts.published is not None
    assert model.id == id
    assert model.parameters_published == counts.published


@pytest.mark.parametrize(("id", "model_type"), REFUSED.items())
def test_a_row_without_a_formula_is_refused_by_name(id: str, model_type: str) -> None:
    with pytest.raises(NotModelled, match=rf"{id}.*{model_type} is not modelled: .*no formula"):
        find_model(id)


@pytest.mark.parametrize(
    ("typed", "id"),
    [
        ("7b", "llama-2-7b"),
        ("7B", "llama-2-7b"),
        ("13b", "llama-2-13b"),
        ("8b", "llama-3.1-8b"),
        ("70b", "llama-3.1-70b"),
        ("405b", "llama-3.1-405b"),
        ("34b", "codellama-34b"),
        ("8x7b", "mixtral-8x7b"),
        ("8x22b", "mixtral-8x22b"),
        ("llama-3.1-8b", "llama-3.1-8b"),
        ("Llama 3.1 8B", "llama-3.1-8b"),
        ("llama_3.1_8b", "llama-3.1-8b"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("meta-llama/Llama-2-7b-chat-hf", "llama-2-7b"),
        ("qwen2.5-7b", "qwen2.5-7b"),
        ("Qwen/Qwen2.5-7B", "qwen2.5-7b"),
        ("qwen2.5-7b-instruct", "qwen2.5-7b"),
        ("google/gemma-2-2b-it", "gemma-2-2b"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3"),
        ("bigcode/gpt_bigcode-santacoder", "santacoder-1.1b"),
        ("THUDM/chatglm3-6b", "chatglm3-6b"),
        ("google-bert/bert-large-uncased", "bert-large-uncased"),
        ("ibm/PowerLM-3b", "powerlm-3b"),
    ],
)
def test_what_people_type(typed: str, id: str) -> None:
    assert model_id(typed) == id


def test_a_wrong_name_gets_the_three_nearest() -> None:
    with pytest.raises(BadInput, match=r"'lama-3.1-8c' is not in the catalogue; the nearest names are (\S+, ){2}\S+$"):
        find_model("lama-3.1-8c")
    for name in ("", " ", "/", "💥", "a" * 100_000, "-instruct"):
        with pytest.raises(BadInput):
            find_model(name)


def test_one_question_parses_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    loads = tomllib.loads

    def spy(text: str) -> dict[str, object]:
        parsed.append(text.count("[[model]]"))
        return loads(text)

    monkeypatch.setattr("vram_advisor.sources.catalog_models.tomllib.loads", spy)
    assert isinstance(find_model("7b"), ModelSpec)
    assert parsed == [1]


def test_a_broken_row_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = catalog_models.catalogue_text()
    entry, start = entries()["llama-2-7b"]
    for broken, sentence in (
        (text.replace("total = 6738415616", 'total = "many"'), r"parameters: total: many should be a whole number"),
        (text.replace("[model.parameters]", "colour = 1\n[model.parameters]"), "colour: no such key"),
        (text.replace("total = 6738415616\n", ""), r"llama-\S+: parameters: total is missing"),
        (text.replace("[model.parameters]", "[model.parameters"), "is not TOML"),
    ):
        monkeypatch.setattr(catalog_models, "catalogue_text", lambda broken=broken: broken)
        monkeypatch.setattr(
            catalog_models,
            "entries",
            lambda broken=broken: {"llama-2-7b": (entry, broken.index('[[model]]\nid = "llama-2-7b"'))},
        )
        with pytest.raises(BadInput, match=sentence):
            find_record("llama-2-7b")
    assert start


def test_towers_are_counted_where_the_row_knows_them() -> None:
    seeing = find_model("gemma-3-4b")
    assert seeing.tower_parameters == 419_816_304
    assert not any("not counted" in note for note in seeing.notes)


def test_the_data_file_is_found_and_a_missing_one_is_one_sentence() -> None:
    assert data_path("models.toml").is_file()
    with pytest.raises(BadInput, match=r"data file nothing\.toml is missing: looked in \S+ and \S+; install again"):
        data_path("nothing.toml")
