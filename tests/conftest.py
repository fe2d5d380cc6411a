"""Every test runs on a machine without a GPU, without a network and without anybody's settings."""

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from vram_advisor.hardware import amd, nvidia
from vram_advisor.hardware.reading import Reading

SETTINGS = (
    "COLUMNS", "CUDA_VISIBLE_DEVICES", "FORCE_COLOR", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN",
    "LOCALAPPDATA", "NO_COLOR", "PYTORCH_ALLOC_CONF", "TRANSFORMERS_OFFLINE", "VRAM_ADVISOR_CONFIG",
    "VRAM_ADVISOR_DATA_DIR",
)  # fmt: skip
LOCAL = ("127.0.0.1", "::1", "localhost")


# What a shell starts behind "&" ignores SIGINT, what nohup starts SIGHUP, and both hand that on to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def nobodys_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the caller, and an empty home."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only servers that a test starts itself can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise OSError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def no_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is visible, except where the probes themselves are tested on stand-ins of drivers, or a real one is meant."""
    if "hardware" in Path(str(request.node.path)).parts or request.node.get_closest_marker("gpu"):
        return
    nothing = Reading(absent="No NVIDIA driver: its library NVML is not on this computer.")
    monkeypatch.setattr(nvidia, "probe", lambda *args, **kwargs: nothing)
    monkeypatch.setattr(amd, "probe", lambda *args, **kwargs: Reading())
