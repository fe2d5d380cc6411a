"""The only writer: data to standard output, narration to standard error, both as the terminal can show them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from vram_advisor.units.errors import Missing
from vram_advisor.units.one_line import one_line

if TYPE_CHECKING:
    from vram_advisor.report.layout import Line
    from vram_advisor.report.look import Look

USUAL_WIDTH = 80
UNBOUNDED = 1000


def print_json(document: object) -> None:
    """One JSON document, and nothing else, on standard output."""
    _write(sys.stdout, json_text(document))


def json_text(document: object) -> str:
    """A JSON document as it is printed."""
    import json

    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def print_document(text: str) -> None:
    """A document for programs on standard output: UTF-8 whatever the terminal shows, every byte as it is."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        _write(sys.stdout, text)
        return
    buffer.write(text.encode("utf-8", "replace"))
    buffer.flush()


def write_document(name: str, text: str) -> None:
    """A document in a file, whole or not at all.

    Raises:
        Missing: the system refuses; one sentence says why.
    """
    from pathlib import Path

    from vram_advisor.sources.user_data import write_whole

    path, data = Path(name).expanduser(), text.encode("utf-8", "replace")
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe is written to, and not replaced.
            path.write_bytes(data)
            return
    except (OSError, ValueError) as error:
        raise Missing(f"{one_line(name)} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    write_whole(path, data)


def print_event(document: object) -> None:
    """One JSON document in one line of standard output: one of several."""
    import json

    _write(sys.stdout, json.dumps(document, ensure_ascii=False) + "\n")


def print_lines(lines: Iterable[Line]) -> None:
    """Lines on standard output."""
    _write(sys.stdout, terminal_look().painted(lines))


def print_text(text: str) -> None:
    """Text on standard output as it is."""
    _write(sys.stdout, text)


def narrate(text: str) -> None:
    """One line on standard error, whatever was typed: without control characters, and not without end."""
    _write(sys.stderr, f"vram-advisor: {one_line(text)}\n")


def narrate_lines(lines: Iterable[Line]) -> None:
    """Lines on standard error, for what is said before there is an answer."""
    from vram_advisor.report.look import Look

    encoding = (getattr(sys.stderr, "encoding", None) or "ascii").lower()
    look = Look(unicode=encoding.startswith("utf"), colour=_colour(sys.stderr))
    _write(sys.stderr, look.painted(lines))


def terminal_look() -> Look:
    """What standard output can show."""
    from vram_advisor.report.look import Look

    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    return Look(unicode=encoding.startswith("utf"), colour=_colour(sys.stdout))


def list_width() -> int:
    """Columns for lists of names: without end where a program reads them, so that nothing is cut off."""
    piped = not os.environ.get("COLUMNS") and not (sys.stdout and sys.stdout.isatty())
    return UNBOUNDED if piped else terminal_width()


def progress(text: str) -> None:
    """A line on standard error that the next one replaces, where somebody looks; an empty text takes it away."""
    if sys.stderr and sys.stderr.isatty():
        _write(sys.stderr, f"\r\x1b[K{text}")


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS has the last word, and 80 stands for what cannot be asked."""
    written = os.environ.get("COLUMNS", "")
    if written.isdigit() and int(written) > 0:
        return max(40, int(written))
    try:
        return max(40, os.get_terminal_size(sys.stdout.fileno()).columns or USUAL_WIDTH)
    except (OSError, ValueError, AttributeError):
        return USUAL_WIDTH


def quiet_streams() -> None:
    """Throw away what is still to be written, where the reader has gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError, AttributeError):
            continue


def _colour(stream: Any) -> bool:
    """Colour goes to terminals only; NO_COLOR forbids it and FORCE_COLOR asks for it (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32":
        # Starting any shell command turns on escape sequences in the old console.
        os.system("")
    return True


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        # Closed by who started the program (``>&-``): nobody wants to read it.
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        # A name of the user's may hold what the terminal cannot show; the answer is worth more than the name.
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
