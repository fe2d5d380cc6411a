"""Runs the command line in the process of the tests."""

import pytest
from done import Command, Done

from vram_advisor.cli.app import run


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs one command and returns what it did."""

    def call(*arguments: object) -> Done:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Done(int(code), captured.out, captured.err)

    return call
