"""Accelerate's YAML, as ``accelerate config`` writes it: how processes share the work, nothing of the training itself."""

from __future__ import annotations

from dataclasses import replace

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.keys import TRAINING, UNSET, Choice, Document, Key, Prepared, Program, Row, Settled, names

_STAGE = "deepspeed_config.zero_stage"
_OPTIMIZER = "deepspeed_config.offload_optimizer_device"
_PARAMETERS = "deepspeed_config.offload_param_device"
_VERSION = "fsdp_config.fsdp_version"
_RESHARD = "fsdp_config.fsdp_reshard_after_forward"
_OFFLOAD = "fsdp_config.fsdp_offload_params"


def _zero(stage: int, offload: str, optimizer: str, parameters: str) -> Row:
    written = ("DEEPSPEED", stage, optimizer, parameters, UNSET, None)
    return Row(written, (f"zero{stage}", offload))


SHARING: tuple[Row, ...] = (
    Row(("NO", None, "none", "none", UNSET, None), ("none", "none")),
    Row(("MULTI_GPU", None, "none", "none", UNSET, None), ("ddp", "none")),
    *(_zero(stage, "none", "none", "none") for stage in (1, 2, 3)),
    *(_zero(stage, "optimizer", "cpu", "none") for stage in (2, 3)),
    _zero(3, "parameters", "cpu", "cpu"),
    Row(("FSDP", None, "none", "none", True, None), ("fsdp_full", "none")),
    Row(("FSDP", None, "none", "none", False, None), ("fsdp_grad_op", "none")),
    Row(("FSDP", None, "none", "none", True, True), ("fsdp_full", "parameters")),
    Row(("FSDP", None, "none", "none", False, True), ("fsdp_grad_op", "parameters")),
    Row(("DEEPSPEED", 0, "none", "none", UNSET, None), ("ddp", "none")),
)
"""distributed_type, ZeRO stage, offload of optimizer and parameters, FSDP freeing weights after the forward pass, FSDP
offload; sharding, offload."""
FREES = {"FULL_SHARD": True, "SHARD_GRAD_OP": False, "HYBRID_SHARD": True, "1": True, "2": False}


def _prepare(document: Document) -> Prepared:
    values, origin = dict(document), {}
    if values.get("distributed_type") == "FSDP":
        strategy = values.get("fsdp_config.fsdp_sharding_strategy")
        reshard = values.get(_RESHARD)
        wanted = reshard if reshard is not None else strategy
        if wanted is None:
            values[_RESHARD] = True
        elif not isinstance(wanted, bool):
            values[_RESHARD] = FREES.get(str(wanted).upper(), wanted)
            if values[_RESHARD] in ("true", "True", "false", "False"):
                values[_RESHARD] = str(values[_RESHARD]).lower() == "true"
        if reshard is None and strategy is not None:
            origin[_RESHARD] = "fsdp_config.fsdp_sharding_strategy"
    return Prepared(values, origin)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = dict(document)
    kind = made["distributed_type"]
    if kind != "DEEPSPEED":
        made.pop(_OPTIMIZER, None)
        made.pop(_PARAMETERS, None)
    if kind == "FSDP":
        made |= {
            _VERSION: 2,
            _OFFLOAD: bool(made.get(_OFFLOAD)),
            "fsdp_config.fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_config.fsdp_state_dict_type": "SHARDED_STATE_DICT",
            "fsdp_config.fsdp_cpu_ram_efficient_loading": True,
        }
    if kind == "DEEPSPEED":
        made["deepspeed_config.zero3_init_flag"] = made[_STAGE] == 3
    return made


def settle(workload: Workload, plan: Plan) -> Settled:
    """Accelerate calls several processes that share nothing DDP, and one process none."""

    if plan.sharding == "none" and plan.num_gpus > 1:
        plan = replace(plan, sharding="ddp")
    elif plan.sharding == "ddp" and plan.num_gpus == 1:
        plan = replace(plan, sharding="none")
    return workload, plan


PROGRAM = Program(
    name="accelerate",
    title="Accelerate",
    source="accelerate 1.15: commands/config/config_args.py, cluster.py, utils/dataclasses.py",
    syntax="yaml",
    marks=names(
        """
        compute_environment distributed_type num_processes machine_rank main_training_function num_machines
        mixed_precision rdzv_backend same_network downcast_bf16
        """
    ),
    rows=(
        Key(key="num_processes", field="num_gpus", default=1),
        Choice(
            keys=("mixed_precision",),
            fields=("mixed_precision",),
            rows=(
                Row(("bf16",), ("bf16",)),
                Row(("fp16",), ("fp16",)),
                Row(("no",), ("none",)),
                Row((None,), (None,)),
            ),
        ),
        Choice(
            keys=("distributed_type", _STAGE, _OPTIMIZER, _PARAMETERS, _RESHARD, _OFFLOAD),
            fields=("sharding", "offload"),
            rows=SHARING,
            defaults={"distributed_type": "NO", _OPTIMIZER: "none", _PARAMETERS: "none", _RESHARD: UNSET},
        ),
        Key(
            key="fsdp_config.fsdp_activation_checkpointing",
            field="gradient_checkpointing",
            words=((True, "full"), (False, None)),
            methods=TRAINING,
            read_only=True,
        ),
        Key(key="deepspeed_config.gradient_accumulation_steps", field="gradient_accumulation_steps", read_only=True),
    ),
    auto=frozenset({"auto"}),
    irrelevant=names(
        """
        compute_environment debug machine_rank num_machines main_process_ip main_process_port main_training_function
        rdzv_backend same_network gpu_ids enable_cpu_affinity use_cpu tpu_name tpu_zone tpu_env tpu_use_cluster
        tpu_use_sudo commands command_file mpirun_config downcast_bf16 deepspeed_config.gradient_clipping
        deepspeed_config.zero3_init_flag deepspeed_config.zero3_save_16bit_model
        deepspeed_config.deepspeed_multinode_launcher deepspeed_config.deepspeed_hostfile fsdp_config.fsdp_version
        fsdp_config.fsdp_auto_wrap_policy fsdp_config.fsdp_backward_prefetch fsdp_config.fsdp_state_dict_type
        fsdp_config.fsdp_transformer_layer_cls_to_wrap fsdp_config.fsdp_min_num_params
        fsdp_config.fsdp_use_orig_params fsdp_config.fsdp_sync_module_states
        fsdp_config.fsdp_cpu_ram_efficient_loading fsdp_config.fsdp_forward_prefetch
        fsdp_config.fsdp_sharding_strategy
        """
    ),
    not_modelled=frozenset(
        [
            "dynamo_config",
            "fp8_config",
            "megatron_lm_config",
            "parallelism_config",
            "fsdp_config.fsdp_activation_checkpointing_offload",
            "deepspeed_config.deepspeed_moe_layer_cls_names",
        ]
    ),
    refused={
        "deepspeed_config.deepspeed_config_file": "its content decides: give that JSON file itself",
        "megatron_lm_config": "Megatron-LM is not modelled",
    },
    prepare=_prepare,
    finish=_finish,
    settle=settle,
    constants={"compute_environment": "LOCAL_MACHINE", "machine_rank": 0, "num_machines": 1, "use_cpu": False},
    head=lambda workload, plan: ("accelerate launch --config_file FILE train.py",),
    elsewhere={"sequence_length": "the training script", "micro_batch_size": "the training script"},
)
