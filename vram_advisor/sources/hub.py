"""A model of the Hugging Face hub: its ``config.json`` and the parameter counts of its safetensors, never weights.

``huggingface_hub`` is imported when it is asked for; it brings the local cache, HF_TOKEN and HF_HUB_OFFLINE.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.hub_answers import SERVER_ERROR, TIMEOUT_S, ask_repository
from vram_advisor.sources.huggingface import CONFIG, MAX_CONFIG_BYTES, parse_config
from vram_advisor.sources.json_files import read_bytes
from vram_advisor.sources.safetensors import DTYPE_BITS
from vram_advisor.units.errors import BadInput, Missing


@dataclass(frozen=True, slots=True)
class HubWeights:
    """What the hub says about the safetensors of a repository."""

    stored_bytes: tuple[tuple[str, int], ...] = ()
    """Bytes by dtype [B]; empty where the repository has none or the hub does not say."""
    parameters: int | None = None


def fetch_model(repo_id: str) -> ModelSpec:
    """The model of a repository ``owner/name``, from the hub or the local cache.

    Honours HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and HF_HOME. Raises BadInput (no such repository, gated, no config),
    Missing (no network and not in the cache, ``huggingface_hub`` not installed), NotModelled.
    """
    require_library(repo_id)
    with quiet():
        weights = ask_hub(repo_id)
        file = cached_config(repo_id) if weights is None else download_config(repo_id)
    model = parse_config(read_bytes(file, MAX_CONFIG_BYTES), repo_id, f"{repo_id}: {CONFIG}")
    source = f"Hugging Face: {repo_id}"
    if weights is None:
        return replace(model, source=source + ", from the local cache")
    return replace(model, stored_bytes=weights.stored_bytes, parameters_published=weights.parameters, source=source)


def fetch_config(repo_id: str) -> Path:
    """The ``config.json`` of a repository, from the hub or the local cache. Raises as ``fetch_model``."""
    require_library(repo_id)
    with quiet():
        return cached_config(repo_id) if ask_hub(repo_id) is None else download_config(repo_id)


def require_library(repo_id: str) -> None:
    """Raises Missing where ``huggingface_hub`` is not installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise Missing(f"{repo_id} is on the hub, which needs huggingface_hub: pip install huggingface_hub") from None


def ask_hub(repo_id: str) -> HubWeights | None:
    """What the hub says in one request without retries; None where it is not reached. Raises BadInput, Missing."""
    answer = ask_repository(repo_id, ("safetensors",), endpoint())
    if answer is None:
        return None
    said = answer.get("safetensors")
    info = said if isinstance(said, dict) else {}
    total, parameters = info.get("total"), info.get("parameters")
    total = total if type(total) is int and total >= 0 else None
    if not isinstance(parameters, dict):
        return HubWeights()
    counts = {str(dtype): count for dtype, count in parameters.items() if type(count) is int and count >= 0}
    if any(dtype not in DTYPE_BITS for dtype in counts):
        return HubWeights(parameters=total)
    totals = sorted(((dtype, count * DTYPE_BITS[dtype] // 8) for dtype, count in counts.items()), key=largest_first)
    return HubWeights(tuple(totals), total)


def download_config(repo_id: str) -> Path:
    """The repository's ``config.json``, fetched where the cache has no current copy. Raises BadInput, Missing."""
    import huggingface_hub as hub
    from huggingface_hub import errors

    try:
        return Path(hub.hf_hub_download(repo_id, CONFIG, endpoint=endpoint(), etag_timeout=TIMEOUT_S))
    except errors.LocalEntryNotFoundError:
        # a subclass of EntryNotFoundError: the hub went away and the cache has no copy
        raise unreachable(repo_id) from None
    except errors.EntryNotFoundError:
        raise BadInput(f"{repo_id} has no {CONFIG} on the hub, expected a repository of transformers weights") from None
    except errors.HfHubHTTPError as error:
        raise refusal(repo_id, error) from None
    except Exception:
        return cached_config(repo_id)


def cached_config(repo_id: str) -> Path:
    """The copy of ``config.json`` in the local cache. Raises Missing where there is none."""
    import huggingface_hub as hub

    file = hub.try_to_load_from_cache(repo_id, CONFIG)
    if not isinstance(file, str):
        raise unreachable(repo_id)
    return Path(file)


def refusal(repo_id: str, error: Exception) -> BadInput | Missing:
    """The sentence for an answer of the hub that is not the file."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError) or status(error) == 403:
        return BadInput(f"{repo_id} is gated: accept its terms on the hub and set HF_TOKEN")
    if isinstance(error, errors.RepositoryNotFoundError) or status(error) in (401, 404):
        return BadInput(f"{repo_id} is not on the hub, or it is private and HF_TOKEN does not open it")
    return Missing(f"{repo_id} cannot be read from the hub: it answered {status(error)}")


def status(error: Exception) -> int:
    """Status of the HTTP answer behind an error; that of a server's fault where there was no answer."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else SERVER_ERROR


def unreachable(repo_id: str) -> Missing:
    """The error where the hub was not reached and the cache has no copy."""
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    why = "HF_HUB_OFFLINE is set" if offline else "the hub cannot be reached"
    return Missing(f"{repo_id} is not in the local cache and {why}")


def largest_first(item: tuple[str, int]) -> tuple[int, str]:
    """Order of dtypes."""
    return -item[1], item[0]


def endpoint() -> str | None:
    """The hub to ask, read when it is asked: the library reads it once, when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no warnings about retries: stderr belongs to the faces."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("huggingface_hub")
    level, bars_off = logger.level, are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if not bars_off:
            enable_progress_bars()
