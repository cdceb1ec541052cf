"""HTML made of function calls: text is escaped unless it was made here."""

import html
import re
from collections.abc import Iterable

VOID = frozenset({"br", "hr", "input", "link", "meta"})

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What must not reach a page: it would be invisible, or reorder the text around it."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]
Value = str | int | float | bool | None


def visible(text: str) -> str:
    """Return text with every control character but tab and newline as a sign that can be seen."""
    return _CONTROLS.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def escape(text: str) -> Markup:
    """Return text as HTML, harmless in elements and in quoted attributes."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text)))


def join(*children: Child) -> Markup:
    """Return the HTML of children, one after the other; None is nothing."""
    return Markup("".join(_flatten(children)))


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """Return an element.

    Attributes: ``class_`` stands for class, ``data_id`` for data-id; True writes the bare name,
    False and None leave it out.
    """
    opening = f"<{name}{''.join(_attributes(attributes))}>"
    if name in VOID:
        return Markup(opening)
    return Markup(f"{opening}{''.join(_flatten(children))}</{name}>")


def _attributes(attributes: dict[str, Value]) -> Iterable[str]:
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {name}"
        elif value is not None and value is not False:
            yield f' {name}="{escape(str(value))}"'


def _flatten(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, str):
            yield escape(child)
        elif isinstance(child, int | float):
            yield str(child)
        elif child is not None:
            yield from _flatten(child)
