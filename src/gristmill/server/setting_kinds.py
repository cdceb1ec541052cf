"""How the value of a setting is written, and what it becomes."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.units import parse_duration, parse_size_mb

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_URL = re.compile(r"https?://[^\s?#@/]+(/[^\s?#]*)?")
_STORE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s?#@]+")
_MAIL_ADDRESS = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
BETWEEN = ";"
"""Between the values of a setting that may have several."""

_SWITCH_WORDS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class Kind(NamedTuple):
    """A way to write a value.

    expects: what to write, for help and errors. parse: text to value, raises
    InvalidInputError. numeric: a TOML number will do. switch: true or false, no value on the
    command line. several: the flag may be given several times, and its values add up.
    """

    expects: str
    parse: Callable[[str], Any]
    numeric: bool = False
    switch: bool = False
    several: bool = False


class Address(msgspec.Struct, frozen=True):
    """Where to listen. port 0: any free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_listen(text: str) -> Address | None:
    """Turn ``127.0.0.1:7070`` or ``[::1]:0`` into an address, ``off`` into None.

    Raises InvalidInputError.
    """
    if text.strip().lower() == "off":
        return None
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise InvalidInputError(f"put the IPv6 address in brackets, as in [{host}]:{port}")
    if not colon or not host:
        raise InvalidInputError("it needs a host and a port; 0.0.0.0:PORT is every interface")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise InvalidInputError(f"{port!r} is not a port (0 to 65535, 0 picks a free one)")
    return Address(host, int(port))


def _parse_folder(text: str) -> Path:
    if "\0" in text or not text.strip():
        raise InvalidInputError("it is not a path")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidInputError("the user's home folder is unknown; write a full path") from error


def _parse_switch(text: str) -> bool:
    try:
        return _SWITCH_WORDS[text.strip().lower()]
    except KeyError:
        raise InvalidInputError("it is neither true nor false") from None


def _parse_word(text: str) -> str:
    if not _WORD.fullmatch(text.strip()):
        raise InvalidInputError("it is not a name")
    return text.strip()


def _parse_database(text: str) -> str:
    known = ("sqlite:///", "postgresql://", "postgres://")
    if text and not text.startswith(known):
        raise InvalidInputError("its scheme is none of sqlite, postgresql")
    return text


def _parse_text(text: str) -> str:
    if not text.isprintable():
        raise InvalidInputError("it holds control characters")
    return text


def _parse_cores(text: str) -> float:
    plain = text.strip()
    try:
        cores = float(plain[:-1]) / 1000 if plain.endswith("m") else float(plain)
    except ValueError:
        raise InvalidInputError("it is not a number of cores") from None
    return _within(cores, 0.001, 100_000)


def _parse_url(text: str) -> str:
    plain = text.strip().rstrip("/")
    if plain and not _URL.fullmatch(plain):
        raise InvalidInputError("it is not an http or https URL without a query")
    return plain


def _parse_store(text: str) -> str:
    plain = text.strip().rstrip("/")
    if plain and not _STORE.fullmatch(plain):
        raise InvalidInputError("it is not SCHEME://PLACE")
    return plain


def _parse_mail_address(text: str) -> str:
    if text.strip() and not _MAIL_ADDRESS.fullmatch(text.strip()):
        raise InvalidInputError("it is not a mail address")
    return text.strip()


def words(separator: str) -> Kind:
    """Return the kind: any number of words, none of them empty."""

    def parse(text: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in text.split(separator) if word.strip())

    return Kind(f"words separated by {separator!r}", parse)


def _parse_timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError("there is no such time zone") from error


def choice(*words: str, later: tuple[str, ...] = ()) -> Kind:
    """Return the kind: one of words. later: planned ones, refused with that said."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word in later:
            raise InvalidInputError(f"{word} is not built into this version yet")
        if word not in words:
            raise InvalidInputError("there is no such choice")
        return word

    return Kind(" or ".join(words), parse)


def seconds(low: float, high: float) -> Kind:
    """Return the kind: a span from low to high seconds, as ``90s``, ``1h30m`` or plain seconds."""

    def parse(text: str) -> float:
        value = parse_duration(text)
        if not low <= value <= high:
            raise InvalidInputError(f"it is not from {low:g} to {high:g} seconds")
        return value

    return Kind("a duration such as 30s or 5m", parse, numeric=True)


def or_word(word: str, kind: Kind) -> Kind:
    """Extend a kind by one word that stands for None."""

    def parse(text: str) -> Any:
        return None if text.strip().lower() == word else kind.parse(text)

    return kind._replace(expects=f"{kind.expects}, or {word}", parse=parse)


def count(low: int, high: int) -> Kind:
    """Return the kind: a whole number from low to high."""

    def parse(text: str) -> int:
        plain = text.strip()
        if not (plain.isascii() and plain.isdigit() and len(plain) < 16):
            raise InvalidInputError("it is not a whole number")
        return int(_within(int(plain), low, high))

    return Kind(f"a whole number from {low} to {high}", parse, numeric=True)


def number(low: float, high: float) -> Kind:
    """Return the kind: a number from low to high, fractions allowed."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise InvalidInputError("it is not a number") from None
        return _within(value, low, high)

    return Kind(f"a number from {low:g} to {high:g}", parse, numeric=True)


def megabytes(low: int, high: int) -> Kind:
    """Return the kind: a size with its unit, or plain megabytes."""

    def parse(text: str) -> int:
        plain = text.strip()
        bare = plain.isascii() and plain.isdigit() and len(plain) < 16
        return int(_within(int(plain) if bare else parse_size_mb(plain), low, high))

    return Kind("a size such as 512M or 2G", parse, numeric=True)


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise InvalidInputError(f"it is not from {low:g} to {high:g}")
    return value


def _parse_patterns(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(BETWEEN) if part)


FOLDER = Kind("a folder", _parse_folder)
FILE = Kind("a file", _parse_folder)
SWITCH = Kind("true or false", _parse_switch, switch=True)
WORD = Kind("a name", _parse_word)
TEXT = Kind("a line of text", _parse_text)
CORES = Kind("cores such as 8, or thousandths such as 8000m", _parse_cores, numeric=True)
PATTERNS = Kind(f"regular expressions with {BETWEEN!r} between", _parse_patterns, several=True)
LISTEN = Kind("HOST:PORT or off", parse_listen)
TIMEZONE = Kind("a time zone such as UTC or Europe/Amsterdam", _parse_timezone)
DATABASE = Kind("sqlite:///PATH or postgresql://…", _parse_database)
URL = Kind("a URL such as https://mill.example", _parse_url)
STORE = Kind("a store such as s3://bucket/prefix", _parse_store)
MAIL_ADDRESS = Kind("a mail address", _parse_mail_address)
