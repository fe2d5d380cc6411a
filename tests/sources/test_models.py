"""From what a person types to a model."""

import json
from pathlib import Path

import pytest

from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 256,
}


def test_a_name_of_the_catalogue_wins_over_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7b").mkdir()
    (tmp_path / "7b" / "config.json").write_text(json.dumps(LLAMA))
    monkeypatch.chdir(tmp_path)
    assert resolve_model("7b").id == "llama-2-7b"
    assert resolve_model("./7b").hidden_size == 64


def test_paths_are_read_where_they_exist_or_look_like_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text(json.dumps(LLAMA))
    monkeypatch.chdir(tmp_path)
    for text in ("mine", "mine/config.json", str(tmp_path / "mine"), " mine "):
        assert resolve_model(text).hidden_size == 64
    for text, sentence in (
        ("./nothing", "nothing is not there, expected a config.json"),
        ("nothing.json", "is not there"),
        ("/nothing/here", "is not there"),
        ("nothing.safetensors", "is not there"),
        ("weights.bin", "is a pickle, which can run code"),
        ("weights.gguf", "weights.gguf"),
    ):
        with pytest.raises(BadInput, match=sentence):
            resolve_model(text)


@pytest.mark.parametrize(
    "text", ["", "  ", "\x1b[31m", "a" * 3000, "a" * 5000, "./" + "a" * 300, "a/" * 2000, "x/y/z", "no such"]
)
def test_what_is_no_model_is_one_sentence(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        resolve_model(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600
