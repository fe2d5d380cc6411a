"""The page about the server names every tool and every argument that is its own."""

from dataclasses import fields
from pathlib import Path

import pytest

from vram_advisor.domain.job import Dataset
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.mcp.tools import TOOLS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
OWN = {
    field.name
    for tool in TOOLS.values()
    for record in tool.takes
    if record not in (Workload, Plan, Dataset)
    for field in fields(record)
} - {"context_length"}


@pytest.mark.parametrize("name", sorted({*TOOLS, *OWN}))
def test_the_page_names_it(name: str) -> None:
    assert f"`{name}`" in PAGE
