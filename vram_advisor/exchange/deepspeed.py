"""DeepSpeed's JSON, on its own and inside the files of trainers."""

from __future__ import annotations

from pathlib import PurePosixPath

from vram_advisor.exchange.keys import (
    TRAINING,
    Choice,
    Document,
    Key,
    Prepared,
    Program,
    Row,
    as_it_is,
    names,
    same,
)
from vram_advisor.units.errors import NotModelled

STAGE = "zero_optimization.stage"
OPTIMIZER = "zero_optimization.offload_optimizer.device"
PARAMETERS = "zero_optimization.offload_param.device"
KEYS = (STAGE, OPTIMIZER, PARAMETERS)
ZERO: tuple[Row, ...] = (
    Row((1, None, None), ("zero1", "none")),
    Row((2, None, None), ("zero2", "none")),
    Row((3, None, None), ("zero3", "none")),
    Row((1, "cpu", None), ("zero1", "optimizer")),
    Row((2, "cpu", None), ("zero2", "optimizer")),
    Row((3, "cpu", None), ("zero3", "optimizer")),
    Row((3, "cpu", "cpu"), ("zero3", "parameters")),
)
"""Values of the three keys, and sharding and offload that they mean."""
_PINNING = "pin_memory buffer_count buffer_size fast_init pipeline_read pipeline_write ratio max_in_cpu nvme_path"
IRRELEVANT = names(
    """
    steps_per_print wall_clock_breakdown optimizer.params scheduler gradient_clipping tensorboard wandb csv_monitor
    comet comms_logger flops_profiler dump_state zero_allow_untested_optimizer zero_force_ds_cpu_optimizer
    train_batch_size communication_data_type gradient_predivide_factor data_types prescale_gradients sparse_gradients
    seed checkpoint data_efficiency elasticity fp16.loss_scale fp16.loss_scale_window fp16.initial_scale_power
    fp16.hysteresis fp16.min_loss_scale fp16.auto_cast fp16.consecutive_hysteresis memory_breakdown
    """
)
IRRELEVANT |= names(
    """
    overlap_comm contiguous_gradients sub_group_size round_robin_gradients allgather_partitions reduce_scatter
    stage3_gather_16bit_weights_on_model_save gather_16bit_weights_on_model_save stage3_gather_fp16_weights_on_model_save
    ignore_unused_parameters load_from_fp32_weights elastic_checkpoint stage3_param_persistence_threshold
    stage3_model_persistence_threshold
    """,
    below="zero_optimization.",
)
IRRELEVANT |= names(_PINNING, below="zero_optimization.offload_optimizer.")
IRRELEVANT |= names(_PINNING, below="zero_optimization.offload_param.")
NOT_MODELLED = names("activation_checkpointing compression_training tensor_parallel hybrid_engine amp optimizer.type")
NOT_MODELLED |= names(
    """
    reduce_bucket_size allgather_bucket_size stage3_prefetch_bucket_size stage3_max_live_parameters
    stage3_max_reuse_distance zero_hpz_partition_size zero_quantized_weights zero_quantized_gradients mics_shard_size
    use_multi_rank_bucket_allreduce
    """,
    below="zero_optimization.",
)
FILES: dict[str, tuple[int, str | None, str | None]] = {
    "zero1.json": (1, None, None), "zero1_torch_compile.json": (1, None, None), "zero2.json": (2, None, None),
    "zero2_torch_compile.json": (2, None, None), "zero3.json": (3, None, None), "zero3_bf16.json": (3, None, None),
    "zero3_bf16_cpuoffload_all.json": (3, "cpu", "cpu"), "ds_z0_config.json": (0, None, None),
    "ds_z2_config.json": (2, None, None), "ds_z2_offload_config.json": (2, "cpu", None),
    "ds_z3_config.json": (3, None, None), "ds_z3_offload_config.json": (3, "cpu", "cpu"),
}  # fmt: skip
"""Files that Axolotl (deepspeed_configs) and LLaMA-Factory (examples/deepspeed) come with, by what they set."""


def inside(prefix: str, rows: tuple[Row, ...]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Keys and rows for a file that holds DeepSpeed's under a prefix."""
    return tuple(f"{prefix}{key}" for key in KEYS), rows


def below(prefix: str, names: frozenset[str]) -> frozenset[str]:
    """Names of keys under a prefix."""
    return frozenset(f"{prefix}{name}" for name in names)


def named_file(document: Document, key: str = "deepspeed") -> Prepared:
    """A document in which the name of one of the known files has become what it sets.

    Raises:
        NotModelled: a file of another name, which says nothing here.
    """
    values = without_none(document, f"{key}.")
    name = values.get(key)
    if not isinstance(name, str) or not name.strip():
        return Prepared(values)
    file = PurePosixPath(name.strip().replace("\\", "/")).name
    if file not in FILES:
        raise NotModelled(
            f"{key}: {name[:60]} is a file of its own: put it beside this one, write its content in place of its name, or name one of "
            f"{', '.join(FILES)}."
        )
    made = {f"{key}.{part}": value for part, value in zip(KEYS, FILES[file], strict=True) if value is not None}
    if FILES[file][0] == 0:
        made = {}
    return Prepared({**values, **made}, dict.fromkeys(made, key))


def without_none(document: Document, prefix: str = "") -> Document:
    """A document without offload to nowhere and without stage 0."""
    none = {f"{prefix}{OPTIMIZER}", f"{prefix}{PARAMETERS}"}
    return {
        key: value
        for key, value in document.items()
        if not (key in none and value == "none") and not (key == f"{prefix}{STAGE}" and value in (0, "0"))
    }


def _prepared(document: Document) -> Prepared:
    prepared = as_it_is(without_none(document))
    if document.get(PARAMETERS) not in (None, "none") and document.get(OPTIMIZER) in (None, "none"):
        # Parameters in system memory take their optimizer states with them (runtime/zero/stage3.py).
        return Prepared({**prepared.values, OPTIMIZER: document[PARAMETERS]}, {OPTIMIZER: PARAMETERS})
    return prepared


PROGRAM = Program(
    name="deepspeed",
    title="DeepSpeed",
    source="deepspeed 0.19: runtime/config.py, runtime/zero/config.py, runtime/zero/offload_config.py",
    syntax="json",
    marks=frozenset(
        {"zero_optimization", "train_micro_batch_size_per_gpu", "train_batch_size", "zero_allow_untested_optimizer"}
    ),
    rows=(
        Key(key="train_micro_batch_size_per_gpu", field="micro_batch_size", methods=TRAINING),
        Key(key="gradient_accumulation_steps", field="gradient_accumulation_steps", methods=TRAINING),
        Choice(
            keys=("bf16.enabled", "fp16.enabled"),
            fields=("mixed_precision",),
            rows=(Row((True, None), ("bf16",)), Row((None, True), ("fp16",)), Row((None, None), (None,))),
        ),
        Choice(keys=KEYS, fields=("sharding", "offload"), rows=(*ZERO, Row((None, None, None), ("ddp", "none")))),
    ),
    auto=frozenset({"auto"}),
    irrelevant=IRRELEVANT,
    not_modelled=NOT_MODELLED,
    prepare=_prepared,
    settle=same,
    constants={},
    elsewhere={
        "num_gpus": "deepspeed --num_gpus or accelerate launch --num_processes",
        "sequence_length": "the training script",
    },
)
