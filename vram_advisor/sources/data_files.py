"""Where the data files are: inside the package of a wheel, or at the top of a checkout."""

from functools import cache
from pathlib import Path

from vram_advisor.units.errors import BadInput

PACKAGE = Path(__file__).resolve().parent.parent


@cache
def data_path(name: str) -> Path:
    """Path of a data file or folder.

    A wheel carries the top-level ``data/`` inside the package; an editable install and a bare checkout keep it beside
    the package. Raises BadInput where neither has it.
    """
    places = (PACKAGE / "data" / name, PACKAGE.parent / "data" / name)
    for place in places:
        if place.exists():
            return place
    raise BadInput(f"data file {name} is missing: looked in {places[0].parent} and {places[1].parent}; install again")
