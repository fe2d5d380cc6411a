"""How long ``vram-advisor models --local`` takes over 100 GGUF files with vocabularies of real size.

    python benchmarks/local_models.py [ROUNDS]

The files are written to a store of Ollama and a folder of LM Studio in a temporary home: real headers of four families,
each file with a vocabulary of its own, the weights a hole (800 MiB of headers in all). Every run is a process of its
own, with byte code compiled beforehand: a first run finds nothing that an earlier one has kept, the next ones do.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gguf_files import Typed, write_gguf
from gguf_of_model import metadata

from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.sources.models import resolve_model

LIMIT_S = 1.0
ROUNDS = 5
SCRIPT = Path(sys.executable).with_name("vram-advisor")
COMMAND = [sys.executable, str(SCRIPT), "models", "--local", "--json", "--gpu", "rtx-5070"]
FAMILIES = {
    "llama-3.1-8b": (128_256, 280_147),
    "qwen3-8b": (151_936, 151_387),
    "gemma-3-12b": (262_144, 0),
    "gpt-oss-20b": (201_088, 446_189),
}
"""Tokens and merges of each; a vocabulary of SentencePiece has scores instead of merges."""
TYPES = ("q2_k", "q3_k_m", "q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", "q8_0", "f16")
FILES = 100
CONFIG = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1}
"""Of the configuration that Ollama stores beside each model, which states the file type."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def main() -> int:
    """Write, measure and print; 1 where the limit is missed."""
    if not SCRIPT.exists():
        print(f"{SCRIPT} is not there: install the package into this environment first.")
        return 2
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        headers = write_stores(home)
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "NO_COLOR": "1"}
        # Byte code as pip leaves it, and a look at a home without models, so that the first run is not the compiler's.
        environment["PYTHONPYCACHEPREFIX"] = str(home / "pycache")
        run({**environment, "HOME": str(home / "nobody")})
        firsts = []
        for _ in range(rounds):
            shutil.rmtree(home / ".cache", ignore_errors=True)
            firsts.append(run(environment))
        next_ones = [run(environment) for _ in range(rounds)]
    first, first_processor = (statistics.median(each[i] for each in firsts) for i in (0, 1))
    wall, processor = (statistics.median(each[i] for each in next_ones) for i in (0, 1))
    judged_models = min(each[2] for each in (*firsts, *next_ones))
    print(f"{judged_models} models, headers of {headers / 2**20:,.0f} MiB")
    print(f"first run  wall {first:.2f} s  processor {first_processor:.2f} s, median of {rounds}")
    print(f"next runs  wall {wall:.2f} s  processor {processor:.2f} s, median of {rounds}")
    print(f"limit {LIMIT_S:.0f} s: first run {judged(first)}, next runs {judged(wall)}")
    return 0 if max(first, wall) <= LIMIT_S and judged_models == FILES else 1


def judged(wall: float) -> str:
    """Whether a time [s] is within the limit."""
    return "kept" if wall <= LIMIT_S else "missed"


def run(environment: dict[str, str]) -> tuple[float, float, int]:
    """Wall time and processor time of one run [s], and of how many models it says whether they fit."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    answer = subprocess.run(COMMAND, env=environment, capture_output=True, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, processor, sum(bool(entry.get("outcome")) for entry in json.loads(answer.stdout)["models"])


def write_stores(home: Path) -> int:
    """One file of each family and type, and as many as are missing; bytes of the headers [B]."""
    manifests = home / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "library"
    blobs = home / ".ollama" / "models" / "blobs"
    folder = home / ".lmstudio" / "models" / "someone"
    blobs.mkdir(parents=True)
    total = 0
    jobs = [(family, kind) for kind in TYPES for family in FAMILIES] * 3
    for number, (family, kind) in enumerate(jobs[:FILES]):
        name = f"{family}-{number}"
        if number % 2:
            path = folder / name / f"{name}-{kind.upper()}.gguf"
            path.parent.mkdir(parents=True)
        else:
            digest = hashlib.sha256(name.encode()).hexdigest()
            path = blobs / f"sha256-{digest}"
            layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": 1}
            (manifests / name).mkdir(parents=True)
            config = json.dumps({"model_format": "gguf", "file_type": kind.upper()}).encode()
            stated = hashlib.sha256(config).hexdigest()
            (blobs / f"sha256-{stated}").write_bytes(config)
            manifest = {"schemaVersion": 2, "config": {**CONFIG, "digest": f"sha256:{stated}"}, "layers": [layer]}
            (manifests / name / "latest").write_text(json.dumps(manifest))
        total += write_file(path, family, kind, number)
    return total


def write_file(path: Path, family: str, kind: str, seed: int) -> int:
    """A file with a vocabulary of its own; bytes of its header [B]."""
    tokens, merges = FAMILIES[family]
    words = random.Random(seed)
    pieces = ["".join(words.choices(LETTERS, k=words.choice((2, 3, 4, 5, 6, 7, 9, 12)))) for _ in range(4096)]
    keys: dict[str, object] = metadata(resolve_model(family))
    keys |= {
        "tokenizer.ggml.model": "gpt2" if merges else "llama",
        "tokenizer.ggml.tokens": words.choices(pieces, k=tokens),
        **({} if merges else {"tokenizer.ggml.scores": Typed("f32", [-1.0] * tokens)}),
        "tokenizer.ggml.token_type": Typed("i32", [1] * tokens),
        **({"tokenizer.ggml.merges": [f"{piece} t" for piece in words.choices(pieces, k=merges)]} if merges else {}),
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": "{{ messages }}" * 400,
        "general.file_type": 15,
    }
    tensors = [(t.name, t.shape, t.dtype) for t in gguf_tensors(resolve_model(family), kind)]
    write_gguf(path, keys, tensors)
    return path.stat().st_blocks * 512


if __name__ == "__main__":
    sys.exit(main())
