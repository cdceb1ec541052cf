"""The text around a script: Django's template syntax with one variable, ``content``.

Only what that one variable can need is spoken here: printing it with a filter, comments, and
parts that are left as they are. Anything else is refused when the template is declared, never
printed wrongly when its script runs.
"""

import re
from collections.abc import Callable, Iterator

from gristmill.domain.errors import InvalidInputError

VARIABLE = "content"
_FILTERS = ("safe", "escape", "force_escape")
_TOKEN = re.compile(r"(\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\})")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}

Part = str | Callable[[str], str]
"""Literal text, or what is printed of the script."""


def escape(text: str) -> str:
    """Return text with the five characters that mean something in HTML spelled out."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def render(body: str, content: str) -> str:
    """Return the body with the script in its place. Raises InvalidInputError."""
    return "".join(part if isinstance(part, str) else part(content) for part in _parts(body))


def check(body: str) -> None:
    """Raise InvalidInputError, naming the line, unless the body can be rendered."""
    for _ in _parts(body):
        pass


def _parts(body: str) -> Iterator[Part]:
    reader = _Reader(body)
    for token in reader:
        if token.startswith("{{"):
            yield reader.variable(token[2:-2])
        elif token.startswith("{%"):
            yield from reader.block(token[2:-2].strip())
        elif not token.startswith("{#") or not token.endswith("#}"):
            yield token


class _Reader:
    """The tokens of a body; knows the line it is at, and whether text is escaped there."""

    def __init__(self, body: str) -> None:
        self._tokens = [token for token in _TOKEN.split(body) if token]
        self._at = 0
        self._line = 1
        self._escaping = [True]

    def __iter__(self) -> Iterator[str]:
        while (token := self._next()) is not None:
            yield token
        if len(self._escaping) > 1:
            raise self._error("{% autoescape %} without {% endautoescape %}")

    def _next(self) -> str | None:
        if self._at == len(self._tokens):
            return None
        if self._at:
            self._line += self._tokens[self._at - 1].count("\n")
        self._at += 1
        return self._tokens[self._at - 1]

    def variable(self, text: str) -> Part:
        """Read ``content|filter|…``; anything more is refused."""
        name, *filters = [word.strip() for word in text.split("|")]
        if name != VARIABLE:
            raise self._error(f"{{{{{text}}}}} is no variable: the only one is {VARIABLE}")
        for word in filters:
            if word not in _FILTERS:
                raise self._error(f"{word!r} is no filter: use {', '.join(_FILTERS)}")
        times = filters.count("force_escape")
        if not times and "safe" not in filters:
            times = int(self._escaping[-1] or "escape" in filters)
        return lambda content: _escaped(content, times)

    def block(self, text: str) -> Iterator[str]:
        """Read a block tag; yield what is printed as it stands."""
        name, _, rest = text.partition(" ")
        if name == "comment":
            self._until("endcomment")
        elif name == "verbatim":
            yield from self._until(f"endverbatim {rest}".strip())
        elif text in ("autoescape on", "autoescape off"):
            self._escaping.append(text.endswith(" on"))
        elif text == "endautoescape" and len(self._escaping) > 1:
            self._escaping.pop()
        else:
            raise self._error(
                f"{{% {text} %}} is no tag: use comment, verbatim or autoescape on|off"
            )

    def _until(self, end: str) -> list[str]:
        skipped: list[str] = []
        while (token := self._next()) is not None:
            if token.startswith("{%") and token[2:-2].strip() == end:
                return skipped
            skipped.append(token)
        raise self._error(f"{{% {end} %}} is missing")

    def _error(self, text: str) -> InvalidInputError:
        return InvalidInputError(f"line {self._line} of the template: {text}", "body")


def _escaped(content: str, times: int) -> str:
    for _ in range(times):
        content = escape(content)
    return content
