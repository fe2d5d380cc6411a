"""A card one could have, and the devices of this machine as they are now."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuSpec:
    """One card of the catalogue. Missing is None."""

    id: str
    name: str
    vendor: str
    """NVIDIA, AMD, Intel or Apple."""
    architecture: str
    form: str
    vram_bytes: int
    """Nominal memory of the card [B]; of the whole system where it is unified."""
    vram_reported_bytes: int | None = None
    """Total as NVML or nvidia-smi reports it [B]."""
    vram_reported_source: str | None = None
    """Where that total was seen; says so when it is derived from siblings or recalled."""
    unified: bool = False
    """The GPU shares the memory of the system."""
    devices: int = 1
    """Devices that the driver shows for one card, each with its share of the memory (2 for MI250)."""
    memory_type: str | None = None
    compute_capability: str | None = None
    sm_count: int | None = None
    sm_source: str | None = None
    gfx: str | None = None
    """AMD's name of the instruction set."""
    bandwidth_gb_per_s: float | None = None
    """The vendor's figure [10^9 B/s]."""
    bandwidth_other: str | None = None
    """What another source says, or that the figure is recalled."""
    fp32_tflops: float | None = None
    fp16_tflops: float | None = None
    """Dense matrix rate with fp32 accumulation [10^12 FLOP/s]."""
    int8_tops: float | None = None
    fp8_tflops: float | None = None
    fp4_tflops: float | None = None
    tensor_basis: str | None = None
    """How the matrix rates were obtained."""
    bf16: bool = False
    fp8: bool = False
    fp4: bool = False
    flash_attention_2: str = "no"
    """yes, no or partial."""
    pcie: str | None = None
    tdp_w: float | None = None
    launch_date: str | None = None
    """Date, or year where the day is not known."""
    msrp_usd: float | None = None
    msrp_source: str | None = None
    sources: tuple[str, ...] = ()
    checked: str | None = None
    """Date on which the figures were checked."""
    notes: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GpuRow:
    """One line of the list of cards: what can be read without parsing a whole record."""

    id: str
    name: str
    vendor: str
    form: str
    vram_bytes: int | None
    """Nominal memory [B]; None where the GPU takes its share of whatever memory the computer has."""
    reported_bytes: int | None
    """Total as the driver reports it [B]."""
    launch_date: str | None
    unified: bool = False
    """The GPU gets a share of that memory only."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of a GPU."""

    pid: int
    name: str | None
    used_bytes: int | None
    """None where the driver does not say (WDDM, WSL)."""


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    """One GPU of this machine at one moment, or a card that is not in it."""

    index: int
    name: str
    vendor: str
    total_bytes: int
    free_bytes: int | None
    used_bytes: int | None = None
    reserved_bytes: int | None = None
    """Held by driver and firmware and in neither free nor used [B]; None where NVML does not separate it."""
    shared_bytes: int | None = None
    """System memory that the driver lets the GPU map on top of its own [B] (GTT of amdgpu)."""
    shared_used_bytes: int | None = None
    uuid: str | None = None
    spec: GpuSpec | None = None
    """The catalogue's card, where name and total identify it."""
    driver: str | None = None
    compute_capability: str | None = None
    sm_count: int | None = None
    pcie: str | None = None
    unified: bool = False
    mig: bool = False
    display: bool | None = None
    utilisation_percent: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    processes: tuple[GpuProcess, ...] = ()
    source: str = "nvml"
    """nvml, sysfs, psutil (unified memory) or catalogue."""
    notes: tuple[str, ...] = ()
    """What could not be read, each as a line for a person."""


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """Processor, memory and operating system."""

    system: str
    """linux, windows, darwin or wsl."""
    cpu: str | None
    logical_cpus: int | None
    ram_total_bytes: int | None
    ram_available_bytes: int | None
    swap_total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What ``detect`` found. Nothing found is an ordinary value with a line that says why."""

    host: HostSnapshot
    gpus: tuple[GpuSnapshot, ...] = ()
    driver: str | None = None
    cuda_driver: str | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Device:
    """The memory that the verdict is measured against: ``count`` equal GPUs, figures of one."""

    name: str
    count: int
    source: str
    """detected or catalogue."""
    total_bytes: int
    free_bytes: int
    sm_count: int | None = None
    compute_capability: str | None = None
    system: str = "linux"
    spec: GpuSpec | None = None
    unified: bool = False
    processes: tuple[GpuProcess, ...] = ()
    free_sd_bytes: int = 0
    """Standard deviation of free_bytes [B]; 0 where it was read from the card."""
    driver: str | None = None
