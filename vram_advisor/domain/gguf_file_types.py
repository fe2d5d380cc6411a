"""File types of llama.cpp: names for a base type with exceptions (``gguf_mix``), such as Q4_K_M.

Source: llama.cpp v0.5.0 ``include/llama.h`` (llama_ftype), ``src/llama-quant.cpp`` (llama_ftype_get_default_type,
tensor_requires_imatrix).
"""

import re

from vram_advisor.units.errors import BadInput

BASE: dict[str, str] = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q8_0": "Q8_0", "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0",
    "Q5_1": "Q5_1", "Q2_K": "Q2_K", "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K",
    "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K", "IQ1_S": "IQ1_S",
    "IQ1_M": "IQ1_M", "IQ2_XXS": "IQ2_XXS", "IQ2_XS": "IQ2_XS", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S",
    "IQ3_XXS": "IQ3_XXS", "IQ3_XS": "IQ3_S", "IQ3_S": "IQ3_S", "IQ3_M": "IQ3_S", "IQ4_NL": "IQ4_NL",
    "IQ4_XS": "IQ4_XS", "TQ1_0": "TQ1_0", "TQ2_0": "TQ2_0", "MXFP4_MOE": "MXFP4",
}  # fmt: skip
"""Type of most tensors, by file type. Q1_0 and Q2_0 are for models trained in one and two bits and are left out."""
UNQUANTISED = frozenset({"F32", "F16", "BF16"})
"""File types without blocks: no exceptions."""
NEEDS_IMATRIX = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S"})
"""File types that the quantizer refuses to make without an importance matrix."""
USUAL_IMATRIX = NEEDS_IMATRIX | {"IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS"}
"""File types that are published with one as a rule."""


def file_type_named(name: str) -> str:
    """The file type that a name means, in any case and with dashes for underscores.

    Raises:
        BadInput: no such file type.
    """
    wanted = name.strip().upper().replace("-", "_")
    wanted = {"MXFP4": "MXFP4_MOE", "FP16": "F16", "FP32": "F32"}.get(wanted, wanted)
    if wanted not in BASE:
        raise BadInput(f"{name} is not a file type of llama.cpp: use one of {', '.join(BASE)}.")
    return wanted


FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 33: "Q4_0_4_4", 34: "Q4_0_4_8", 35: "Q4_0_8_8", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip
"""Names by number."""
NAMED = re.compile(
    r"(?<![A-Z0-9])(UD-)?(?P<type>IQ[1-4]_(?:XXS|XS|NL|XL|S|M|L)|Q[1-8]_(?:K(?:_(?:XXL|XL|XS|S|M|L))?|[01](?:_[48]_[48])?|L)|"
    r"TQ[12]_0|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32)(?![A-Z0-9])",
    re.IGNORECASE,
)


def file_type_of_name(name: str) -> str | None:
    """The file type that a name ends with or holds, the last of several; None where it holds none."""
    found = [match["type"].upper() for match in NAMED.finditer(name)]
    return {"FP16": "F16", "FP32": "F32"}.get(found[-1], found[-1]) if found else None
