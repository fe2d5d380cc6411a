"""One ``[[gpu]]`` of ``gpus.toml``, checked field by field."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.units.bytes import GIB, MIB
from vram_advisor.units.record import Record

Text = Annotated[str, Field(min_length=1)]
Launch = Annotated[str, Field(pattern=r"^20\d\d(-\d\d-\d\d)?$")]


class GpuRecord(Record):
    """A card or a chip with its memory sizes; absent is not known. The head of the file explains every field."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    aliases: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")], ...]
    reported_names: tuple[Text, ...]
    name: Text
    vendor: Literal["NVIDIA", "AMD", "Intel", "Apple"]
    form: Literal["desktop", "laptop", "workstation", "datacentre", "embedded", "desktop-soc", "soc", "apu", "igpu"]
    vram_gib: PositiveInt | None = None
    vram_gib_options: tuple[PositiveInt, ...] = ()
    vram_reported_mib: PositiveInt | None = None
    launch: Launch
    unified: bool
    devices: PositiveInt = 1
    vram_reported_source: Text | None = None
    family: Text
    architecture: Text
    memory_type: Text
    memory_bus_bits: PositiveInt | None = None
    bandwidth_gb_per_s: PositiveFloat
    bandwidth_other: Text | None = None
    compute_capability: Annotated[str, Field(pattern=r"^\d+\.\d$")] | None = None
    sm_count: PositiveInt | None = None
    sm_source: Text | None = None
    gfx: Text | None = None
    fp32_tflops: PositiveFloat | None = None
    fp16_tflops: PositiveFloat | None = None
    fp16_tflops_fp16_accumulate: PositiveFloat | None = None
    int8_tops: PositiveFloat | None = None
    fp8_tflops: PositiveFloat | None = None
    fp4_tflops: PositiveFloat | None = None
    tensor_basis: Text | None = None
    bf16: bool
    fp8: bool
    fp4: bool
    flash_attention_2: Literal["yes", "no", "partial"]
    flash_attention_2_note: Text | None = None
    pcie: Text | None = None
    tdp_w: PositiveFloat | None = None
    msrp_usd: PositiveFloat | None = None
    msrp_source: Text | None = None
    hf_tasks_tflops: PositiveFloat | None = None
    sources: Annotated[tuple[Text, ...], Field(min_length=1)]
    notes: Text | None = None
    checked: date

    @model_validator(mode="after")
    def _memory_is_said_once(self) -> Self:
        if self.vram_gib is not None and self.vram_gib_options:
            raise ValueError("give vram_gib or vram_gib_options, not both")
        if self.vram_gib is None and not self.unified:
            raise ValueError("a card with memory of its own needs vram_gib")
        if self.vram_reported_mib is not None and self.vram_reported_source is None:
            raise ValueError("vram_reported_mib needs vram_reported_source")
        if (self.msrp_usd is None) != (self.msrp_source is None):
            raise ValueError("msrp_usd and msrp_source go together")
        return self

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
