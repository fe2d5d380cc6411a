"""Runs as people copy them from documentation: each detail that decides the memory reaches the estimate."""

from pathlib import Path

import pytest

from vram_advisor import api
from vram_advisor.cli.app import run
from vram_advisor.domain.imported import Imported
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.files import export_run
from vram_advisor.units.errors import BadInput, Missing, NotModelled

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
    found = read(AXOLOTL + old)
    assert (found.plan.sharding, found.plan.offload) == ("fsdp_full", "parameters")
    assert found.plan == read(AXOLOTL + new).plan
    assert found.unknown == found.not_modelled == ()


def test_axolotl_checkpoints_by_fsdp_too() -> None:
    sharded = "\nfsdp_version: 2\nfsdp_config:\n  activation_checkpointing: true\n  reshard_after_forward: true\n"
    assert read(AXOLOTL + sharded).plan.gradient_checkpointing == "full"
    assert read(AXOLOTL).plan.gradient_checkpointing == "none"


@pytest.mark.parametrize("rl", ["dpo", "orpo", "kto"])
def test_preferences_of_axolotl_are_padded_whatever_is_said_of_packing(rl: str) -> None:
    text = AXOLOTL.replace("sample_packing: true", f"sample_packing: false\nrl: {rl}")
    asked = [read(text + more).workload for more in ("", "pad_to_sequence_len: true\n", "pad_to_sequence_len: false\n")]
    assert asked[0] == asked[1] == asked[2] and asked[0].padding == "padded"


def test_sections_left_empty_say_nothing() -> None:
    """Templates list every key; those without a value are as if they were not there."""
    found = read(AXOLOTL + "\nfsdp:\nfsdp_config:\ndeepspeed:\nspecial_tokens:\nlora_model_dir:\n")
    assert found.unknown == () and found.plan == read(AXOLOTL).plan


def test_accelerate_turns_checkpointing_on_for_fsdp() -> None:
    found = read(ACCELERATE)
    assert found.plan.gradient_checkpointing == "full" and found.not_modelled == ()
    assert read(ACCELERATE.replace("true", "false")).plan.gradient_checkpointing is None


def test_torchtune_follows_references() -> None:
    found = read(TORCHTUNE)
    assert found.workload.sequence_length == 4096 and found.unknown == ()


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
    found = read(variables)
    assert (found.workload, found.plan) == (read(flags).workload, read(flags).plan)
    assert found.plan.n_gpu_layers == 40 and found.plan.kv_offload is False
    assert found.unknown == () and "LLAMA_ARG_HOST" in found.irrelevant
    assert {"LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_KV_OFFLOAD"} <= {used.key for used in found.used}
    assert read("LLAMA_ARG_NO_SUCH_THING=1 llama-server -m qwen3-32b").unknown == ("LLAMA_ARG_NO_SUCH_THING",)


def test_what_a_launcher_is_told_is_not_passed_over() -> None:
    """A file of accelerate may share the weights among cards: the answer says that it lacks it."""
    command = "accelerate launch --config_file zero3.yaml --num_processes 8 --main_process_port 0 sft.py --use_peft"
    found = read(f"{command} --model_name_or_path Qwen/Qwen2.5-7B --max_length 1024")
    assert found.plan.num_gpus == 8 and found.not_modelled == ("--config-file",)


