"""torchtune's YAML: components by the path of their class, and their arguments below them."""

from __future__ import annotations

import re

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.keys import (
    ADAPTERS,
    TRAINING,
    UNSET,
    Choice,
    Document,
    Key,
    Prepared,
    Program,
    Row,
    Switch,
    Switches,
    names,
)
from vram_advisor.exchange.references import referred, resolved
from vram_advisor.units.errors import BadInput

BUILDERS: tuple[tuple[str, str], ...] = (
    ("meta-llama/Llama-3.1-8B", "llama3_1.{}llama3_1_8b"),
    ("meta-llama/Llama-3.1-70B", "llama3_1.{}llama3_1_70b"),
    ("meta-llama/Llama-3.1-405B", "llama3_1.{}llama3_1_405b"),
    ("meta-llama/Llama-3.2-1B", "llama3_2.{}llama3_2_1b"),
    ("meta-llama/Llama-3.2-3B", "llama3_2.{}llama3_2_3b"),
    ("meta-llama/Llama-3.3-70B-Instruct", "llama3_3.{}llama3_3_70b"),
    ("meta-llama/Meta-Llama-3-8B", "llama3.{}llama3_8b"),
    ("meta-llama/Meta-Llama-3-70B", "llama3.{}llama3_70b"),
    ("meta-llama/Llama-2-7b-hf", "llama2.{}llama2_7b"),
    ("meta-llama/Llama-2-13b-hf", "llama2.{}llama2_13b"),
    ("meta-llama/Llama-2-70b-hf", "llama2.{}llama2_70b"),
    ("codellama/CodeLlama-7b-hf", "code_llama2.{}code_llama2_7b"),
    ("codellama/CodeLlama-13b-hf", "code_llama2.{}code_llama2_13b"),
    ("mistralai/Mistral-7B-v0.1", "mistral.{}mistral_7b"),
    ("google/gemma-2b", "gemma.{}gemma_2b"),
    ("google/gemma-7b", "gemma.{}gemma_7b"),
    ("google/gemma-2-2b", "gemma2.{}gemma2_2b"),
    ("google/gemma-2-9b", "gemma2.{}gemma2_9b"),
    ("google/gemma-2-27b", "gemma2.{}gemma2_27b"),
    ("microsoft/Phi-3-mini-4k-instruct", "phi3.{}phi3_mini"),
    ("microsoft/phi-4", "phi4.{}phi4_14b"),
    ("Qwen/Qwen2-0.5B", "qwen2.{}qwen2_0_5b"),
    ("Qwen/Qwen2-1.5B", "qwen2.{}qwen2_1_5b"),
    ("Qwen/Qwen2-7B", "qwen2.{}qwen2_7b"),
    ("Qwen/Qwen2.5-0.5B", "qwen2_5.{}qwen2_5_0_5b"),
    ("Qwen/Qwen2.5-1.5B", "qwen2_5.{}qwen2_5_1_5b_base"),
    ("Qwen/Qwen2.5-3B", "qwen2_5.{}qwen2_5_3b"),
    ("Qwen/Qwen2.5-7B", "qwen2_5.{}qwen2_5_7b_base"),
    ("Qwen/Qwen2.5-14B", "qwen2_5.{}qwen2_5_14b_base"),
    ("Qwen/Qwen2.5-32B", "qwen2_5.{}qwen2_5_32b_base"),
    ("Qwen/Qwen2.5-72B", "qwen2_5.{}qwen2_5_72b_base"),
    ("Qwen/Qwen2.5-1.5B-Instruct", "qwen2_5.{}qwen2_5_1_5b_instruct"),
    ("Qwen/Qwen2.5-7B-Instruct", "qwen2_5.{}qwen2_5_7b_instruct"),
    ("Qwen/Qwen2.5-14B-Instruct", "qwen2_5.{}qwen2_5_14b_instruct"),
    ("Qwen/Qwen2.5-32B-Instruct", "qwen2_5.{}qwen2_5_32b_instruct"),
    ("Qwen/Qwen2.5-72B-Instruct", "qwen2_5.{}qwen2_5_72b_instruct"),
)
"""Models and their builders in torchtune.models; a builder of all sizes of one architecture serves its fine-tunes too."""
UNQUANTISED = frozenset({"qwen2", "qwen2_5"})
"""Families without a builder for an NF4 base."""
PLAIN_OUTPUT = ("gemma.", "gemma2.", "qwen2.{}qwen2_0_5b", "qwen2.{}qwen2_1_5b")
"""Beginnings of builders without an adapter on the output layer, which is the embedding there."""
COMPONENT = "model._component_"


def _family(builder: str) -> str:
    return builder.partition(".")[0]


