"""YAML of unknown origin, read event by event: nothing is executed, and size, depth and time are bounded.

Only mappings, lists, text, numbers, booleans and null are read. Tags and aliases are refused where they stand, before
anything is built from them.
"""

from __future__ import annotations

from typing import Any

from vram_advisor.units.errors import BadInput

MAX_EVENTS = 200_000
"""Scalars, lists and mappings of one file; configurations have some hundreds."""
MAX_DEPTH = 50
LONGEST_NUMBER = 40
"""Characters; numbers that are longer stay text, as converting them takes longer than reading the file."""


def parse_yaml(text: str, where: str) -> Any:
    """The document that a text of YAML holds.

    Raises:
        BadInput: it is not YAML of this kind; the sentence names ``where`` and the line.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(where).build(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f" at line {mark.line + 1}" if mark else ""
        raise BadInput(f"{where} is not YAML: {error.problem or error.context}{at}.") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not YAML: {' '.join(str(error).split())[:120]}.") from None
    except RecursionError:
        raise BadInput(f"{where}: its YAML is nested too deeply.") from None


class _Builder:
    """Puts a document together from events, without recursion."""

    def __init__(self, where: str) -> None:
        from yaml.constructor import SafeConstructor
        from yaml.resolver import Resolver

        self.where = where
        self.resolver = Resolver()
        self.constructor = SafeConstructor()

    def build(self, events: Any) -> Any:
        import yaml

        top: list[Any] = []
        open_: list[tuple[Any, list[Any]]] = [(top, [])]
        documents = 0
        for count, event in enumerate(events):
            if count > MAX_EVENTS:
                raise BadInput(f"{self.where} holds more than {MAX_EVENTS:,} values, which no configuration has.")
            self.refuse(event)
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise BadInput(f"{self.where} holds several YAML documents: give one.")
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(open_) > MAX_DEPTH:
                    raise BadInput(
                        f"{self.where} line {event.start_mark.line + 1}: nested more than {MAX_DEPTH} levels deep."
                    )
                made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                self.add(open_[-1], made, event)
                open_.append((made, []))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                open_.pop()
            elif isinstance(event, yaml.ScalarEvent):
                self.add(open_[-1], self.scalar(event), event)
        return top[0] if top else None

    def refuse(self, event: Any) -> None:
        import yaml

        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise BadInput(
                f"{self.where} line {line}: *{event.anchor} repeats another part of the file, and such aliases are not"
                " read: write the values out."
            )
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise BadInput(f"{self.where} line {line}: the tag {tag[:60]} is not read: write a plain value.")

    def add(self, place: tuple[Any, list[Any]], value: Any, event: Any) -> None:
        """Put a value where it belongs: into a list, or as key or value into a mapping."""
        container, key = place
        if isinstance(container, list):
            container.append(value)
        elif key:
            container[key.pop()] = value
        else:
            line = event.start_mark.line + 1
            if isinstance(value, dict | list):
                raise BadInput(f"{self.where} line {line}: a key should be text, not a list or mapping.")
            name = str(value)
            if name in container:
                raise BadInput(f"{self.where} line {line}: {name[:60]} is there twice: keep one of the two.")
            key.append(name)

    def scalar(self, event: Any) -> Any:
        """Text, number, boolean or None by the rules of YAML 1.1."""
        import yaml

        text: str = event.value
        if not event.implicit[0] or len(text) > LONGEST_NUMBER:
            return text
        tag = self.resolver.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]
        if tag not in ("int", "float", "bool", "null"):
            return text
        node = yaml.ScalarNode(f"tag:yaml.org,2002:{tag}", text)
        try:
            return self.constructor.construct_object(node)
        except ValueError:
            return text
