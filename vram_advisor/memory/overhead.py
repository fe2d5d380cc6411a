"""Memory outside the tensors: CUDA context, libraries, workspaces."""

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan
from vram_advisor.units.bytes import GIB, MIB

TYPICAL_SM_COUNT = 96
"""Multiprocessors assumed where no card is named; the cards people fine-tune on have 28 to 170."""


def context_bytes(device: Device | None, coefficients: Coefficients) -> tuple[int, float]:
    """CUDA context and libraries of one process: mean and standard deviation [B].

    About 3.6 MiB per multiprocessor with lazy module loading (CUDA >= 11.7 on Linux).
    """
    count = device.sm_count if device is not None and device.sm_count else None
    mean = coefficients.context_base.value + coefficients.context_per_sm.value * (count or TYPICAL_SM_COUNT)
    sd = coefficients.context_base.sd if count else 150.0
    return int(mean * MIB), sd * MIB


def workspace_bytes(device: Device | None, coefficients: Coefficients, threads: int) -> int:
    """cuBLAS workspaces: one per thread that multiplies matrices (forward thread, autograd thread) [B]."""
    hopper = device is not None and (device.compute_capability or "").startswith("9.")
    each = coefficients.cublas_workspace_hopper if hopper else coefficients.cublas_workspace
    return threads * int(each.value)


def communication_bytes(plan: Plan) -> tuple[float, float]:
    """Buffers of NCCL in a process that shares work with others: mean and standard deviation [B].

    0.25 GiB where few channels are used (PCIe), 0.5 to 0.7 GB over NVLink (nccl issue 964); 4 MiB per channel and peer.
    """
    return (0.4 * GIB, 0.2 * GIB) if plan.num_gpus > 1 else (0.0, 0.0)
