"""What a fine-tune is run on, what it costs by the hour, and what comes of that.

Annotations of ``Dataset`` are the rules that its values are checked by (``units.record``), so they are types, not text.
"""

from dataclasses import dataclass, field

from vram_advisor.domain.throughput import Job
from vram_advisor.units.record import check_options


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a fine-tune is run on, and prices."""

    dataset: str | None = None
    """File whose examples are trained on: JSON lines, Parquet, text, or one length per line."""
    tokens: int | None = field(default=None, metadata={"minimum": 1, "maximum": 2**60})
    """Tokens of the dataset, where there is no file."""
    epochs: float = field(default=1.0, metadata={"exclusiveMinimum": 0.0, "maximum": 1e6})
    """Times that the dataset is gone through."""
    packing: bool = False
    """Examples are strung together to full sequences instead of padded."""
    price_per_kwh: float | None = field(default=None, metadata={"minimum": 0.0, "maximum": 1e9})
    """Price of electricity, in the currency."""
    rent_per_hour: float | None = field(default=None, metadata={"minimum": 0.0, "maximum": 1e9})
    """Rent of all GPUs together for an hour, in the currency."""
    currency: str | None = None
    """What prices are in, such as EUR."""

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def asked(self) -> bool:
        """Whether there is a dataset."""
        return self.dataset is not None or self.tokens is not None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlannedJob:
    """A fine-tune on a dataset, by a plan that fits where one is known."""

    job: Job
    asked: Dataset
    counted: str
    """How the tokens were counted, in words."""
    share: float
    """Share of the file that was read; the rest is taken to be like it."""
    plan: str
    """Which plan it is for: as asked, or the moves of an advice."""
    sequence_length: int
    """To which examples are cut or packed [tokens]."""
