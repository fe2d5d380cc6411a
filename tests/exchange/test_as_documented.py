"""Runs as people copy them from documentation: each detail that decides the memory reaches the estimate."""

from pathlib import Path

import pytest

from vram_advisor import api
from vram_advisor.domain.imported import Imported
from vram_advisor.units.errors import BadInput, Missing

AXOLOTL = """
base_model: meta-llama/Llama-3.1-8B
datasets:
  - path: tatsu-lab/alpaca
    type: alpaca
sequence_len: 8192
sample_packing: true
flash_attention: true
"""
TORCHTUNE = """
model:
  _component_: torchtune.models.llama3_1.lora_llama3_1_8b
  lora_attn_modules: ['q_proj', 'v_proj']
tokenizer:
  _component_: torchtune.models.llama3.llama3_tokenizer
  path: ${checkpoint}/original/tokenizer.model
  max_seq_len: ${longest}
checkpoint: /models/Llama-3.1-8B
longest: ${tokens.most}
tokens:
  most: 4096
metric_logger:
  log_dir: ${checkpoint}/logs
"""
ACCELERATE = """
distributed_type: FSDP
mixed_precision: bf16
num_processes: 4
fsdp_config:
  fsdp_sharding_strategy: FULL_SHARD
  fsdp_activation_checkpointing: true
"""


def read(text: str, model: str | None = None) -> Imported:
    return api.read_run("run", data=text.encode(), model=model)


def test_axolotl_reads_fsdp_with_the_prefix_of_older_files() -> None:
    """Axolotl's examples of FSDP1 call every key fsdp_...; what is offloaded decides whether it fits."""
    old = """
fsdp:
  - full_shard
  - auto_wrap
fsdp_config:
  fsdp_limit_all_gathers: true
  fsdp_sync_module_states: true
  fsdp_offload_params: true
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_transformer_layer_cls_to_wrap: LlamaDecoderLayer
  fsdp_state_dict_type: FULL_STATE_DICT
"""
    new = "\nfsdp_version: 1\nfsdp_config:\n  offload_params: true\n"
    run = read(AXOLOTL + old)
    assert (run.plan.sharding, run.plan.offload) == ("fsdp_full", "parameters")
    assert run.plan == read(AXOLOTL + new).plan
    assert run.unknown == run.not_modelled == ()


def test_axolotl_checkpoints_by_fsdp_too() -> None:
    sharded = "\nfsdp_version: 2\nfsdp_config:\n  activation_checkpointing: true\n  reshard_after_forward: true\n"
    assert read(AXOLOTL + sharded).plan.gradient_checkpointing == "full"
    assert read(AXOLOTL).plan.gradient_checkpointing == "none"


def test_sections_left_empty_say_nothing() -> None:
    """Templates list every key; those without a value are as if they were not there."""
    run = read(AXOLOTL + "\nfsdp:\nfsdp_config:\ndeepspeed:\nspecial_tokens:\nlora_model_dir:\n")
    assert run.unknown == () and run.plan == read(AXOLOTL).plan


def test_accelerate_turns_checkpointing_on_for_fsdp() -> None:
    run = read(ACCELERATE)
    assert run.plan.gradient_checkpointing == "full" and run.not_modelled == ()
    assert read(ACCELERATE.replace("true", "false")).plan.gradient_checkpointing is None


def test_torchtune_follows_references() -> None:
    run = read(TORCHTUNE)
    assert run.workload.sequence_length == 4096 and run.unknown == ()


