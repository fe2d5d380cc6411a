"""The nomenclature knows every name that a user can meet."""

from pathlib import Path
from typing import get_args

import pytest

from vram_advisor.domain.amount import SYMBOLS
from vram_advisor.domain.estimate import Outcome, Phase
from vram_advisor.domain.plan import Plan, Workload

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "nomenclature.md").read_text(encoding="utf-8")
NAMES = (*vars(Workload()), *vars(Plan()), *get_args(Phase), *get_args(Outcome), *SYMBOLS)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
