"""What the hub says about a repository: one question without retries, an answer of bounded size in bounded time."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vram_advisor.sources.json_files import parse_object
from vram_advisor.units.errors import BadInput, Missing

TIMEOUT_S = 10.0
"""How long the hub may take to answer, and between two pieces of its answer [s]."""
PATIENCE_S = 30.0
"""How long an answer may take in all [s]."""
MAX_ANSWER_BYTES = 32 << 20
"""A repository of a hundred thousand files has a fifth of it [B]."""
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 200, 401, 403, 404, 500


def ask_repository(
    repo_id: str, expand: tuple[str, ...], endpoint: str | None, revision: str | None = None
) -> Mapping[str, object] | None:
    """Properties of a repository; None where the hub is not reached, or cannot answer.

    Args:
        expand: properties that are asked for.
        endpoint: another hub.
        revision: a branch, tag or commit; None: the main one.

    Raises:
        BadInput: no such name or repository, gated, or no answer of a hub.
        Missing: it answers otherwise, too much or too slowly.
    """
    import huggingface_hub as hub
    from huggingface_hub import errors
    from huggingface_hub.utils import build_hf_headers, validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except errors.HFValidationError:
        raise BadInput(f"{repo_id[:80]!r} is not a repository name, expected owner/name") from None
    from huggingface_hub import constants

    path = f"{endpoint or constants.ENDPOINT}/api/models/{repo_id}"
    path += f"/revision/{quote(revision, safe='')}" if revision else ""
    session = hub.get_session()
    if not hasattr(session, "stream"):
        raise Missing(f"{repo_id} is on the hub, which needs a newer huggingface_hub: pip install -U huggingface_hub")
    try:
        with session.stream(
            "GET", path, params={"expand": list(expand)}, headers=build_hf_headers(), timeout=TIMEOUT_S,
            follow_redirects=True,
        ) as answer:  # fmt: skip
            status = int(answer.status_code)
            if status >= SERVER_ERROR:
                return None
            refuse(repo_id, status, answer.headers.get("X-Error-Code", ""))
            content = read_all(answer, repo_id)
    except (BadInput, Missing):
        raise
    except Exception:
        # the HTTP library and its errors change between versions; whatever it is, the cache may still answer
        return None
    return parse_object(content, f"{repo_id}: the answer of the hub")


def refuse(repo_id: str, status: int, code: str) -> None:
    """An answer that is not the repository. Raises BadInput, Missing."""
    if status == OK:
        return
    if code == "GatedRepo" or status == FORBIDDEN:
        raise BadInput(f"{repo_id} is gated: accept its terms on the hub and set HF_TOKEN")
    if status in (UNAUTHORIZED, NOT_FOUND):
        raise BadInput(f"{repo_id} is not on the hub, or it is private and HF_TOKEN does not open it")
    raise Missing(f"{repo_id} cannot be read from the hub: it answered {status}")


def read_all(answer: Any, repo_id: str) -> bytes:
    """The body of an answer. Raises Missing where it is too large or too slow."""
    content = bytearray()
    until = time.monotonic() + PATIENCE_S
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise Missing(f"{repo_id}: the hub answers with more than {MAX_ANSWER_BYTES:,} bytes")
        if time.monotonic() > until:
            raise Missing(f"{repo_id}: the hub does not finish its answer within {PATIENCE_S:.0f} s")
    return bytes(content)
