"""Keyword arguments of calls in a Python script: its text is parsed into a tree, and nothing of it is run."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from vram_advisor.exchange.keys import Document, names
from vram_advisor.exchange.unsloth import ADAPT, LOAD
from vram_advisor.units.errors import BadInput

MAX_CHARACTERS = 256 << 10
MAX_BRACKETS = 60
"""Deeper nesting is no configuration, and the parser of Python is recursive."""
CALLS = names(
    """
    from_pretrained get_peft_model SFTConfig TrainingArguments UnslothTrainingArguments SFTTrainer UnslothTrainer
    DPOConfig ORPOConfig KTOConfig DPOTrainer ORPOTrainer KTOTrainer
    """
)
OF_A_MODEL = ("FastLanguageModel", "FastModel", "FastVisionModel")
_UNKNOWN = object()


def parse_calls(text: str, where: str) -> Document:
    """Keywords of the calls that set up a run; names are followed to constants that the script assigns them.

    Raises:
        BadInput: it is not Python, too large or nested too deeply, or none of the calls is in it.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadInput(
            f"{where} has more than {MAX_CHARACTERS:,} characters, too many for a script that sets up a run."
        )
    if _deep(text):
        raise BadInput(f"{where}: its Python is nested too deeply.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        raise BadInput(f"{where} is not Python: {error.msg} at line {error.lineno}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise BadInput(f"{where} is not Python that can be read.") from None
    known: dict[str, Any] = {}
    found: Document = {}
    try:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                value = _constant(node.value, known)
                if value is not _UNKNOWN:
                    known[node.targets[0].id] = value
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := _name(node.func)) in CALLS and _of_unsloth(node, name):
                _keywords(node, known, found, where)
    except RecursionError:
        raise BadInput(f"{where}: its Python is nested too deeply.") from None
    if not found:
        raise BadInput(f"{where}: no call of FastLanguageModel.from_pretrained or get_peft_model is in it.")
    return found


def _deep(text: str) -> bool:
    """Whether brackets or signs stand too deep within each other."""
    depth = deepest = run = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth = max(depth - 1, 0)
        run = run + 1 if character in "-+~.*" else 0
        if run > MAX_BRACKETS:
            return True
    return deepest > MAX_BRACKETS


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _of_unsloth(node: ast.Call, name: str) -> bool:
    """from_pretrained is a method of much else, such as tokenizers."""
    if name not in ("from_pretrained", "get_peft_model"):
        return True
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in OF_A_MODEL


def _keywords(node: ast.Call, known: dict[str, Any], found: Document, where: str) -> None:
    if node.args and _name(node.func) == "from_pretrained":
        value = _constant(node.args[0], known)
        if value is not _UNKNOWN:
            found["model_name"] = value
    for keyword in node.keywords:
        if keyword.arg is None:
            continue
        value = _constant(keyword.value, known)
        if value is _UNKNOWN:
            if keyword.arg in (*LOAD, *ADAPT, "per_device_train_batch_size", "gradient_accumulation_steps", "optim"):
                raise BadInput(
                    f"{where} line {keyword.value.lineno}: {keyword.arg} is computed by the script: write its value."
                )
            value = None
        found[keyword.arg] = value


def _constant(node: ast.expr, known: dict[str, Any]) -> Any:
    """The value of a constant, of a list of them, or of a name that stands for one."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, bool | int | float | str | None) else _UNKNOWN
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        return -number if isinstance(number, int | float) and not isinstance(number, bool) else _UNKNOWN
    if isinstance(node, ast.List | ast.Tuple):
        parts = [_constant(part, known) for part in node.elts]
        return _UNKNOWN if _UNKNOWN in parts else parts
    if isinstance(node, ast.Attribute):
        # torch.bfloat16 and its like
        return node.attr if isinstance(node.value, ast.Name) and node.value.id == "torch" else _UNKNOWN
    if isinstance(node, ast.Name):
        return known.get(node.id, _UNKNOWN)
    return _UNKNOWN


def write_calls(document: Document) -> str:
    """The calls that set up a run."""
    load = {key: document[key] for key in LOAD if key in document}
    adapt = {key: document[key] for key in ADAPT if key in document}
    rest = {key: value for key, value in document.items() if key not in load and key not in adapt}
    full = bool(document.get("full_finetuning"))
    if full and "use_gradient_checkpointing" in adapt:
        load["use_gradient_checkpointing"] = adapt["use_gradient_checkpointing"]
    parts = ["from trl import SFTConfig", "from unsloth import FastLanguageModel", ""]
    parts.append(_call("model, tokenizer = FastLanguageModel.from_pretrained", load))
    if not full:
        parts.append(_call("model = FastLanguageModel.get_peft_model", adapt, ("model",)))
    parts.append(_call("config = SFTConfig", rest))
    return "\n".join(parts) + "\n"


def _call(function: str, keywords: Document, first: tuple[str, ...] = ()) -> str:
    lines = [f"    {word}," for word in first]
    for key, value in keywords.items():
        written = repr(list(value)) if isinstance(value, tuple) else repr(value)
        lines.append(f"    {key}={written},")
    return "\n".join([f"{function}(", *lines, ")"])
