"""YAML as a tree that remembers its lines, read from text nobody has vouched for.

Only plain data is read: text, numbers, true and false, nothing, lists, mappings. Aliases work,
but count at full size, so that a small file cannot stand for a huge one.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from yaml.resolver import BaseResolver

from gristmill.domain.errors import InvalidInputError

LONGEST_TEXT = 4 << 20
MOST_VALUES = 200_000
DEEPEST = 16

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"true", "yes", "on"})

Scalar = str | int | float | bool | None


class Node(NamedTuple):
    """A value and the line it starts on. size: values in it, aliases counted in full."""

    line: int
    value: "Scalar | list[Node] | dict[str, Node]"
    size: int = 1
    height: int = 1


def read_documents(text: str) -> list[Node]:
    """Return every document of text that is not empty.

    Raises InvalidInputError with the line, when text is too long, too deep, holds a key twice,
    or is no YAML.
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidInputError(f"longer than {LONGEST_TEXT >> 20} MiB: split the file")
    try:
        text.encode()
        documents = list(_Reader(text).documents())
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise InvalidInputError(f"line {line}: holds a character that is no text") from error
    except yaml.MarkedYAMLError as error:
        raise InvalidInputError(_explain(error)) from error
    except yaml.YAMLError as error:
        raise InvalidInputError(f"is no YAML: {' '.join(str(error).split())}") from error
    return [node for node in documents if node.value is not None]


def plain(node: Node) -> Any:
    """Return the value without its lines."""
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return node.value


class _Reader:
    def __init__(self, text: str) -> None:
        self._loader = _Loader(text)
        self._anchors: dict[str, Node] = {}
        self._size = 0

    def documents(self) -> Iterator[Node]:
        self._expect(yaml.StreamStartEvent)
        while not self._loader.check_event(yaml.StreamEndEvent):
            self._expect(yaml.DocumentStartEvent)
            self._anchors = {}
            yield self._node(1)
            self._expect(yaml.DocumentEndEvent)

    def _expect(self, kind: type[yaml.Event]) -> None:
        event = self._loader.get_event()
        assert isinstance(event, kind), event

    def _node(self, depth: int) -> Node:
        event = self._loader.get_event()
        line = event.start_mark.line + 1
        if depth > DEEPEST:
            raise _error(line, f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line, depth)
        node = self._fresh(event, line, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _fresh(self, event: Any, line: int, depth: int) -> Node:
        self._count(1, line)
        if isinstance(event, yaml.ScalarEvent):
            return Node(line, self._scalar(event, line))
        if event.tag is not None and event.tag not in (f"{_TAG}seq", f"{_TAG}map"):
            raise _error(line, f"the tag {event.tag!r} is not allowed here")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(line, depth)
        return self._mapping(line, depth)

    def _alias(self, anchor: str | None, line: int, depth: int) -> Node:
        node = self._anchors.get(anchor or "")
        if node is None:
            raise _error(line, f"*{anchor} stands before the end of its &{anchor}, or without one")
        if depth + node.height - 1 > DEEPEST:
            raise _error(line, f"nested more than {DEEPEST} deep")
        self._count(node.size, line)
        return node

    def _count(self, values: int, line: int) -> None:
        self._size += values
        if self._size > MOST_VALUES:
            raise _error(line, f"more than {MOST_VALUES} values: split the file")

    def _list(self, line: int, depth: int) -> Node:
        items: list[Node] = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node(depth + 1))
        self._loader.get_event()
        return Node(line, items, *_extent(items))

    def _mapping(self, line: int, depth: int) -> Node:
        items: dict[str, Node] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            event = self._loader.get_event()
            key_line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise _error(key_line, "a key must be plain text")
            if event.value in items:
                raise _error(key_line, f"{event.value!r} stands twice in one mapping")
            items[event.value] = self._node(depth + 1)._replace(line=key_line)
        self._loader.get_event()
        return Node(line, items, *_extent(list(items.values())))

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        tag, text = event.tag, event.value
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit)
        if tag == BaseResolver.DEFAULT_SCALAR_TAG:
            return text
        if tag == f"{_TAG}null":
            return None
        if tag == f"{_TAG}bool":
            return text.lower() in _TRUE
        # A number that is not decimal stays text: 12:00 is a time of day, not 720.
        if tag == f"{_TAG}int":
            return int(text) if _NUMBER.match(text) else text
        if tag == f"{_TAG}float":
            return _fraction(text)
        if tag in (f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}merge"):
            return text
        raise _error(line, f"the tag {tag!r} is not allowed here")


def _fraction(text: str) -> Scalar:
    try:
        return float(text)
    except ValueError:
        return text


def _extent(items: list[Node]) -> tuple[int, int]:
    size = 1 + sum(item.size for item in items)
    return size, 1 + max((item.height for item in items), default=0)


def _error(line: int, message: str) -> InvalidInputError:
    return InvalidInputError(f"line {line}: {message}")


def _explain(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}is no YAML: {error.problem or error.context}"
