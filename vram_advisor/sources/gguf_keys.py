"""Typed reading of the metadata of a GGUF model: every refusal names the key and what was expected."""

from collections.abc import Mapping, Sequence

from vram_advisor.domain.architectures.fields import MAX_LAYERS, MAX_TOKENS
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.sources.gguf import GgufFile
from vram_advisor.sources.gguf_cursor import Omitted, Value
from vram_advisor.units.errors import BadInput

TOKENS = "tokenizer.ggml.tokens"
EMBEDDING = "token_embd.weight"


class GgufKeys:
    """The keys of one architecture and the tensors by name, of all files of a model.

    Keys are given without the name of the architecture in front of them.
    """

    def __init__(self, files: Sequence[GgufFile]) -> None:
        first = files[0]
        self.where = first.name
        self.metadata: Mapping[str, Value] = first.metadata
        self.architecture = first.architecture
        self.tensors: dict[str, StoredTensor] = {tensor.name: tensor for file in files for tensor in file.tensors}
        self.block_count = self.required("block_count", MAX_LAYERS)
        self.predicting = min(self.integer("nextn_predict_layers") or 0, self.block_count - 1)
        """Layers at the end that predict further tokens; llama.cpp leaves them out but for drafting."""
        self.layers = self.block_count - self.predicting

    def wrong(self, key: str, value: object, expected: str) -> BadInput:
        """The error for a key of the wrong type or size."""
        return BadInput(f"{self.where}: {self.architecture}.{key} is {str(value)[:60]}, expected {expected}")

    def get(self, key: str) -> Value | None:
        """The value of a key; None where it is missing."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def integer(self, key: str) -> int | None:
        """A whole number, None where it is missing; the largest of a list with one number per layer."""
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, tuple) and value:
            value = max(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TOKENS:
            raise self.wrong(key, value, f"a whole number from 0 to {MAX_TOKENS:,}")
        return value

    def required(self, key: str, high: int) -> int:
        """A whole number between 1 and ``high``."""
        value = self.integer(key)
        if value is None:
            raise BadInput(f"{self.where}: {self.architecture}.{key} is missing, expected a whole number")
        if not 0 < value <= high:
            raise self.wrong(key, value, f"a whole number from 1 to {high:,}")
        return value

    def positive(self, key: str) -> int | None:
        """A whole number; None where it is missing or zero."""
        return self.integer(key) or None

    def per_layer(self, key: str) -> tuple[int, ...] | None:
        """One number for each layer, those that predict further tokens left out; None where the key is missing."""
        value = self.get(key)
        if value is None:
            return None
        items = value if isinstance(value, tuple) else (value,) * self.block_count
        whole = all(isinstance(item, int) and 0 <= item <= MAX_TOKENS for item in items)
        if len(items) not in (self.block_count, self.layers) or not whole:
            raise self.wrong(key, value, f"one number, or a list of {self.block_count:,} of them")
        return tuple(int(item) for item in items[: self.layers] if not isinstance(item, str | Omitted))

    def flag(self, key: str) -> bool | None:
        """True or false; None where it is missing."""
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.wrong(key, value, "true or false")

    def has(self, stem: str) -> bool:
        """Whether any layer has a tensor of that name."""
        return any(f"blk.{layer}.{stem}" in self.tensors for layer in range(self.layers))

    def width(self, name: str, place: int) -> int | None:
        """One dimension of a tensor, counted as in PyTorch; None where there is no such tensor."""
        tensor = self.tensors.get(name)
        if tensor is None or len(tensor.shape) <= place:
            return None
        return tensor.shape[place]

    def vocabulary(self) -> int | None:
        """Rows of the token embedding, else the number of tokens; None where neither is in the file."""
        rows = self.width(EMBEDDING, 0) or self.positive("vocab_size")
        tokens = self.metadata.get(TOKENS)
        return rows or (tokens.count if isinstance(tokens, Omitted) else None)
