"""One trial in a worker of its own: started, watched, and turned into measurements, however it ends.

Neither torch nor a GPU is needed here.
"""

import json
import os
import platform
import site
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import vram_advisor
from vram_advisor.calibration.device_watch import DeviceWatch, Usage
from vram_advisor.calibration.place import VISIBLE, Place
from vram_advisor.calibration.supervisor import Ending, Limits, supervise
from vram_advisor.calibration.versions import installed
from vram_advisor.calibration.worker_process import Message
from vram_advisor.domain.trial import Environment, Measurement, Outcome, Trial
from vram_advisor.units.errors import Missing, NotModelled

MOST_MESSAGE = 300
"""Characters of what a failed worker said that are kept."""


def run_trial(
    trial: Trial,
    place: Place,
    limits: Limits,
    hear: Callable[[Message], None],
    stop: threading.Event | None = None,
) -> tuple[Measurement, ...]:
    """Run a trial; one measurement for each of its processes.

    Args:
        trial: what is run.
        place: where.
        limits: how long it may take.
        hear: called with each message of the worker.
        stop: set by another thread to end it.

    Raises:
        Missing: the worker cannot be started, or lacks what it needs.
        NotModelled: the trial does not run here.
    """
    with DeviceWatch(place.look) as watch:

        def listen(message: Message) -> None:
            rank = int(message.get("rank", 0))
            match message["event"]:
                case "started":
                    watch.follow(message["pid"], place.gpu_index + rank)
                case "step":
                    watch.stepping(True)
                case "measured":
                    watch.stepping(False)
                    # The worker holds its memory until this returns.
                    watch.sample()
            hear(message)

        ending = supervise(
            command(trial),
            json.dumps(asdict(trial)),
            limits,
            listen,
            processes=trial.processes,
            environment=variables(trial, place),
            stop=stop,
        )
    return tuple(measurement(trial, place, ending, rank, watch) for rank in range(trial.processes))


def command(trial: Trial) -> list[str]:
    """Program and arguments of the worker."""
    python = [sys.executable, "-m"]
    if trial.processes == 1:
        return [*python, "vram_advisor.calibration.worker"]
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={trial.processes}"]
    return [*python, *launcher, "-m", "vram_advisor.calibration.distributed_worker", trial.backend]


def variables(trial: Trial, place: Place) -> Mapping[str, str]:
    """Variables of the worker: nothing is downloaded, and the allocator is the one that the plan says."""
    allocator = f"expandable_segments:{trial.plan.expandable_segments}"
    found = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # A file of the present folder does not stand in for a library.
        "PYTHONSAFEPATH": "1",
        # The second is its name before PyTorch 2.9.
        "PYTORCH_ALLOC_CONF": allocator,
        "PYTORCH_CUDA_ALLOC_CONF": allocator,
    }
    if place.visible is not None:
        found |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VISIBLE: place.visible}
    root = Path(vram_advisor.__file__).resolve().parent.parent
    if str(root) not in site.getsitepackages():
        # A checkout that is not installed.
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(root))))
    return found


def measurement(trial: Trial, place: Place, ending: Ending, rank: int, watch: DeviceWatch) -> Measurement:
    """What one process of a trial measured, or why it did not.

    Raises:
        Missing, NotModelled: the worker refused.
    """
    said: dict[str, Message] = {m["event"]: m for m in ending.messages if m.get("rank", 0) == rank}
    outcome, message = classify(ending, said)
    started = said.get("started", {})
    usage = watch.usage(started["pid"]) if "pid" in started else Usage()
    numbers = said.get("measured") or said.get("out_of_memory") or {}
    reserved = numbers.get("reserved_bytes")
    process = usage.process_bytes
    kept = ("resident_bytes", "phase_bytes", "allocated_bytes", "reserved_bytes", "step_seconds", "tokens_per_second")
    return Measurement(
        trial=trial,
        environment=environment(trial, place, started),
        outcome=outcome,
        rank=rank,
        **{name: numbers[name] for name in kept if name in numbers},
        process_bytes=process,
        context_bytes=process - reserved if outcome == "measured" and process and reserved else None,
        watts=usage.watts,
        disturbed_bytes=usage.disturbed_bytes,
        message=printable(message),
    )


def classify(ending: Ending, said: Mapping[str, Message]) -> tuple[Outcome, str]:
    """How a process ended, and a sentence where it did not measure.

    Raises:
        Missing, NotModelled: it refused.
    """
    if "missing" in said:
        raise Missing(said["missing"]["message"])
    if "refused" in said:
        raise NotModelled(said["refused"]["message"])
    if "measured" in said:
        return "measured", ""
    last = next((line.strip() for line in reversed(ending.complaints) if line.strip()), "")[:MOST_MESSAGE]
    if "out_of_memory" in said:
        return "out_of_memory", f"Memory ran out: {said['out_of_memory']['message'][:MOST_MESSAGE]}"
    if ending.how == "timed_out":
        return "timed_out", ending.reason
    if ending.how == "stopped":
        return "stopped", ending.reason
    if "failed" in said:
        return "failed", f"The training code failed: {said['failed']['message'][:MOST_MESSAGE]}"
    if ending.ran_out_of_memory:
        return "out_of_memory", f"Memory ran out: {last}"
    if ending.signal == "SIGKILL":
        return "killed", "It was killed by the system (SIGKILL), most often because the memory of the computer ran out."
    if ending.signal:
        return "killed", f"It was ended by {ending.signal}."
    return "failed", f"It ended with exit code {ending.code}: {last or 'it said nothing'}"


def printable(text: str) -> str:
    """A text in one line without control characters, as files keep it."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def environment(trial: Trial, place: Place, started: Mapping[str, Any]) -> Environment:
    """Where it ran, as far as the worker came to say."""
    return Environment(
        backend=trial.backend,
        device=place.name or started.get("device") or platform.machine() or "unknown",
        total_bytes=started.get("total_bytes"),
        sm_count=started.get("sm_count"),
        compute_capability=started.get("compute_capability"),
        driver=place.driver,
        system=place.system,
        versions=started.get("versions") or installed(),
    )
