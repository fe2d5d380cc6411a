"""The page about the Python API: its examples run, and it names everything that is public."""

import doctest
from pathlib import Path

import pytest

import vram_advisor

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    # The fence that ends an example would be a part of what it is expected to print.
    text = "\n".join("" if line.startswith("```") else line for line in PAGE.splitlines())
    page = doctest.DocTestParser().get_doctest(text, {}, "python-api.md", "docs/python-api.md", 0)
    assert len(page.examples) > 50
    result = doctest.DocTestRunner(verbose=False).run(page)
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in vram_advisor.__all__ if name != "__version__"])
def test_the_page_names_everything_that_is_public(name: str) -> None:
    assert name in PAGE
