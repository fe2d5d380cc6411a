"""A model of the Hugging Face hub: its ``config.json`` and the parameter counts of its safetensors, never weights.

``huggingface_hub`` is imported when it is asked for; it brings the local cache, HF_TOKEN and HF_HUB_OFFLINE.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.huggingface import CONFIG, MAX_CONFIG_BYTES, parse_config
from vram_advisor.sources.json_files import read_bytes
from vram_advisor.sources.safetensors import DTYPE_BITS
from vram_advisor.units.errors import BadInput, Missing

TIMEOUT_S = 10.0
"""How long the hub may take to answer [s]."""


def fetch_model(repo_id: str) -> ModelSpec:
    """The model of a repository ``owner/name``, from the hub or the local cache.

    Honours HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and HF_HOME. Raises BadInput (no such repository, gated, no config),
    Missing (no network and not in the cache, ``huggingface_hub`` not installed), NotModelled.
    """
    file = fetch_config(repo_id)
    model = parse_config(read_bytes(file, MAX_CONFIG_BYTES), repo_id, f"{repo_id}: {CONFIG}")
    stored, total = stored_bytes(repo_id)
    return replace(model, stored_bytes=stored, parameters_published=total, source=f"Hugging Face: {repo_id}")


def fetch_config(repo_id: str) -> Path:
    """Path of the repository's ``config.json`` in the local cache, fetched where it is not there yet."""
    try:
        import huggingface_hub as hub
        from huggingface_hub import errors
    except ImportError:
        raise Missing(f"{repo_id} is on the hub, which needs huggingface_hub: pip install huggingface_hub") from None
    try:
        with quiet():
            return Path(hub.hf_hub_download(repo_id, CONFIG, endpoint=endpoint(), etag_timeout=TIMEOUT_S))
    except errors.GatedRepoError:
        raise BadInput(f"{repo_id} is gated: accept its terms on the hub and set HF_TOKEN") from None
    except errors.RevisionNotFoundError:
        raise BadInput(f"{repo_id} is empty on the hub") from None
    except errors.RepositoryNotFoundError:
        raise BadInput(f"{repo_id} is not on the hub, or it is private and HF_TOKEN does not open it") from None
    except errors.LocalEntryNotFoundError:
        # a subclass of EntryNotFoundError: the hub was not reached and the cache has no copy
        raise unreachable(repo_id) from None
    except errors.EntryNotFoundError:
        raise BadInput(f"{repo_id} has no {CONFIG} on the hub, expected a repository of transformers weights") from None
    except errors.HFValidationError:
        raise BadInput(f"{repo_id[:80]!r} is not a repository name, expected owner/name") from None
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise Missing(f"{repo_id} cannot be read from the hub: it answered {status or 'nothing'}") from None
    except (OSError, ValueError, RuntimeError):
        raise unreachable(repo_id) from None


def stored_bytes(repo_id: str) -> tuple[tuple[tuple[str, int], ...], int | None]:
    """Bytes of the safetensors by dtype [B] and their number of parameters; nothing where the hub does not tell."""
    import huggingface_hub as hub

    try:
        api = hub.HfApi(endpoint=endpoint())
        info = api.model_info(repo_id, expand=["safetensors"], timeout=TIMEOUT_S).safetensors
    except (OSError, ValueError, RuntimeError, AttributeError):
        # offline with a cached configuration: the dimensions are enough
        return (), None
    if info is None or not isinstance(info.parameters, dict):
        return (), None
    counts = {dtype: count for dtype, count in info.parameters.items() if isinstance(count, int) and count >= 0}
    if not counts or any(dtype not in DTYPE_BITS for dtype in counts):
        return (), info.total
    totals = sorted(((dtype, count * DTYPE_BITS[dtype] // 8) for dtype, count in counts.items()), key=by_size)
    return tuple(totals), info.total


def by_size(item: tuple[str, int]) -> tuple[int, str]:
    """The largest first."""
    return -item[1], item[0]


def endpoint() -> str | None:
    """The hub to ask, read when it is asked: the library reads it once, when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


def unreachable(repo_id: str) -> Missing:
    """The error where the hub was not reached and the cache has no copy."""
    why = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE") else ""
    return Missing(f"{repo_id} is not in the local cache and the hub cannot be reached{': ' + why if why else ''}")


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars: stderr belongs to the faces."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
