"""Traces of training steps: the real training code on tensors without memory, run in a process of its own.

Neither torch nor a GPU is needed here; the worker needs torch, transformers and PEFT, but no GPU either.
"""

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from vram_advisor.calibration.place import Place
from vram_advisor.calibration.supervisor import Ending, Limits, supervise
from vram_advisor.calibration.trial_run import variables
from vram_advisor.calibration.versions import require
from vram_advisor.calibration.worker_process import Message
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trace import Trace, TracedPhase
from vram_advisor.domain.trial import Trial
from vram_advisor.memory.setup import resolved
from vram_advisor.units.errors import AdvisorError, BadInput, Missing, NotModelled

Answer = TypeVar("Answer")
SECONDS = 600.0
"""How long a trace may take where nothing else is said [s]."""
REFUSALS = {error.__name__: error for error in (NotModelled, Missing, BadInput)}
"""Refusals of the worker that are raised again here."""


def trace(
    config: Mapping[str, object],
    workload: Workload,
    plan: Plan,
    *,
    full_depth: bool = False,
    seconds: float = SECONDS,
    device: str | None = None,
    stop: threading.Event | None = None,
) -> Trace:
    """What one training step of a model allocates.

    Args:
        config: ``config.json`` of the model, of any architecture that transformers has code for.
        workload: a fine-tune.
        plan: choices that it leaves open are made as its recipe makes them.
        full_depth: run every layer and simulate the caching allocator, instead of following from two small depths.
        seconds: after which the worker is ended [s].
        device: cuda or cpu, what the tensors pretend to lie on; None: cuda where this torch can do that.
        stop: set by another thread to end the worker.

    Raises:
        NotModelled: transformers has no code for the model, or the step does not run here.
        BadInput: configuration, workload and plan contradict each other.
        Missing: torch, transformers or PEFT is not installed.
        AdvisorError: the worker failed, ran out of memory or time.
    """
    (made,) = trace_many([(config, workload, plan)], full_depth=full_depth, seconds=seconds, device=device, stop=stop)
    if isinstance(made, AdvisorError):
        raise made
    return made


def trace_many(
    jobs: Sequence[tuple[Mapping[str, object], Workload, Plan]],
    *,
    full_depth: bool = False,
    seconds: float = SECONDS,
    device: str | None = None,
    stop: threading.Event | None = None,
    done: Callable[[int], None] = lambda job: None,
) -> list[Trace | AdvisorError]:
    """Several steps traced one by one by one worker, each with what came of it; arguments as of ``trace``.

    Args:
        jobs: configuration, workload and plan of each.
        seconds: for all of them together [s].
        done: called with the number of each job that is done.

    Raises:
        BadInput: a workload or plan contradicts itself.
        Missing: torch, transformers or PEFT is not installed.
    """
    trials = [_trial(*job) for job in jobs]
    return ask_worker(
        trials, "trace", _trace, seconds=seconds, stop=stop, done=done, full_depth=full_depth, device=device
    )


def ask_worker(
    trials: Sequence[Trial],
    what: Literal["trace", "simulate"],
    read: Callable[[Message], Answer],
    *,
    seconds: float,
    stop: threading.Event | None = None,
    done: Callable[[int], None] = lambda job: None,
    full_depth: bool = False,
    device: str | None = None,
) -> list[Answer | AdvisorError]:
    """What the worker answers about each trial, or why it does not.

    Args:
        trials: with every choice of their plans made.
        what: is asked about each.
        read: the answer of a message.
        seconds: for all of them together [s].
        stop: set by another thread to end it.
        done: called with the number of each trial that is answered.
        full_depth, device: of a trace.

    Raises:
        Missing: torch, transformers or PEFT is not installed.
    """
    require("A trace")
    if not trials:
        return []
    made: dict[int, Answer | AdvisorError] = {}

    def hear(message: Message) -> None:
        if message["event"] == "answer":
            made[message["job"]] = read(message) if message["outcome"] == "done" else _refusal(message)
            done(message["job"])

    ask = {"what": what, "trials": [asdict(t) for t in trials], "full_depth": full_depth, "device": device}
    ending = supervise(
        [sys.executable, "-m", "vram_advisor.calibration.trace_worker"],
        json.dumps(ask),
        Limits(seconds, seconds),
        hear,
        environment=variables(trials[0], Place("fake")),
        stop=stop,
    )
    return [made[job] if job in made else AdvisorError(_why(ending)) for job in range(len(trials))]


def _trial(config: Mapping[str, object], workload: Workload, plan: Plan) -> Trial:
    if not workload.trains:
        raise BadInput(
            f"--method {workload.method} does not train, so there is no step to trace: use lora, qlora, dora or full."
        )
    plan = resolved(workload, plan, recipe(plan.recipe))
    return Trial(config=dict(config), workload=workload, plan=plan, backend="fake")


def _trace(message: Message) -> Trace:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in message["trace"].items()}
    return Trace(**{**values, "phases": tuple(TracedPhase(**phase) for phase in values["phases"])})


def _refusal(message: Message) -> AdvisorError:
    if message["outcome"] == "refused":
        return REFUSALS.get(message["kind"], AdvisorError)(message["message"])
    return AdvisorError(f"The training code failed on tensors without memory: {message['message']}")


def _why(ending: Ending) -> str:
    """Why there is no trace."""
    if ending.how == "timed_out":
        return f"The trace was not finished: {ending.reason} A shorter sequence does not help; --time-limit gives it longer."
    if ending.how == "stopped":
        return "The trace was stopped."
    if ending.signal == "SIGKILL" or (ending.ran_out_of_memory and not ending.signal):
        return "The trace was not finished: the memory of the computer ran out; it needs about 1 GiB."
    if ending.signal:
        return f"The trace was not finished: its process was ended by {ending.signal}."
    said = next((line.strip() for line in reversed(ending.complaints) if line.strip()), "it said nothing")
    return f"The trace was not finished: its process ended with exit code {ending.code}: {said[:300]}"
