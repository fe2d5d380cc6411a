"""Fractions where whole numbers belong: the parser of options would round them without a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from typing import get_args

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.errors import BadInput
from vram_advisor.units.record import complaint

FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
WHOLE = frozenset(
    f"--{field.name.replace('_', '-')}"
    for record in (Workload, Plan)
    for field in fields(record)
    if field.type is int or int in get_args(field.type)
) | {"--gpu-index", "--tokens"}
"""Options that are whole numbers."""


def refuse_fractions(arguments: Sequence[str]) -> None:
    """Refuse ``--sequence-length 1.5`` and its like.

    Raises:
        BadInput: one sentence that names the option.
    """
    words = [part for argument in arguments for part in argument.split("=", 1)]
    for option, value in pairwise(words):
        if option in WHOLE and FRACTION.fullmatch(value):
            raise BadInput(complaint(option, value, "a whole number", ()))
