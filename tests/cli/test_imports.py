"""``check`` starts fast because it imports little: seen from outside, in a process of its own."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "textual", "numpy", "huggingface_hub", "peft", "pandas", "requests", "httpx", "mcp")
CODE = """
import sys
from vram_advisor.cli.app import run
code = run(sys.argv[1:])
print(*sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070"),
        ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070", "--json"),
        ("check", "--model", "7b", "--method", "full", "--gpu", "h100-sxm"),
        ("detect",),
        ("--version",),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True)
    modules = set(done.stderr.splitlines()[-1].split())
    assert "vram_advisor" in modules
    assert modules.isdisjoint(HEAVY), modules.intersection(HEAVY)


def test_a_check_needs_no_model_of_pydantic_and_no_probe() -> None:
    arguments = ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070")
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    assert not {"pydantic", "subprocess", "json"}.intersection(done.stderr.split())


def test_check_draws_without_a_terminal_library() -> None:
    arguments = ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070")
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    assert "rich" not in done.stderr.split()