def _model_rows() -> tuple[Row, ...]:
    """Builder, use_dora, quantize_base; model, method, storage."""
    rows: list[Row] = []
    for model, builder in BUILDERS:
        path = f"torchtune.models.{builder}"
        rows.append(Row((path.format(""), None, None), (model, "full", None)))
        for name, base in (("lora", None), ("qlora", "nf4_double")):
            if base and _family(builder) in UNQUANTISED:
                continue
            for dora in (None,) if "405b" in builder else (None, True):
                rows.append(Row((path.format(f"{name}_"), dora, None), (model, "dora" if dora else name, base)))
        for dora in (None,) if "405b" in builder else (None, True):
            method = "dora" if dora else "qlora"
            rows.append(Row((path.format("lora_"), dora, True), (model, method, "nf4_double")))
    return tuple(rows)


def _stored_rows() -> tuple[Row, ...]:
    """As ``_model_rows`` with dtype: what is not quantised is stored in it."""
    made = []
    for row in _model_rows():
        for wrote, dtype in (("bf16", "bf16"), ("fp32", "fp32")):
            model, method, base = row.meant
            made.append(Row((*row.written, wrote), (model, method, base or dtype, dtype)))
    return tuple(made)


OPTIMIZERS: tuple[Row, ...] = (
    Row(("torch.optim.AdamW", True, False), ("adamw_torch_fused",)),
    Row(("torch.optim.AdamW", UNSET, False), ("adamw_torch",)),
    Row(("bitsandbytes.optim.PagedAdamW8bit", UNSET, False), ("paged_adamw_8bit",)),
    Row(("bitsandbytes.optim.PagedAdamW", UNSET, False), ("paged_adamw_32bit",)),
    Row(("bitsandbytes.optim.AdamW8bit", UNSET, False), ("adamw_bnb_8bit",)),
    Row(("torch.optim.SGD", UNSET, False), ("sgd",)),
    Row(("torch.optim.AdamW", False, False), ("adamw_torch",)),
)
"""optimizer._component_, optimizer.fused, optimizer_in_bwd."""
SWITCHES = (
    Switch("model.lora_attn_modules", ("q_proj",), "q_proj"),
    Switch("model.lora_attn_modules", ("k_proj",), "k_proj"),
    Switch("model.lora_attn_modules", ("v_proj",), "v_proj"),
    Switch("model.lora_attn_modules", ("o_proj",), "output_proj"),
    Switch("model.apply_lora_to_mlp", ("gate_proj", "up_proj", "down_proj")),
    Switch("model.apply_lora_to_output", ("lm_head",)),
)
BYTE_PAIRS = {
    "phi4": ("vocab_path", "merges_path"),
    "qwen2": ("path", "merges_file"),
    "qwen2_5": ("path", "merges_file"),
}
"""Families whose tokenizer is two files, and the names of the arguments."""
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def _prepare(document: Document) -> Prepared:
    values = resolved(document)
    if values.get("optimizer_in_bwd") is None:
        values["optimizer_in_bwd"] = False
    return Prepared(values, referred=referred(document))


def _head(workload: Workload, plan: Plan) -> tuple[str, ...]:
    recipe = "full_finetune" if workload.method == "full" else "lora_finetune"
    if plan.num_gpus > 1:
        return (f"tune run --nproc_per_node {plan.num_gpus} {recipe}_distributed --config FILE",)
    return (f"tune run {recipe}_single_device --config FILE",)


def _finish(document: Document, workload: Workload, plan: Plan) -> Document:
    made = dict(document)
    builder = str(made.get(COMPONENT, "")).removeprefix("torchtune.models.")
    plain = re.sub(r"\.(q?lora_)?", ".{}", builder)
    if plain.startswith(PLAIN_OUTPUT) and made.pop("model.apply_lora_to_output", False):
        raise BadInput(f"torchtune's {builder} has no adapter on lm_head: leave it out of --target-modules.")
    family = _family(builder or "llama3.")
    tokenizer = {
        "llama3_1": "llama3",
        "llama3_2": "llama3",
        "llama3_3": "llama3",
        "code_llama2": "llama2",
        "gemma2": "gemma",
    }.get(family, family)
    name = f"{tokenizer}_mini_tokenizer" if tokenizer == "phi3" else f"{tokenizer}_tokenizer"
    made["tokenizer._component_"] = f"torchtune.models.{tokenizer}.{name}"
    if tokenizer in BYTE_PAIRS:
        vocabulary, merges = BYTE_PAIRS[tokenizer]
        made |= {f"tokenizer.{vocabulary}": "checkpoint/vocab.json", f"tokenizer.{merges}": "checkpoint/merges.txt"}
    else:
        made["tokenizer.path"] = "checkpoint/tokenizer.model"
    # max_seq_len stands in the tokenizer; keep its arguments together.
    return dict(sorted(made.items(), key=lambda item: item[0].partition(".")[0] == "tokenizer"))


