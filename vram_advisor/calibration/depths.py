"""Two small depths of a model from which any depth follows exactly.

Layers repeat: some of their own kind come first, then a group of layers again and again, then a rest. What a phase needs
is linear in the number of groups, so two runs that differ by one group say what each further group adds. Where no group
is found, the whole model is run.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vram_advisor.units.errors import BadInput

COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers")
"""Keys under which configurations count their layers."""
KINDS = ("layer_types", "layers_block_type")
"""Keys of a kind per layer, which count layers where nothing else does."""
PERIODS = (
    "sliding_window_pattern", "full_attention_interval", "global_attn_every_n_layers", "decoder_sparse_step",
    "moe_layer_freq", "interleave_moe_layer_step", "moe_layer_interval", "no_rope_layer_interval", "attn_layer_period",
    "expert_layer_period", "layers_period",
)  # fmt: skip
"""Keys that make every n-th layer another one."""
FIRST = ("first_k_dense_replace", "num_dense_layers", "n_dense_layers", "max_window_layers")
"""Keys that make the first n layers another kind."""
LAST = ("num_kv_shared_layers",)
"""Keys that make the last n layers another kind."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Layers as a prefix, whole groups, and a rest."""

    prefix: int
    group: int
    """Layers of one group; 0: none was found."""
    groups: int
    rest: int

    @property
    def layers(self) -> int:
        """All layers."""
        return self.prefix + self.group * self.groups + self.rest

    @property
    def short(self) -> int:
        """The smaller of the two depths: each layer of a group is there once more than at an end of the model."""
        return self.prefix + (3 if self.group == 1 else 2) * self.group + self.rest

    @property
    def depths(self) -> tuple[int, ...]:
        """The two depths, or the whole one where they would save nothing."""
        if not self.group or 2 * self.short + self.group > self.layers:
            return (self.layers,)
        return self.short, self.short + self.group


def pattern(kinds: Sequence[Hashable]) -> Pattern:
    """The pattern of layers of these kinds whose two depths are smallest."""
    best = Pattern(len(kinds), 0, 0, 0)
    least = len(kinds)
    for group in range(1, len(kinds) // 2 + 1):
        for prefix in range(len(kinds) - 2 * group):
            stop = prefix + group
            while stop < len(kinds) and kinds[stop] == kinds[stop - group]:
                stop += 1
            groups = (stop - prefix) // group
            found = Pattern(prefix, group, groups, len(kinds) - prefix - group * groups)
            if len(found.depths) == 2 and sum(found.depths) < least:
                best, least = found, sum(found.depths)
    return best


def layer_count(config: Mapping[str, object]) -> int:
    """Layers of a configuration.

    Raises:
        BadInput: it does not say.
    """
    for values in (config, _text(config)):
        for key in COUNTS:
            count = values.get(key)
            if isinstance(count, int) and not isinstance(count, bool) and count > 0:
                return count
        for key in KINDS:
            kinds = values.get(key)
            if isinstance(kinds, (list, tuple)) and kinds:
                return len(kinds)
    raise BadInput(f"The configuration does not count its layers: {', '.join(COUNTS[:3])} are looked for.")


def layer_kinds(config: Mapping[str, object]) -> list[Hashable]:
    """What a configuration says of each of its layers: lists with an entry per layer, and rules by number."""
    values = _text(config)
    count = layer_count(config)
    kinds: list[Hashable] = []
    for i in range(count):
        said: list[Hashable] = []
        for key, value in sorted(values.items()):
            if _is_per_layer(value, count):
                said.append(repr(value[i]))  # type: ignore[index]
            elif _is_choice(key, value, count):
                said.append(i in value)  # type: ignore[operator]
            elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
                if key in PERIODS:
                    said.append(i % value)
                elif key in FIRST:
                    said.append(i < value)
                elif key in LAST:
                    said.append(i >= count - value)
        kinds.append(tuple(said))
    return kinds


def two_depths(config: Mapping[str, object]) -> tuple[int, ...]:
    """The two depths at which a model says what it needs at any, by what its configuration says; one: the whole.

    Raises:
        BadInput: the configuration does not count its layers.
    """
    return pattern(layer_kinds(config)).depths


def at_depth(config: Mapping[str, object], depth: int, found: Pattern | None = None) -> dict[str, Any]:
    """The configuration with fewer groups of layers.

    Args:
        config: ``config.json``; the text model may be nested in it.
        depth: one of ``two_depths``, or any other that leaves whole groups; any at all where there is no pattern.
        found: the pattern of its layers; None: by what the configuration says.

    Raises:
        BadInput: the configuration does not count its layers.
    """
    count = layer_count(config)
    if depth == count:
        return dict(config)
    found = found or pattern(layer_kinds(config))
    start = depth - found.rest if found.group else depth
    values = _shortened(_text(config), count, start, count - depth)
    nested = _text(config)
    if nested is config:
        return values
    return {
        key: values if value is nested else value
        for key, value in _shortened(config, count, start, count - depth).items()
    }


def _shortened(values: Mapping[str, object], count: int, start: int, removed: int) -> dict[str, Any]:
    """Values without the layers from ``start``."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key in COUNTS and value == count:
            made[key] = count - removed
        elif _is_per_layer(value, count):
            entries = list(value)  # type: ignore[call-overload]
            made[key] = entries[:start] + entries[start + removed :]
        elif _is_choice(key, value, count):
            made[key] = [i if i < start else i - removed for i in value if not start <= i < start + removed]  # type: ignore[attr-defined]
        else:
            made[key] = value
    return made


def _text(config: Mapping[str, object]) -> Mapping[str, object]:
    """The part of a configuration that describes the language model."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _is_per_layer(value: object, count: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == count and count > 1


def _is_choice(key: str, value: object, count: int) -> bool:
    """Whether a list names some of the layers by number."""
    return (
        isinstance(value, (list, tuple))
        and 0 < len(value) < count
        and ("layer" in key or "idx" in key or "indices" in key)
        and all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < count for i in value)
        and len(set(value)) == len(value)
    )
