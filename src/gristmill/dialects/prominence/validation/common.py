"""Checks that several parts of a description share."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from gristmill.dialects.prominence.errors import bad

MOST_NAME = 512
_NAME = re.compile(r"[A-Za-z0-9\-_./\s]*", re.ASCII)
_LABEL_NAME = re.compile(r"[A-Za-z0-9]+")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9_./\-]+")


def is_integer(value: object) -> bool:
    """Whether a JSON value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def quoted(name: object) -> str:
    """Return a name from outside as it stands in a message, cut where it is long."""
    return str(name)[:MOST_NAME]


def check_object(value: object, what: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise bad(f"{what} must be defined as a dict")
    return value


def check_keys(value: Mapping[str, Any], allowed: Collection[str], where: str) -> None:
    """Refuse unknown keys."""
    for key in value:
        if key not in allowed:
            raise bad(f'invalid item "{quoted(key)}" in {where}')


def check_flag(value: object, name: str) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise bad(f"{name} must be either true or false")


def check_least(value: Any, least: int, most: int, what: str, unit: str = "") -> None:
    """Refuse what is not a whole number from least to most; what: as messages begin."""
    if not is_integer(value):
        raise bad(f"{what} must be an integer")
    subject = what.removeprefix("required ")
    if value < least:
        raise bad(f"{subject} must be at least {least}{unit}")
    if value > most:
        raise bad(f"{subject} must be at most {most}{unit}")


def check_name(value: object, kind: str) -> None:
    """Refuse a name; kind: ``job`` or ``workflow``."""
    if not isinstance(value, str):
        raise bad(f"invalid {kind} name")
    if len(value) > MOST_NAME:
        raise bad(f"{kind} name must be less than {MOST_NAME} characters in length")
    if not _NAME.fullmatch(value):
        raise bad(f"invalid {kind} name")


def check_labels(value: object) -> None:
    """Refuse labels."""
    for key, text in check_object(value, "labels").items():
        if len(key) > MOST_NAME:
            raise bad(f"label names must be less than {MOST_NAME} characters in length")
        if isinstance(text, str) and len(text) > MOST_NAME:
            raise bad(f"label values must be less than {MOST_NAME} characters in length")
        if not _LABEL_NAME.fullmatch(key):
            raise bad(f'label name "{key}" is invalid')
        if not isinstance(text, str) or not _LABEL_VALUE.fullmatch(text):
            raise bad(f'label value "{quoted(text)}" is invalid')


def check_notifications(value: object, event: str) -> None:
    """Refuse notifications; event: the one there is, such as ``jobFinished``."""
    if not isinstance(value, list):
        raise bad("notifications must be in the form of a list")
    for item in value:
        if not isinstance(item, dict):
            raise bad("each notification must be defined as a dict")
        check_keys(item, ("event", "type"), "notifications")
        if item.get("event") != event:
            raise bad(f'invalid notification event "{quoted(item.get("event", ""))}"')
        if item.get("type") != "email":
            raise bad(f'invalid notification type "{quoted(item.get("type", ""))}"')
