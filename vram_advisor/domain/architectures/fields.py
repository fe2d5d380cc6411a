"""Typed reading of a Hugging Face configuration: every refusal names the field and what was expected."""

import reprlib
from collections.abc import Mapping, Sequence

from vram_advisor.units.errors import BadInput

MAX_LAYERS = 4096
MAX_WIDTH = 1 << 22
"""Largest hidden, intermediate or head width that is believed [elements]."""
MAX_ROWS = 1 << 26
"""Largest vocabulary that is believed [rows]."""
MAX_TOKENS = 1 << 31
"""Largest context or window that is believed [tokens]."""
MAX_HEADS = 1 << 16

HIDDEN = ("hidden_size", "n_embd", "d_model", "n_embed")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num")
HEAD_DIM = ("head_dim", "kv_channels", "attention_head_dim")
INTERMEDIATE = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim")
CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")
VOCAB = ("padded_vocab_size", "vocab_size")


class Fields:
    """A configuration with typed access.

    ``where`` names the file in messages; ``defaults`` are what the configuration class of transformers assumes for
    fields that a file leaves out.
    """

    def __init__(self, values: Mapping[str, object], where: str, defaults: Mapping[str, object] | None = None) -> None:
        self.values = values
        self.where = where
        self.defaults = defaults or {}

    def get(self, *names: str) -> tuple[str, object]:
        """First of the names that has a value, and the value; the default where the file has none."""
        for source in (self.values, self.defaults):
            for name in names:
                value = source.get(name)
                if value is not None:
                    return name, value
        return names[0], None

    def wrong(self, name: str, value: object, expected: str) -> BadInput:
        """The error for a field of the wrong type or size."""
        return BadInput(f"{self.where}: {name} is {reprlib.repr(value)}, expected {expected}")

    def missing(self, names: Sequence[str], expected: str) -> BadInput:
        """The error for a required field that is not there."""
        also = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
        return BadInput(f"{self.where}: {names[0]}{also} is missing, expected {expected}")

    def integer(self, *names: str, low: int = 1, high: int = MAX_WIDTH) -> int:
        """A required whole number between low and high."""
        value = self.optional_integer(*names, low=low, high=high)
        if value is None:
            raise self.missing(names, f"a whole number from {low:,} to {high:,}")
        return value

    def optional_integer(self, *names: str, low: int = 1, high: int = MAX_WIDTH) -> int | None:
        """A whole number, or None where the file has none. A list of equal numbers counts as the number."""
        name, value = self.get(*names)
        if value is None:
            return None
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, value, f"a whole number from {low:,} to {high:,}")
        return value

    def integer_or(self, default: int, *names: str, low: int = 0, high: int = MAX_WIDTH) -> int:
        """A whole number, or the default where the file has none."""
        value = self.optional_integer(*names, low=low, high=high)
        return default if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        _, value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def number(self, *names: str) -> float | None:
        """A finite number, or None where the file has none."""
        name, value = self.get(*names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
            raise self.wrong(name, value, "a finite number")
        return float(value)

    def text(self, *names: str) -> str | None:
        """A string, or None where the file has none."""
        name, value = self.get(*names)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > 4096:
            raise self.wrong(name, value, "a text")
        return value

    def texts(self, *names: str, length: int) -> tuple[str, ...] | None:
        """A list of ``length`` strings, or None where the file has none."""
        name, value = self.get(*names)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, value, f"a list of {length:,} texts, one per layer")
        return tuple(value)

    def integers(self, *names: str, high: int = MAX_WIDTH) -> tuple[int, ...] | None:
        """A list of whole numbers, or None where the file has none."""
        name, value = self.get(*names)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > MAX_LAYERS:
            raise self.wrong(name, value, "a list of whole numbers")
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int) or not -1 <= item <= high:
                raise self.wrong(name, value, f"a list of whole numbers up to {high:,}")
        return tuple(value)

    def table(self, name: str) -> Mapping[str, object] | None:
        """An object, or None where the file has none."""
        _, value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.wrong(name, value, "an object")
        return value

    def inside(self, name: str) -> "Fields":
        """The fields of an object inside this one; empty where the file has none."""
        return Fields(self.table(name) or {}, f"{self.where}: {name}")
