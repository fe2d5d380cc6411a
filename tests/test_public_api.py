"""The package hands out its public names, each when it is asked for."""

import subprocess
import sys

import pytest

import vram_advisor


def test_every_public_name_is_there() -> None:
    for name in vram_advisor.__all__:
        assert getattr(vram_advisor, name) is not None
    assert set(vram_advisor.__all__) <= set(dir(vram_advisor))


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        vram_advisor.guess  # noqa: B018


def test_importing_the_package_imports_no_room() -> None:
    code = "import sys, vram_advisor; print([m for m in sys.modules if m.startswith('vram_advisor.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