PROGRAM = Program(
    name="torchtune",
    title="torchtune",
    source="torchtune 0.6.1: recipes/configs, recipes/lora_finetune_single_device.py, models/*/_model_builders.py",
    syntax="yaml",
    recipe="torchtune",
    method="full",
    marks=frozenset(
        {
            COMPONENT,
            "optimizer._component_",
            "loss._component_",
            "tokenizer._component_",
            "checkpointer._component_",
            "enable_activation_checkpointing",
            "enable_activation_offloading",
            "dataset._component_",
        }
    ),
    rows=(
        Choice(
            keys=(COMPONENT, "model.use_dora", "model.quantize_base", "dtype"),
            fields=("model", "method", "quantization", "weights_dtype"),
            rows=_stored_rows(),
            defaults={"dtype": "bf16"},
            methods=TRAINING,
        ),
        Key(key="tokenizer.max_seq_len", field="sequence_length", methods=TRAINING),
        Key(key="batch_size", field="micro_batch_size", methods=TRAINING),
        Key(key="gradient_accumulation_steps", field="gradient_accumulation_steps", methods=TRAINING),
        Choice(
            keys=("dataset.packed",),
            fields=("padding", "lengths"),
            rows=(Row((True,), ("none", "equal")), Row((None,), ("none", "varied"))),
            methods=TRAINING,
        ),
        Key(key="model.lora_rank", field="lora_r", default=8, methods=ADAPTERS),
        Key(key="model.lora_alpha", field="lora_alpha", default=16, methods=ADAPTERS),
        Key(key="model.lora_dropout", field="lora_dropout", default=0.0, methods=ADAPTERS),
        Switches(field="target_modules", switches=SWITCHES, whole=LINEAR),
        Choice(
            keys=("optimizer._component_", "optimizer.fused", "optimizer_in_bwd"),
            fields=("optimizer",),
            rows=OPTIMIZERS,
            defaults={"optimizer._component_": "torch.optim.AdamW", "optimizer.fused": UNSET},
            methods=TRAINING,
        ),
        Choice(
            keys=("enable_activation_checkpointing", "enable_activation_offloading"),
            fields=("gradient_checkpointing",),
            rows=(Row((True, None), ("full",)), Row((None, None), ("none",)), Row((True, True), ("offload",))),
            methods=TRAINING,
        ),
        Choice(
            keys=("loss._component_",),
            fields=("loss",),
            rows=(
                Row(("torchtune.modules.loss.CEWithChunkedOutputLoss",), ("torchtune_chunked",)),
                Row(("torch.nn.CrossEntropyLoss",), ("standard",)),
                Row((None,), ("torchtune_chunked",)),
            ),
            methods=TRAINING,
        ),
    ),
    irrelevant=names(
        """
        tokenizer checkpointer resume_from_checkpoint save_adapter_weights_only dataset seed shuffle lr_scheduler
        epochs max_steps_per_epoch metric_logger log_every_n_steps log_peak_memory_stats log_level device output_dir
        profiler optimizer.lr optimizer.weight_decay optimizer.betas optimizer.eps clip_grad_norm low_cpu_ram
        dataset_val run_val_every_n_steps batch_size_val model.lora_alpha cudnn_deterministic_mode collate_fn
        """
    ),
    not_modelled=names(
        """
        compile custom_sharded_layers fsdp_cpu_offload fsdp_reshard_after_forward tensor_parallel_dim
        tensor_parallel_plan memory_efficient_fsdp_wrap ac_mode ac_option model.max_seq_len
        """
    ),
    refused={
        "quantizer": "quantization-aware training is not modelled",
        "teacher_model": "distillation is not modelled",
        "reward_and_value_model": "PPO is not modelled",
    },
    prepare=_prepare,
    finish=_finish,
    head=_head,
    constants={
        "output_dir": "output",
        "checkpointer._component_": "torchtune.training.FullModelHFCheckpointer",
        "checkpointer.checkpoint_dir": "checkpoint",
        "checkpointer.checkpoint_files": ["model.safetensors"],
        "checkpointer.output_dir": "output",
        "checkpointer.model_type": "LLAMA3",
        "dataset._component_": "torchtune.datasets.alpaca_dataset",
        "optimizer.lr": 0.0003,
        "device": "cuda",
        "epochs": 1,
        "seed": None,
        "shuffle": True,
        "max_steps_per_epoch": None,
        "clip_grad_norm": None,
        "compile": False,
        "resume_from_checkpoint": False,
        "save_adapter_weights_only": False,
        "log_every_n_steps": 1,
        "metric_logger._component_": "torchtune.training.metric_logging.DiskLogger",
        "metric_logger.log_dir": "output/logs",
    },
    elsewhere={
        "num_gpus": "tune run --nproc_per_node",
        "expandable_segments": "the environment, PYTORCH_ALLOC_CONF=expandable_segments:True",
        "sharding": "the recipe, lora_finetune_distributed or full_finetune_distributed",
    },
)
