"""What is wrong with a document by its JSON Schema."""

from typing import Any

from jsonschema import Draft202012Validator


def problems(value: Any, schema: dict[str, Any]) -> list[str]:
    """What is wrong with a value, each with its place; the schema itself has to be one."""
    Draft202012Validator.check_schema(schema)
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]
