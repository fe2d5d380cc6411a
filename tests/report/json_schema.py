"""A validator for the part of JSON Schema that the program publishes; a keyword it does not know is an error."""

from typing import Any

SILENT = {"$schema", "$defs", "title", "description", "default", "examples", "maxLength"}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$") -> list[str]:
    """What is wrong with a value, each with its place."""
    root = schema if root is None else root
    found: list[str] = []
    if "type" in schema and (wrong := _type(value, schema["type"], schema, root, at)):
        return wrong
    for keyword, rule in schema.items():
        if keyword not in SILENT:
            found += CHECKS[keyword](value, rule, schema, root, at)
    return found


def _type(value: Any, rule: str, schema: Any, root: Any, at: str) -> list[str]:
    right = isinstance(value, TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
    return [] if right else [f"{at}: {value!r} is no {rule}"]


def _ref(value: Any, rule: str, schema: Any, root: Any, at: str) -> list[str]:
    return problems(value, root["$defs"][rule.removeprefix("#/$defs/")], root, at)


def _any_of(value: Any, rule: list[Any], schema: Any, root: Any, at: str) -> list[str]:
    tried = [problems(value, option, root, at) for option in rule]
    return [] if not all(tried) else [f"{at}: {value!r} is none of {len(rule)} forms: {tried}"]


def _properties(value: Any, rule: dict[str, Any], schema: Any, root: Any, at: str) -> list[str]:
    return [p for key, sub in rule.items() if key in value for p in problems(value[key], sub, root, f"{at}.{key}")]


def _required(value: Any, rule: list[str], schema: Any, root: Any, at: str) -> list[str]:
    return [f"{at}: {key} is missing" for key in rule if key not in value]


def _additional(value: Any, rule: Any, schema: Any, root: Any, at: str) -> list[str]:
    others = [key for key in value if key not in schema.get("properties", ())]
    if isinstance(rule, dict):
        return [p for key in others for p in problems(value[key], rule, root, f"{at}.{key}")]
    return [] if rule else [f"{at}: {key} is unknown" for key in others]


def _items(value: Any, rule: dict[str, Any], schema: Any, root: Any, at: str) -> list[str]:
    return [p for i, item in enumerate(value) for p in problems(item, rule, root, f"{at}[{i}]")]


CHECKS: dict[str, Any] = {
    "type": _type,
    "$ref": _ref,
    "anyOf": _any_of,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "enum": lambda value, rule, *rest: [] if value in rule else [f"{rest[-1]}: {value!r} is none of {rule}"],
    "const": lambda value, rule, *rest: [] if value == rule else [f"{rest[-1]}: {value!r} is not {rule}"],
    "minimum": lambda value, rule, *rest: [] if value >= rule else [f"{rest[-1]}: {value} < {rule}"],
    "maximum": lambda value, rule, *rest: [] if value <= rule else [f"{rest[-1]}: {value} > {rule}"],
    "exclusiveMinimum": lambda value, rule, *rest: [] if value > rule else [f"{rest[-1]}: {value} <= {rule}"],
    "exclusiveMaximum": lambda value, rule, *rest: [] if value < rule else [f"{rest[-1]}: {value} >= {rule}"],
}
