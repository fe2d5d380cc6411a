"""One ``[[gpu]]`` of ``gpus.toml``, checked field by field."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.units.bytes import GIB, MIB
from vram_advisor.units.record import check

POSITIVE = {"exclusiveMinimum": 0}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GpuRecord:
    """A card or a chip with its memory sizes; absent is not known. The head of the file explains every field."""

    id: str
    aliases: tuple[str, ...]
    reported_names: tuple[str, ...]
    name: str
    vendor: Literal["NVIDIA", "AMD", "Intel", "Apple"]
    form: Literal["desktop", "laptop", "workstation", "datacentre", "embedded", "desktop-soc", "soc", "apu", "igpu"]
    vram_gib: int | None = field(default=None, metadata=POSITIVE)
    vram_gib_options: tuple[int, ...] = ()
    vram_reported_mib: int | None = field(default=None, metadata=POSITIVE)
    launch: str
    unified: bool
    devices: int = field(default=1, metadata=POSITIVE)
    vram_reported_source: str | None = None
    family: str
    architecture: str
    memory_type: str
    memory_bus_bits: int | None = field(default=None, metadata=POSITIVE)
    bandwidth_gb_per_s: float = field(metadata=POSITIVE)
    bandwidth_other: str | None = None
    compute_capability: str | None = None
    sm_count: int | None = field(default=None, metadata=POSITIVE)
    sm_source: str | None = None
    gfx: str | None = None
    fp32_tflops: float | None = field(default=None, metadata=POSITIVE)
    fp16_tflops: float | None = field(default=None, metadata=POSITIVE)
    fp16_tflops_fp16_accumulate: float | None = field(default=None, metadata=POSITIVE)
    int8_tops: float | None = field(default=None, metadata=POSITIVE)
    fp8_tflops: float | None = field(default=None, metadata=POSITIVE)
    fp4_tflops: float | None = field(default=None, metadata=POSITIVE)
    tensor_basis: str | None = None
    bf16: bool
    fp8: bool
    fp4: bool
    flash_attention_2: Literal["yes", "no", "partial"]
    flash_attention_2_note: str | None = None
    pcie: str | None = None
    tdp_w: float | None = field(default=None, metadata=POSITIVE)
    msrp_usd: float | None = field(default=None, metadata=POSITIVE)
    msrp_source: str | None = None
    hf_tasks_tflops: float | None = field(default=None, metadata=POSITIVE)
    sources: tuple[str, ...]
    notes: str | None = None
    checked: date

    def __post_init__(self) -> None:
        check(self)
        if self.vram_gib is not None and self.vram_gib_options:
            raise ValueError("give vram_gib or vram_gib_options, not both")
        if self.vram_gib is None and not self.unified:
            raise ValueError("a card with memory of its own needs vram_gib")
        if self.vram_reported_mib is not None and self.vram_reported_source is None:
            raise ValueError("vram_reported_mib needs vram_reported_source")
        if (self.msrp_usd is None) != (self.msrp_source is None):
            raise ValueError("msrp_usd and msrp_source go together")

    def spec(self, size_bytes: int | None = None) -> GpuSpec:
        """The card as a value.

        Args:
            size_bytes: memory [B] of a chip that has several sizes, or takes its memory from the computer; it becomes
                a part of id and name.
        """
        suffix_id = suffix_name = ""
        if self.vram_gib is not None:
            vram_bytes = self.vram_gib * GIB
        elif size_bytes is None:
            raise ValueError(f"{self.id} needs a memory size")
        else:
            vram_bytes = size_bytes
            suffix_id, suffix_name = f"-{size_bytes // GIB}gb", f" {size_bytes // GIB} GB"
        return GpuSpec(
            id=self.id + suffix_id,
            name=self.name + suffix_name,
            vendor=self.vendor,
            architecture=self.architecture,
            form=self.form,
            vram_bytes=vram_bytes,
            vram_reported_bytes=None if self.vram_reported_mib is None else self.vram_reported_mib * MIB,
            vram_reported_source=self.vram_reported_source,
            unified=self.unified,
            devices=self.devices,
            memory_type=self.memory_type,
            compute_capability=self.compute_capability,
            sm_count=self.sm_count,
            sm_source=self.sm_source,
            gfx=self.gfx,
            bandwidth_gb_per_s=self.bandwidth_gb_per_s,
            bandwidth_other=self.bandwidth_other,
            fp32_tflops=self.fp32_tflops,
            fp16_tflops=self.fp16_tflops,
            int8_tops=self.int8_tops,
            fp8_tflops=self.fp8_tflops,
            fp4_tflops=self.fp4_tflops,
            tensor_basis=self.tensor_basis,
            bf16=self.bf16,
            fp8=self.fp8,
            fp4=self.fp4,
            flash_attention_2=self.flash_attention_2,
            pcie=self.pcie,
            tdp_w=self.tdp_w,
            launch_date=self.launch,
            msrp_usd=self.msrp_usd,
            msrp_source=self.msrp_source,
            sources=self.sources,
            checked=self.checked.isoformat(),
            notes=self.notes,
        )