@pytest.mark.parametrize(
    ("longest", "said"),
    [("${longest}", "lead back to itself"), ("${nowhere.at.all}", "refers to a key that is not in the file")],
)
def test_a_reference_that_leads_nowhere_is_said(longest: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(TORCHTUNE.replace("${tokens.most}", longest))


def test_references_that_double_themselves_end() -> None:
    bomb = "".join(f"k{i}: ${{k{i + 1}}}${{k{i + 1}}}${{k{i + 1}}}\n" for i in range(19)) + "k19: boom\n"
    assert read(TORCHTUNE + bomb).workload.sequence_length == 4096


def test_llama_server_reads_its_variables() -> None:
    """Each flag has a variable, which containers and services use; the flag has the last word."""
    flags = (
        "llama-server -m qwen3-32b -c 16384 -np 2 -ctk q8_0 -ctv q8_0 -ngl 40 -b 1024 -ub 256 -fa on --no-kv-offload"
    )
    variables = (
        "export LLAMA_ARG_CTX_SIZE=16384 LLAMA_ARG_N_PARALLEL=2\n"
        "LLAMA_ARG_CACHE_TYPE_K=q8_0 LLAMA_ARG_CACHE_TYPE_V=q8_0 LLAMA_ARG_N_GPU_LAYERS=99 LLAMA_ARG_BATCH=1024 "
        "LLAMA_ARG_UBATCH=256 LLAMA_ARG_FLASH_ATTN=1 LLAMA_ARG_KV_OFFLOAD=0 LLAMA_ARG_HOST=0.0.0.0 "
        "llama-server -m qwen3-32b -ngl 40"
    )
    run = read(variables)
    assert (run.workload, run.plan) == (read(flags).workload, read(flags).plan)
    assert run.plan.n_gpu_layers == 40 and run.plan.kv_offload is False
    assert run.unknown == () and "LLAMA_ARG_HOST" in run.irrelevant
    assert {"LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_KV_OFFLOAD"} <= {used.key for used in run.used}
    assert read("LLAMA_ARG_NO_SUCH_THING=1 llama-server -m qwen3-32b").unknown == ("LLAMA_ARG_NO_SUCH_THING",)


def test_variables_exported_before_a_command_count() -> None:
    script = "#!/bin/bash\n#SBATCH --gpus=2\nset -euo pipefail\ncd run\nsource venv/bin/activate\nexport PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\naccelerate launch --num_processes 2 sft.py \\\n"
    run = read(script + "  --model_name_or_path Qwen/Qwen2.5-7B --use_peft --max_length 1024\n")
    assert run.plan.expandable_segments and run.plan.num_gpus == 2


@pytest.mark.parametrize(
    ("container", "command"),
    [
        (
            "docker run --gpus all -v ./models:/models -p 8000:8000 -e LLAMA_ARG_CTX_SIZE=4096 "
            "ghcr.io/ggml-org/llama.cpp:server-cuda -m /models/m.gguf --host 0.0.0.0 --n-gpu-layers 99",
            "llama-server -m /models/m.gguf -c 4096 -ngl 99",
        ),
        (
            "docker run --gpus all ghcr.io/ggml-org/llama.cpp:full-cuda --server -m /models/m.gguf -c 512",
            "llama-server -m /models/m.gguf -c 512",
        ),
        (
            "podman run --gpus '\"device=0,1\"' ghcr.io/ggml-org/llama.cpp:server-cuda -m /models/m.gguf",
            "CUDA_VISIBLE_DEVICES=0,1 llama-server -m /models/m.gguf",
        ),
        (
            "docker run --runtime nvidia --gpus all --env 'HF_TOKEN=secret' --ipc=host vllm/vllm-openai:latest "
            "--model mistralai/Mistral-7B-v0.1 --max-model-len 4096",
            "vllm serve --model mistralai/Mistral-7B-v0.1 --max-model-len 4096",
        ),
    ],
)
def test_a_container_runs_what_its_image_starts(container: str, command: str) -> None:
    inside, outside = read(container, "llama-3.1-8b"), read(command, "llama-3.1-8b")
    assert (inside.workload, inside.plan) == (outside.workload, outside.plan)
    assert inside.unknown == () and inside.program == outside.program


def test_another_container_is_refused() -> None:
    with pytest.raises(BadInput, match="of containers only those of"):
        read("docker run --gpus all nvcr.io/nvidia/pytorch:24.05-py3 python train.py")


def test_a_file_of_gguf_that_is_elsewhere_is_stored_as_its_name_says() -> None:
    """On another machine the file is not there: --model says what it is, and its name how it is stored."""
    command = "llama-server -m {} -c 4096"
    for name, stored in (
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "q4_k_m"),
        ("models/Llama-3.1-8B.Q8_0.gguf", "q8_0"),
        ("llama-70b-Q6_K-00001-of-00002.gguf", "q6_k"),
        ("model.gguf", None),
    ):
        assert read(command.format(name), "llama-3.1-8b").plan.quantization == stored
        assert read(command.format(name)).plan.quantization is None, "the file itself says it"


def test_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    """A file with Windows line ends and a byte order mark is the same file."""
    file = tmp_path / "run.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + AXOLOTL.replace("\n", "\r\n").encode())
    assert api.read_run(file).plan == read(AXOLOTL).plan


@pytest.mark.parametrize(
    "repository",
    [
        "NousResearch/Meta-Llama-3.1-8B",
        "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
        "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M",
    ],
)
def test_a_copy_that_cannot_be_fetched_is_told_by_its_name(repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files name copies of gated models; without a network the catalogue still knows what they are copies of."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Missing, match="the catalogue has llama-3.1-8b, whose name it resembles"):
        api.check(repository)
