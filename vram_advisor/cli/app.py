"""The entry point: commands, and what happens to errors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from vram_advisor import __version__
from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import narrate, quiet_streams
from vram_advisor.cli.with_settings import with_settings
from vram_advisor.units.errors import AdvisorError, Missing

EPILOGUE = (
    "Exit codes: 0 answered and nothing says that it does not fit (fits, tight, unknown); 1 it does not fit, and with "
    "--strict tight and unknown too; 2 bad input; 3 something asked for is missing."
)

app = App(
    name="vram-advisor",
    help="How much GPU memory a fine-tune or an inference needs, where it goes, and whether it fits.",
    help_epilogue=EPILOGUE,
    version=__version__,
    suppress_keyboard_interrupt=False,
    # --target-modules q_proj v_proj takes both words.
    default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
)
# By name, so that a command imports what it needs and no more; each with the first line of its docstring.
COMMANDS = (
    ("check", "check:app", "Say whether it fits, where the memory goes, and what to do next."),
    ("advise", "advise:advise", "Say what would make it fit, what that costs, and how far the card goes."),
    ("trace", "trace:trace", "Run the real training code on tensors without memory, and show what it allocates."),
    ("detect", "detect:detect", "Show the GPUs of this machine, their free memory and what holds the rest."),
    (
        "calibrate",
        "calibrate:calibrate",
        "Run the real training code for a few steps, measure its memory, and correct the predictions for this machine.",
    ),
    ("calibrations", "calibrations:app", "List, show, remove, export and import what calibrations have taught."),
    ("tui", "tui:tui", "Open the terminal app: does it fit, why, and what next, on one screen."),
    ("serve", "serve:serve", "Show the terminal app in a browser; needs the extra web."),
    ("sweep", "sweep:sweep", "Answer models x cards x plans, each with each, into a file of rows."),
    (
        "mcp",
        "mcp:mcp",
        "Serve check, advise and lists to an agent over standard input and output (MCP); needs the extra mcp.",
    ),
    ("gpus", "lists:gpus", "List the cards of the catalogue, or rank those that would do a job."),
    ("models", "lists:models", "List the models of the catalogue, those that fit a card, or those on this machine."),
    ("schema", "lists:schema", "Print a JSON Schema, or the values of an option with the evidence behind each."),
    ("completion", "completion:completion", "Print a script that completes commands and options in bash, zsh or fish."),
    ("accuracy", "accuracy:accuracy", "Compare predictions with measurements, source by source."),
)
for command, home, summary in COMMANDS:
    app.command(f"vram_advisor.cli.{home}", name=command, help=summary)


def main() -> None:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:])
    # The interpreter looks for cycles once more when it ends; nothing is left to do that would need the memory.
    gc.freeze()
    sys.exit(code)


def in_terminal() -> bool:
    """Whether somebody types and looks: elsewhere the program prints its help."""
    streams = (sys.stdin, sys.stdout)
    return all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Bad input is a sentence on standard error, never a traceback."""
    if not arguments and in_terminal():
        arguments = ["tui"]
    typed = arguments
    try:
        arguments = with_settings(arguments)
        if arguments and arguments[0] in ("check", "advise", "trace", "gpus", "models"):
            from vram_advisor.cli.whole_numbers import refuse_fractions

            refuse_fractions(arguments)
        command, bound, unparsed = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
        if "given" in unparsed:
            from vram_advisor.cli.given import given_fields

            bound.arguments["given"] = given_fields(typed)
        result = command(*bound.args, **bound.kwargs)
    except CycloptsError as error:
        from vram_advisor.cli.parse_errors import sentence

        narrate(sentence(error))
        return ExitCode.BAD_INPUT
    except Missing as error:
        narrate(str(error))
        return ExitCode.MISSING
    except AdvisorError as error:
        narrate(str(error))
        return ExitCode.BAD_INPUT
    except BrokenPipeError:
        quiet_streams()
        return ExitCode.ANSWERED
    except OSError as error:
        narrate(f"The answer could not be written: {error.strerror or error}.")
        quiet_streams()
        return ExitCode.MISSING
    except KeyboardInterrupt:
        quiet_streams()
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.ANSWERED
