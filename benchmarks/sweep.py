"""Thirty million answers: every model of the catalogue x 280 cards x 500 plans into one Parquet file.

Prints the time of the whole command and the most memory that its processes hold together; the limits are 60 s on two
cores and 1 GB.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from vram_advisor import api

CARDS = 280
QUESTIONS = {
    "micro_batch_size": [1, 2, 4, 8, 16],
    "sequence_length": [512, 1024, 2048, 4096, 8192],
    "plans": [
        {"method": "lora", "quantization": "bf16", "lora_r": [8, 64], "gradient_checkpointing": ["none", "full"]},
        {"method": "lora", "quantization": "int8", "lora_r": [8, 64], "gradient_checkpointing": ["none", "full"]},
        {
            "method": "qlora",
            "quantization": "nf4_double",
            "lora_r": [8, 64],
            "gradient_checkpointing": ["none", "full"],
        },
        {"method": "qlora", "quantization": "nf4_double", "loss": "liger", "gradient_checkpointing": ["none", "full"]},
        {"method": "full", "optimizer": ["adamw_torch", "adamw_bnb_8bit"], "gradient_checkpointing": ["none", "full"]},
        {"method": "dora", "quantization": "bf16", "gradient_checkpointing": ["none", "full"]},
    ],
}
SECONDS, BYTES = 60, 10**9


def held(process: psutil.Process) -> int:
    """Memory of a process and those it started; pages that they share are counted once [B]."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
        except (psutil.Error, AttributeError):
            continue
    return total


def main() -> int:
    """Run it once."""
    with tempfile.TemporaryDirectory() as folder:
        file, questions = Path(folder) / "sweep.parquet", Path(folder) / "questions.json"
        cards = [card.id for card in api.list_gpus()][:CARDS]
        questions.write_text(json.dumps({**QUESTIONS, "gpus": cards}))
        command = [sys.executable, "-m", "vram_advisor", "sweep", "--questions", str(questions), "--output", str(file)]
        began = time.monotonic()
        running = psutil.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True)
        most, ended = [0], threading.Event()

        def watch() -> None:
            while not ended.wait(0.25):
                most[0] = max(most[0], held(running))

        watcher = threading.Thread(target=watch)
        watcher.start()
        text, _ = running.communicate()
        seconds = time.monotonic() - began
        ended.set()
        watcher.join()
        done = json.loads(text)
        print(
            f"{done['rows']:,} answers in {seconds:.1f} s, {most[0] / 1e9:.2f} GB, file {file.stat().st_size / 1e6:.0f} MB"
        )
        print(f"{done['models']} models x {done['gpus']} cards x {done['plans']} plans; {done['outcomes']}")
        return int(seconds > SECONDS or most[0] > BYTES)


if __name__ == "__main__":
    sys.exit(main())
