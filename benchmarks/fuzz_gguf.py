"""Feeds damaged GGUF headers to the reader: every one has to be refused in one sentence, or read, in little time and memory.

    python benchmarks/fuzz_gguf.py [INPUTS] [SEED]

Whole headers of every version and byte order, with long lists that are leapt over, parts, and a model that is known, are
damaged: bytes changed, numbers replaced by extreme ones, cut, pieces doubled, removed and swapped between headers. What is
read goes on to the model of the file. Prints how many were refused, read and understood, the slowest, and the memory.
"""

from __future__ import annotations

import random
import resource
import struct
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sources"))

from gguf_files import Typed, Writer
from gguf_of_model import metadata
from local_stores import LAYERS, SMALL_LLAMA, TENSORS

from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.sources import gguf_cursor
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sources.file_head import FileHead
from vram_advisor.sources.gguf import GgufFile, parse_gguf
from vram_advisor.sources.gguf_model import gguf_model
from vram_advisor.units.errors import AdvisorError, BadInput

INPUTS = 1_000_000
EXTREME = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 32)
SLOW_S = 2.0
"""No input of some kilobytes may take as long."""
LONGEST = 1000
"""Characters of an error that a person may be shown."""
FEW_TEXTS = 16
"""Lists from this length on are leapt over here, so that small headers have some."""


def main() -> int:
    """Damage, read and print; 1 where something else than a refusal came out, or one took too long."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    inputs, seed = (*numbers, *(INPUTS, 1)[len(numbers) :])[:2]
    gguf_cursor.LONG_LIST = FEW_TEXTS
    dice = random.Random(seed)
    whole = headers()
    counts: Counter[str] = Counter()
    slowest, start = 0.0, time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(inputs):
        data = damaged(dice, whole)
        begun = time.thread_time()
        try:
            counts[read(data, dice.random() < 0.9)] += 1
        except Exception as error:
            print(f"input {number} of seed {seed}: {error!r}\n{data[:2000].hex()}")
            return 1
        slowest = max(slowest, time.thread_time() - begun)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{inputs:,} inputs of seed {seed} in {time.monotonic() - start:.0f} s: {said}")
    print(f"slowest {slowest * 1000:.0f} ms of processor time, memory grown by {grown / 1024:.0f} MiB")
    return 1 if slowest > SLOW_S else 0


def read(data: bytes, at_hand: bool) -> str:
    """What became of an input: on a disk, or behind HTTP with a part at a time."""
    size = len(data) + 100_000

    def fetch(begin: int, end: int) -> bytes:
        return data[begin:end].ljust(min(end, size) - begin, b"\0")

    try:
        file = parse_gguf(FileHead(fetch, size, "input", first=1 << 10, at_hand=at_hand))
    except BadInput as error:
        return one_sentence(error, "refused")
    try:
        understood(file)
    except AdvisorError as error:
        return one_sentence(error, "read and refused as a model")
    return "understood"


def one_sentence(error: AdvisorError, outcome: str) -> str:
    """The outcome, where the error can be shown to a person."""
    if not str(error).isprintable() or len(str(error)) > LONGEST:
        raise ValueError(f"no sentence: {str(error)[:200]!r}")
    return outcome


def understood(file: GgufFile) -> None:
    """The model of a file. Raises AdvisorError."""
    gguf_model((file,), "input", "input")


def headers() -> list[bytes]:
    """Headers that are whole, without their data."""
    layers = [(f"blk.0.{name}", shape, "Q8_0" if len(shape) > 1 else "F32") for name, shape in LAYERS]
    long = {
        **SMALL_LLAMA,
        "tokenizer.ggml.tokens": [f"t{i}" for i in range(40)],
        "tokenizer.ggml.token_type": Typed("i32", [1] * 40),
        "tokenizer.ggml.merges": [f"a b{i}" for i in range(40)],
        "llama.attention.head_count_kv": [2],
        "general.file_type": 7,
        "tokenizer.chat_template": "x" * 50,
    }
    part = {**SMALL_LLAMA, "split.no": 0, "split.count": 2, "split.tensors.count": 11}
    adapter = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    made = [
        Writer(version, order).header(keys, [*TENSORS, *layers])[0]
        for version, order in ((1, "little"), (2, "little"), (3, "little"), (3, "big"))
        for keys in (SMALL_LLAMA, long)
    ]
    made += [Writer().header(part, TENSORS)[0], Writer().header(adapter, [("a.lora_a", (8, 32), "F32")])[0]]
    model = find_model("smollm2-135m")
    tensors = [(t.name, t.shape, t.dtype) for t in gguf_tensors(model, "Q8_0")][:40]
    return [*made, Writer().header(metadata(model), tensors)[0]]


def damaged(dice: random.Random, whole: list[bytes]) -> bytes:
    """One header with some damage."""
    data = bytearray(dice.choice(whole))
    for _ in range(dice.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        place, kind = dice.randrange(len(data) or 1), dice.randrange(7)
        if kind == 0 and data:
            data[place % len(data)] = dice.randrange(256)
        elif kind == 1 and data:
            data[place % len(data)] ^= 1 << dice.randrange(8)
        elif kind == 2:
            data[place : place + 8] = struct.pack(dice.choice("<>") + "Q", dice.choice(EXTREME))
        elif kind == 3:
            data[place : place + 4] = struct.pack(dice.choice("<>") + "I", dice.choice(EXTREME) % 2**32)
        elif kind == 4:
            del data[place : place + dice.randrange(1, 64)]
        elif kind == 5:
            data[place:place] = data[place : place + dice.randrange(1, 64)]
        else:
            other = dice.choice(whole)
            at = dice.randrange(len(other))
            data[place : place + 32] = other[at : at + 32]
    if dice.random() < 0.1:
        del data[dice.randrange(len(data) + 1) :]
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main())
