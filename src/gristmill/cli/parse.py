"""Option values as people write them, to values; a bad one is a usage error that names it."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import typer

T = TypeVar("T")


def size(text: str) -> int:
    """Megabytes from ``2G``."""
    from gristmill.domain.units import parse_size_mb

    return _checked(parse_size_mb, text)


def duration(text: str) -> float:
    """Seconds from ``1h30m``."""
    from gristmill.domain.units import parse_duration

    return _checked(parse_duration, text)


def pairs(words: Iterable[str] | None, option: str) -> dict[str, str]:
    """Read words such as ``name=value``; the value may be empty and may hold further ``=``."""
    result = {}
    for word in words or ():
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE", param_hint=option)
        result[name] = value
    return result


def states(text: str | None) -> tuple[str, ...]:
    """Job states from ``ready,running``."""
    from gristmill.domain.state import BY_WORD

    words = tuple(word.strip() for word in text.split(",")) if text else ()
    for word in words:
        if word not in BY_WORD:
            raise typer.BadParameter(
                f"{word!r} is not a state; there are {', '.join(BY_WORD)}", param_hint="--state"
            )
    return words


def _checked(parse: Callable[[str], T], text: str) -> T:
    from gristmill.domain.errors import InvalidInputError

    try:
        return parse(text)
    except InvalidInputError as error:
        raise typer.BadParameter(str(error)) from error
