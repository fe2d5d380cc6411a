"""A model as its list of tensors."""

from vram_advisor.domain.tensors.model_tensors import active_parameters, count_parameters, tensors
from vram_advisor.domain.tensors.tensor import Tensor

__all__ = ["Tensor", "active_parameters", "count_parameters", "tensors"]
