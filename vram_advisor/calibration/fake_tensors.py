"""Tensors without memory that pretend to lie on a GPU, for everything that a training step does with them (torch)."""

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch._subclasses.fake_tensor import FakeTensorMode

from vram_advisor.calibration import stand_ins
from vram_advisor.calibration.fake_attention import gpu_attention
from vram_advisor.calibration.gpu_rules import gpu_rules
from vram_advisor.domain.plan import Plan


@contextmanager
def fake_tensors(plan: Plan, device: str, of_gpu: bool = True) -> Iterator[None]:
    """Everything that is made here has shapes and types but no memory, and libraries take it for the work of a GPU.

    Args:
        plan: decides which libraries are met.
        device: cuda where ``fake_cuda`` has made it usable, cpu elsewhere.
        of_gpu: whether tensors that lie on the processor follow the rules and kernels of a GPU.
    """
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode())
        stack.enter_context(stand_ins.libraries())
        if of_gpu:
            stack.enter_context(gpu_attention())
        if of_gpu and device == "cpu":
            stack.enter_context(gpu_rules())
        if importlib.util.find_spec("bitsandbytes") is not None:
            from vram_advisor.calibration.fake_bitsandbytes import without_values

            stack.enter_context(without_values(device))
        if plan.loss == "trl_fused_head":
            stack.enter_context(stand_ins.fused_head())
        yield
