"""``vram-advisor completion``: a script for the shell that completes commands and options."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import print_text


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")], /) -> int:
    """Print a script that completes commands and options in bash, zsh or fish.

    bash: vram-advisor completion bash > ~/.local/share/bash-completion/completions/vram-advisor

    zsh: vram-advisor completion zsh > ~/.zfunc/_cyclopts_vram-advisor, with ~/.zfunc in fpath

    fish: vram-advisor completion fish > ~/.config/fish/completions/vram-advisor.fish
    """
    # zsh calls the function that is called as the file is, and Cyclopts has named it.
    # The command is one of those that the script is about.
    from vram_advisor.cli.app import app

    print_text(app.generate_completion(shell=shell))
    return ExitCode.ANSWERED
