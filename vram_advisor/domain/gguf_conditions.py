"""What the quantizer of llama.cpp knows about a tensor when it chooses a type, and the questions that it asks.

Source: llama.cpp v0.5.0 ``src/llama-quant.cpp`` (llama_tensor_get_type).
"""

from collections.abc import Callable
from dataclasses import dataclass

from vram_advisor.domain.ggml_types import GGML_TYPES


@dataclass(frozen=True, slots=True)
class Traits:
    """What the rules ask about a model."""

    layers: int
    experts: int
    """Experts of a layer; 0: none."""
    group: int
    """Query heads per key head in the first layer; 0: it has no attention."""
    falcon: bool
    large: bool
    """80 layers of Llama with grouped queries or of Qwen 2, which the quantizer calls 70B: values get more bits."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One tensor, and where it stands among those of its part."""

    part: str
    place: int
    """Index among the tensors of the part; with experts the layer."""
    count: int
    """How many there are."""
    row: int
    """Elements of a row."""
    base: str
    stacked: bool
    """Three dimensions: the experts of a layer, or heads."""
    imatrix: bool
    model: Traits


Condition = Callable[[Spot], bool]


def first(n: int) -> Condition:
    """The first n."""
    return lambda spot: spot.place < n


def first_share(n: int) -> Condition:
    """The first n-th part of them."""
    return lambda spot: spot.place < spot.count // n


def middle(spot: Spot) -> bool:
    """All but the first and the last eighth."""
    return spot.count // 8 <= spot.place < 7 * spot.count // 8


def more_bits(spot: Spot) -> bool:
    """The first and the last eighth, and every third between them."""
    return not middle(spot) or (spot.place - spot.count // 8) % 3 == 2


def grouped(spot: Spot) -> bool:
    """Four query heads or more share a key head: keys and values are small."""
    return spot.model.group >= 4


def eight_experts(spot: Spot) -> bool:
    """Exactly eight experts, as in Mixtral: attention is a small part of the model."""
    return spot.model.experts == 8


def some_experts(spot: Spot) -> bool:
    """Four experts or more."""
    return spot.model.experts >= 4


def falcon(spot: Spot) -> bool:
    """Falcon has rules of its own."""
    return spot.model.falcon


def large(spot: Spot) -> bool:
    """The shape that is called 70B."""
    return spot.model.large


def ragged(spot: Spot) -> bool:
    """A row is not whole blocks of the base type."""
    return spot.row % GGML_TYPES[spot.base].block_size != 0


def stacked(spot: Spot) -> bool:
    """Three dimensions."""
    return spot.stacked


def with_imatrix(spot: Spot) -> bool:
    """An importance matrix is given."""
    return spot.imatrix


def all_of(*conditions: Condition) -> Condition:
    """All of them hold."""
    return lambda spot: all(holds(spot) for holds in conditions)


def unless(condition: Condition) -> Condition:
    """It does not hold."""
    return lambda spot: not condition(spot)
