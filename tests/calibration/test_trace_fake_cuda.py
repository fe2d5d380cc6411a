"""Fake CUDA tensors on any machine: in a process of their own, since they change it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.trainers

PROGRAM = """
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from vram_advisor.calibration.fake_cuda import usable_device

device = usable_device()
with FakeTensorMode():
    x = torch.empty(4, 4, device=device, requires_grad=True)
    torch.nn.functional.silu(x @ x).sum().backward()
    assert x.grad.device.type == device
# Tensors with memory work as before.
y = torch.ones(2, requires_grad=True)
(y * 2).sum().backward()
assert y.grad.tolist() == [2.0, 2.0]
print(device)
"""
FAILED = """
import torch
from vram_advisor.calibration import fake_cuda

def dies():
    import ctypes
    ctypes.string_at(0)

assert fake_cuda._in_a_copy(dies) is None
y = torch.ones(2, requires_grad=True)
(y * 2).sum().backward()
print(y.grad.tolist())
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_gradient_of_a_pretended_device_can_be_taken() -> None:
    assert run(PROGRAM) in ("cuda", "cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only here a copy of the process tries first")
def test_a_trial_that_kills_its_copy_leaves_the_process_as_it_was() -> None:
    assert run(FAILED) == "[2.0, 2.0]"
