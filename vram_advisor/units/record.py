"""The base of every record that is read from a file or given by a user."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
