"""A running llama-server, asked and never changed: which model it runs, with how many slots and how much context.

It does not say how much memory it takes. Source: llama.cpp v0.5.0 ``tools/server/README.md``, ``common/arg.cpp``
(LLAMA_ARG_HOST, LLAMA_ARG_PORT, LLAMA_API_KEY).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vram_advisor.sources.answers import inside, number, objects, text, whole
from vram_advisor.sources.local_http import Address, ask, parse_address
from vram_advisor.units.errors import BadInput

PORT = 8080
KEY = "LLAMA_API_KEY"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What a server says about itself; None where it does not say it."""

    model_path: str | None
    n_ctx: int | None
    """Context of one slot [tokens]."""
    total_slots: int | None
    build_info: str | None
    vision: bool
    """It takes images."""


@dataclass(frozen=True, slots=True)
class RunningModel:
    """One model of a server."""

    id: str
    n_params: int | None
    size_bytes: int | None
    """Of its tensors [B]."""
    n_ctx_train: int | None
    """Context it was trained for [tokens]."""
    n_embd: int | None
    n_vocab: int | None


def server_address(environment: Mapping[str, str] = os.environ) -> Address:
    """Where llama-server listens by its variables. Raises BadInput."""
    port = environment.get("LLAMA_ARG_PORT", "")
    if port and not (port.isdecimal() and len(port) < 6 and 0 < int(port) < 1 << 16):
        raise BadInput(f"LLAMA_ARG_PORT is {port[:40]!r}, expected a number up to 65,535")
    return parse_address(environment.get("LLAMA_ARG_HOST", ""), int(port) if port else PORT)


def running(address: Address, environment: Mapping[str, str] = os.environ) -> RunningServer:
    """The server. Raises Missing where none answers, BadInput where something else does."""
    answer = ask(address, "/props", token=environment.get(KEY))
    settings = inside(answer, "default_generation_settings")
    if not settings and "total_slots" not in answer:
        raise BadInput(f"{address} is not llama-server: it has no slots")
    return RunningServer(
        model_path=text(answer, "model_path"),
        n_ctx=whole(settings.get("n_ctx")),
        total_slots=whole(answer.get("total_slots")),
        build_info=text(answer, "build_info"),
        vision=inside(answer, "modalities").get("vision") is True,
    )


def served(address: Address, environment: Mapping[str, str] = os.environ) -> tuple[RunningModel, ...]:
    """Models of the server; one, but for a server that starts others. Raises as ``running``."""
    found = []
    for entry in objects(ask(address, "/v1/models", token=environment.get(KEY)), "data"):
        meta = inside(entry, "meta")
        found.append(
            RunningModel(
                id=text(entry, "id") or "",
                n_params=number(meta, "n_params"),
                size_bytes=number(meta, "size"),
                n_ctx_train=whole(meta.get("n_ctx_train")),
                n_embd=whole(meta.get("n_embd")),
                n_vocab=whole(meta.get("n_vocab")),
            )
        )
    return tuple(found)
