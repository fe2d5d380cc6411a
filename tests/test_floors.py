"""Imports go down the house only: a walk over the syntax tree of every file."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vram_advisor"
FLOORS = (
    {"units"},
    {"domain"},
    {"memory", "throughput", "sources", "hardware"},
    {"advice", "calibration", "accuracy", "exchange"},
    {"sweep"},
    {"api"},
    {"report"},
    {"tui", "web", "mcp"},
    {"cli"},
)
FLOOR_OF = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
TOP = len(FLOORS)
"""``__init__`` and ``__main__`` of the package stand above everything: they hand out names of any room."""


def room_of(module: str) -> str | None:
    """The room of a module of this package; None for the package itself and for what is not of it."""
    parts = module.split(".")
    return parts[1] if parts[0] == "vram_advisor" and len(parts) > 1 else None


def imported(tree: ast.AST) -> list[str]:
    """Full names of what a file imports, wherever in the file it does."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            found.append(node.module)
            if node.module == "vram_advisor":
                found += [f"vram_advisor.{alias.name}" for alias in node.names if alias.name in FLOOR_OF]
    return found


def complaints(source: str, module: str) -> list[str]:
    """What is wrong with the imports of one file."""
    tree, room = ast.parse(source), room_of(module)
    floor = TOP if room is None or room.startswith("__") else FLOOR_OF[room]
    wrong = [
        f"{module} line {node.lineno}: relative import"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    for name in imported(tree):
        target = room_of(name)
        if target is None or target == room or floor == TOP:
            continue
        if target not in FLOOR_OF:
            wrong.append(f"{module} imports {name}, which is no room of the house")
        elif FLOOR_OF[target] >= floor:
            way = "sideways" if FLOOR_OF[target] == floor else "upward"
            wrong.append(f"{module} imports {name}: {way}")
    return wrong


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    module = ".".join(("vram_advisor", *path.relative_to(PACKAGE).with_suffix("").parts))
    assert complaints(path.read_text(encoding="utf-8"), module) == []


def test_every_room_is_on_a_floor() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith(("__", "."))}
    assert rooms - {"data", "py.typed"} <= set(FLOOR_OF)


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("vram_advisor.units.bytes", "import vram_advisor.domain.gpu", "upward"),
        ("vram_advisor.memory.step", "from vram_advisor.sources.models import resolve_model", "sideways"),
        ("vram_advisor.advice.verdict", "def f():\n    from vram_advisor import api", "upward"),
        ("vram_advisor.report.words", "from ..cli import app", "relative"),
        ("vram_advisor.web.server", "from vram_advisor.tui import app", "sideways"),
        ("vram_advisor.cli.app", "from vram_advisor.attic import app", "no room"),
    ],
)
def test_the_walk_sees(module: str, source: str, found: str) -> None:
    assert found in "".join(complaints(source, module))


def test_the_walk_allows_what_is_below_and_inside() -> None:
    source = "from vram_advisor import __version__, api\nfrom vram_advisor.cli.output import narrate\nimport numpy"
    assert complaints(source, "vram_advisor.cli.app") == []
