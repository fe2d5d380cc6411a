"""The configuration that a name means: what real code is built from, formula or not."""

import json
from pathlib import Path

import pytest

from vram_advisor.sources.configs import resolve_config
from vram_advisor.units.errors import BadInput


def test_a_name_of_the_catalogue_means_the_configuration_of_its_row() -> None:
    found = resolve_config("llama-3.1-8b")
    assert found.id == "llama-3.1-8b"
    assert found.config["model_type"] == "llama"
    assert found.config["num_hidden_layers"] == 32
    assert found.source.startswith("catalogue")


def test_a_folder_means_its_configuration_whether_there_is_a_formula_for_it_or_not(tmp_path: Path) -> None:
    folder = tmp_path / "unheard-of"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "unheard_of", "hidden_size": 8}))
    assert resolve_config(str(folder)).id == "unheard-of"
    assert resolve_config(str(folder / "config.json")).config["hidden_size"] == 8


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{}", "model_type is missing"),
        ("config.json", '{"model_type": 3}', "model_type is missing"),
        ("config.json", "[1]", "expected an object"),
        ("model.gguf", "GGUF", "built from a config.json"),
    ],
)
def test_what_is_no_configuration_is_refused_in_a_sentence(tmp_path: Path, name: str, content: str, said: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(BadInput, match=said):
        resolve_config(str(file))


def test_a_name_that_nothing_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"llama-3\.1-8b"):
        resolve_config("llama-3.1-8bb")
    with pytest.raises(BadInput, match="is not there"):
        resolve_config("/nowhere/config.json")
