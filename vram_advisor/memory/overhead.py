"""Memory outside the tensors: CUDA context, libraries, workspaces."""

from vram_advisor.domain.coefficients import NOMINAL, Coefficient, Coefficients, narrowed
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan
from vram_advisor.units.bytes import GIB, MIB

TYPICAL_SM_COUNT = 96
"""Multiprocessors assumed where no card is named; the cards people fine-tune on have 28 to 170."""
UNKNOWN_CARD_SD = 150.0
"""Standard deviation of the context where the number of multiprocessors is not known [MiB]."""
CONTEXT_RESIDUAL = 20.0
"""What stays of it where the context was measured [MiB]: runs of one stack on one card differ by which libraries and
streams they use; 660,602,880 B in eight of eight resident runs on an RTX 5090, 68 MiB more with extra streams."""


def context_bytes(device: Device | None, coefficients: Coefficients) -> tuple[int, float]:
    """CUDA context and libraries of one process: mean and standard deviation [B].

    About 3.6 MiB per multiprocessor with lazy module loading (CUDA >= 11.7 on Linux).
    """
    count = device.sm_count if device is not None and device.sm_count else None
    mean = coefficients.context_base.value + coefficients.context_per_sm.value * (count or TYPICAL_SM_COUNT)
    base = coefficients.context_base
    sd = base.sd if count else UNKNOWN_CARD_SD
    if "context_base" in coefficients.learnt:
        sd = narrowed(NOMINAL.context_base.sd, CONTEXT_RESIDUAL, base.sd, base.value - NOMINAL.context_base.value)
    return int(mean * MIB), sd * MIB


def workspace_bytes(device: Device | None, coefficients: Coefficients, threads: int) -> int:
    """cuBLAS workspaces: one per thread that multiplies matrices (forward thread, autograd thread) [B]."""
    return threads * int(getattr(coefficients, workspace_name(device)).value)


def workspace_sd(device: Device | None, coefficients: Coefficients, threads: int) -> float:
    """Their standard deviation where they were measured [B]; published runs hold as many bytes as the source says."""
    name = workspace_name(device)
    found: Coefficient = getattr(coefficients, name)
    return threads * found.sd if name in coefficients.learnt else 0.0


def workspace_name(device: Device | None) -> str:
    """The coefficient that holds for a card."""
    hopper = device is not None and (device.compute_capability or "").startswith("9.")
    return "cublas_workspace_hopper" if hopper else "cublas_workspace"


def communication_bytes(plan: Plan) -> tuple[float, float]:
    """Buffers of NCCL in a process that shares work with others: mean and standard deviation [B].

    0.25 GiB where few channels are used (PCIe), 0.5 to 0.7 GB over NVLink (nccl issue 964); 4 MiB per channel and peer.
    """
    return (0.4 * GIB, 0.2 * GIB) if plan.num_gpus > 1 else (0.0, 0.0)
