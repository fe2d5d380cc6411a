"""Traces of training steps by a worker that has no GPU."""

import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from vram_advisor.calibration.phases import PHASES
from vram_advisor.calibration.trace import trace, trace_many
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.trace import Trace
from vram_advisor.units.errors import AdvisorError, BadInput, NotModelled

SMALL: dict[str, object] = {
    "model_type": "llama", "vocab_size": 512, "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 10,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
MAMBA: dict[str, object] = {
    "model_type": "mamba2", "vocab_size": 512, "hidden_size": 64, "num_heads": 8, "head_dim": 16, "n_groups": 1,
    "state_size": 16, "num_hidden_layers": 9,
}  # fmt: skip
LORA = Workload(method="lora", sequence_length=64)
JOBS = {
    "llama": (SMALL, LORA, Plan()),
    "an architecture without a closed form": (
        MAMBA,
        LORA,
        Plan(target_modules=("in_proj",), gradient_checkpointing="none"),
    ),
    "an architecture of tomorrow": ({**SMALL, "model_type": "llama_of_tomorrow"}, LORA, Plan()),
    "heads that do not divide": ({**SMALL, "hidden_size": 130}, LORA, Plan()),
    "a recipe that does not run": (SMALL, LORA, Plan(recipe="unsloth")),
    "padded flash attention": (
        SMALL,
        Workload(method="lora", sequence_length=64, padding="padded"),
        Plan(attn_implementation="flash_attention_2"),
    ),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Trace | AdvisorError]:
    return dict(zip(JOBS, trace_many(list(JOBS.values())), strict=True))


@pytest.mark.trainers
def test_a_trace_has_every_phase_and_its_parts_add_up(answers: dict[str, Trace | AdvisorError]) -> None:
    made = answers["llama"]
    assert isinstance(made, Trace)
    assert [phase.phase for phase in made.phases] == list(PHASES)
    assert all(sum(phase.by_category.values()) == phase.allocated_bytes for phase in made.phases)
    assert made.depths == (3, 4)
    assert made.resident_bytes < made.peak.allocated_bytes
    assert {"torch", "transformers", "peft"} <= made.versions.keys()


@pytest.mark.trainers
def test_architectures_without_a_closed_form_are_traced(answers: dict[str, Trace | AdvisorError]) -> None:
    made = answers["an architecture without a closed form"]
    assert isinstance(made, Trace), made
    assert made.depths == (3, 4)


@pytest.mark.trainers
@pytest.mark.parametrize(
    ("job", "error", "words"),
    [
        ("an architecture of tomorrow", NotModelled, "has no code for llama_of_tomorrow"),
        ("a recipe that does not run", NotModelled, "--recipe unsloth does not run here"),
        ("padded flash attention", NotModelled, "Use --attn-implementation sdpa"),
        ("heads that do not divide", AdvisorError, "."),
    ],
)
def test_what_has_no_trace_says_why(
    answers: dict[str, Trace | AdvisorError], job: str, error: type[AdvisorError], words: str
) -> None:
    made = answers[job]
    assert isinstance(made, error)
    assert words in str(made)
    assert "\n" not in str(made)


@pytest.mark.trainers
def test_the_whole_model_tells_what_an_allocator_reserves() -> None:
    made = trace(SMALL, LORA, Plan(), full_depth=True)
    assert made.depths == (10,)
    assert made.reserved_bytes is not None
    assert made.reserved_bytes >= made.peak.allocated_bytes


@pytest.mark.trainers
def test_an_interrupt_leaves_no_process() -> None:
    program = f"from vram_advisor.calibration.trace import *\ntrace({SMALL!r}, Workload(method='lora'), Plan(), full_depth=True)"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    children: list[psutil.Process] = []
    while not children:
        time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_what_does_not_train_has_no_step() -> None:
    with pytest.raises(BadInput, match="use lora, qlora, dora or full"):
        trace(SMALL, Workload(), Plan())


def test_a_time_limit_is_said() -> None:
    with pytest.raises(AdvisorError, match="--time-limit gives it longer"):
        trace(SMALL, LORA, Plan(), seconds=0.2)


def test_it_can_be_stopped() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(AdvisorError, match="was stopped"):
        trace(SMALL, LORA, Plan(), stop=stop)
