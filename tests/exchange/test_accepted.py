"""What is written is loaded by the parsers of the programs themselves, in the versions that the tables were read in.

TRL, transformers and Accelerate come with the extra ``calibrate``. The others are installed into a folder of their own
without their dependencies; Unsloth, which does not start without a GPU, is held against the signatures in its source.
vLLM, llama.cpp, Ollama and LM Studio have no parser that runs here.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from random_plans import random_plan

from vram_advisor.exchange.files import export_run

PLANS = 60
HERE = Path(__file__).parent
PACKAGES = (
    "axolotl==0.19.0", "llamafactory==0.9.5", "torchtune==0.6.1", "torchao==0.9.0", "litgpt==0.5.13",
    "unsloth==2026.10.9",
    # what they import before they look at a file
    "omegaconf==2.3.0", "antlr4-python3-runtime==4.9.3", "jsonargparse", "lightning==2.5.6", "lightning-utilities",
    "torchmetrics", "einops", "blobfile", "tiktoken", "sentencepiece", "addict", "hjson", "msgpack", "py-cpuinfo", "pillow",
)  # fmt: skip
DEEPSPEED = "deepspeed==0.19.8"
PROGRAMS = (
    "axolotl", "llama-factory", "trl", "transformers", "unsloth", "torchtune", "litgpt", "deepspeed", "accelerate",
)  # fmt: skip
RUNS_REFUSED = re.compile(
    r"FSDP2 does not support load_in_8bit or load_in_4bit with (dpo|orpo|kto)|Muon optimizer is currently incompatible"
    r"|FSDP2 not compatible with adamw_(bnb_)?8bit"
)
"""What a program does not run at all, however it is written."""


def verdicts(program: str, path: str) -> list[str]:
    """What the parser of a program says against files of random plans."""
    texts = [[program, export_run(program, *random_plan(program, seed)).text] for seed in range(PLANS)]
    # No GPU is to be seen; LLaMA-Factory pins a range of transformers that its arguments do not need.
    around = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "DISABLE_VERSION_CHECK": "1"}
    command = [sys.executable, "-W", "ignore", str(HERE / "accept.py")]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, env=around)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    return [f"{words}\n{text}" for words, (_, text) in zip(said, texts, strict=True) if words]


@pytest.fixture(scope="session")
def other_programs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The programs in a folder, as a search path."""
    folder = tmp_path_factory.mktemp("programs")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", str(folder), *PACKAGES], check=True)
    # a source archive whose set-up would look for a compiler: it is only unpacked
    sources = ["download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder)]
    subprocess.run([*pip, *sources, DEEPSPEED], check=True, env={**os.environ, "DS_BUILD_OPS": "0"})
    archive = next(folder.glob("deepspeed-*.tar.gz"))
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return os.pathsep.join((str(folder), str(archive).removesuffix(".tar.gz")))


@pytest.mark.trainers
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_itself_takes_it(program: str, other_programs: str) -> None:
    refused = verdicts(program, other_programs)
    assert [words for words in refused if not RUNS_REFUSED.search(words)] == []
    assert len(refused) < PLANS / 4
