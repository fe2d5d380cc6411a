"""Parts of a file of the Hugging Face hub, asked for by HTTP ranges; never the whole file."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vram_advisor.sources.file_head import FIRST_OF_HUB
from vram_advisor.sources.hub import endpoint, unreachable
from vram_advisor.sources.hub_answers import TIMEOUT_S
from vram_advisor.units.errors import AdvisorError, BadInput, Missing

PATIENCE_S = 60.0
"""How long one part may take [s]: a megabyte through a slow line."""
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class HubFile:
    """One file of a repository at one commit. Every method raises BadInput or Missing, one sentence."""

    def __init__(self, repo: str, name: str, commit: str) -> None:
        self.repo, self.name, self.commit = repo, name, commit
        self.first = b""

    def size(self) -> int:
        """Bytes of the whole file [B]; the first part comes with the answer and is kept."""
        self.first, total = self.part(0, FIRST_OF_HUB)
        return total

    def fetch(self, begin: int, end: int) -> bytes:
        """The bytes from one place up to another, fewer where the file ends."""
        if end <= len(self.first):
            return self.first[begin:end]
        return self.part(begin, end)[0]

    def part(self, begin: int, end: int) -> tuple[bytes, int]:
        """Bytes of the file, and the size of all of it [B]."""
        with self.answer(begin, end) as answer:
            total = self.total(answer.status_code, answer.headers, begin)
            return self.body(answer, min(end, total) - begin), total

    @contextmanager
    def answer(self, begin: int, end: int) -> Iterator[Any]:
        """The answer of the hub to a request for a range, its body still to come."""
        import huggingface_hub as hub
        from huggingface_hub import constants

        url = hub.hf_hub_url(self.repo, self.name, revision=self.commit, endpoint=endpoint())
        headers = {"Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else hub.get_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        session = hub.get_session()
        if not hasattr(session, "stream"):
            raise Missing("parts of files on the hub need a newer huggingface_hub: pip install -U huggingface_hub")
        try:
            with session.stream("GET", url, headers=headers, timeout=TIMEOUT_S, follow_redirects=True) as answer:
                yield answer
        except AdvisorError:
            raise
        except Exception:
            # the HTTP library and its errors change between versions
            raise unreachable(f"{self.repo}: {self.name}") from None

    def total(self, status: int, headers: Mapping[str, str], begin: int) -> int:
        """Size of the file by the answer [B]."""
        if status in (401, 403):
            raise BadInput(f"{self.repo} is gated or private: accept its terms on the hub and set HF_TOKEN")
        if status == 404:
            raise BadInput(f"{self.repo} has no file {self.name} on the hub")
        match = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if status != 206 or match is None or int(match[1]) != begin or int(match[2]) >= int(match[3]):
            raise Missing(f"{self.repo}: {self.name} cannot be read: the hub answered {status} to a request for a part")
        return int(match[3])

    def body(self, answer: Any, length: int) -> bytes:
        """So many bytes of an answer, however many it would send."""
        data = bytearray()
        until = time.monotonic() + PATIENCE_S
        # raw: as they come, and nothing is unpacked
        for piece in answer.iter_raw():
            data += piece
            if len(data) >= length:
                return bytes(data[:length])
            if time.monotonic() > until:
                raise Missing(f"{self.repo}: {self.name} comes too slowly: {len(data):,} bytes in {PATIENCE_S:.0f} s")
        raise Missing(f"{self.repo}: {self.name} broke off after {len(data):,} of {length:,} bytes")