@pytest.mark.parametrize(
    ("text", "assumed"),
    [
        (TORCHTUNE.replace("${tokens.most}", "null") + "batch_size: 2\n", ("sequence_length",)),
        ("checkpoint_dir: checkpoints/EleutherAI/pythia-1b\ntrain:\n  max_seq_length:\n", ("sequence_length",)),
        (
            '{"zero_optimization": {"stage": 2}, "train_micro_batch_size_per_gpu": "auto"}',
            ("sequence_length", "micro_batch_size"),
        ),
        (AXOLOTL, ()),
        ("llama-server -m qwen3-32b", ()),
    ],
)
def test_lengths_that_nothing_says_are_said_to_be_assumed(
    text: str, assumed: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """torchtune and LitGPT cut nothing where no length is given, so the longest sample would decide."""
    assert read(text).assumed == assumed
    if not assumed:
        return
    file = tmp_path / "run.yaml"
    file.write_text(text)
    words = ["check", "--config", str(file), "--model", "llama-3.1-8b", "--method", "lora", "--gpu", "h100"]
    run(words)
    table = " ".join(capfd.readouterr().out.split())
    assert "not said there, so it is assumed: --sequence-length 2048" in table
    run([*words, "--json"])
    assert "so it is assumed: --sequence-length 2048" in capfd.readouterr().err
    run([*words, "--sequence-length", "4096", "--micro-batch-size", "1"])
    assert "so it is assumed" not in capfd.readouterr().out


def test_variables_exported_before_a_command_count() -> None:
    script = "#!/bin/bash\n#SBATCH --gpus=2\nset -euo pipefail\ncd run\nsource venv/bin/activate\nexport PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\naccelerate launch --num_processes 2 sft.py \\\n"
    found = read(script + "  --model_name_or_path Qwen/Qwen2.5-7B --use_peft --max_length 1024\n")
    assert found.plan.expandable_segments and found.plan.num_gpus == 2


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


ZERO3 = '{"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu"}}, "bf16": {"enabled": "auto"}}'
SHARDED = """
distributed_type: FSDP
mixed_precision: bf16
num_processes: 4
fsdp_config:
  fsdp_version: 2
  fsdp_reshard_after_forward: true
  fsdp_offload_params: true
"""


def test_a_file_of_deepspeed_beside_the_run_is_read(tmp_path: Path) -> None:
    """People name their own file; what it sets decides the memory of each card."""
    file = tmp_path / "run.yml"
    file.write_text(f"{AXOLOTL}deepspeed: configs/mine.json\n")
    with pytest.raises(NotModelled, match="mine.json is a file of its own"):
        api.read_run(file)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.json").write_text(ZERO3)
    found = api.read_run(file)
    assert (found.plan.sharding, found.plan.offload) == ("zero3", "optimizer") and found.unknown == ()


def test_a_file_of_the_launcher_beside_the_command_is_read(tmp_path: Path) -> None:
    file = tmp_path / "train.sh"
    (tmp_path / "fsdp.yaml").write_text(SHARDED)
    command = "accelerate launch --config_file fsdp.yaml {} sft.py --model_name_or_path Qwen/Qwen2.5-7B --use_peft"
    file.write_text(command.format(""))
    plan = api.read_run(file).plan
    assert (plan.num_gpus, plan.sharding, plan.offload) == (4, "fsdp_full", "parameters")
    assert api.read_run(file).not_modelled == ()
    file.write_text(command.format("--num_processes 8"))
    assert api.read_run(file).plan.num_gpus == 8, "what is typed has the last word"


@pytest.mark.parametrize("name", ["../secret.json", "{}/secret.json", "/dev/zero", "link.json", "con\\u0000trol"])
def test_a_run_reads_nothing_outside_its_folder(name: str, tmp_path: Path) -> None:
    """A file from elsewhere may name any file of this machine."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.json").write_text(ZERO3)
    (inside / "link.json").symlink_to(tmp_path / "secret.json")
    (inside / "run.yml").write_text(f'{AXOLOTL}deepspeed: "{name.format(tmp_path)}"\n')
    with pytest.raises(NotModelled, match="is a file of its own"):
        api.read_run(inside / "run.yml")


def test_a_file_says_what_the_program_does_not_start() -> None:
    """Axolotl wants torch's 8-bit states under FSDP2."""
    for optimizer, said in (("adamw_bnb_8bit", True), ("adamw_torch_8bit", False)):
        plan = Plan(optimizer=optimizer, sharding="fsdp_full", num_gpus=4)
        text = export_run("axolotl", "llama-2-7b", Workload(method="full"), plan).text
        assert ("does not start FSDP2 with this optimizer" in text) is said
