"""Serve rules: regular expressions over ``resource/name/action``, in time linear in the text."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import re2

from gristmill.dialects.omega_ml.errors import refused
from gristmill.domain.errors import InvalidInputError

EVERYTHING = ".*/.*/.*"
LONGEST_SUBJECT = 2048
LONGEST_RULE = 1000
_MEMORY = 1 << 20


class Rules:
    """What may be called. Raises InvalidInputError for a rule that is no regular expression."""

    def __init__(self, rules: Sequence[str]) -> None:
        texts = [rule for rule in rules if rule] or [EVERYTHING]
        self.open = EVERYTHING in texts
        self._rules = [compiled(text) for text in texts]
        self._resources = [_resource_of(text) for text in texts]

    def passes(self, resource: str, names: Iterable[str], action: str) -> bool:
        """Whether a call may be made. names: all spellings of the object. Raises RefusedError."""
        if self.open:
            return True
        subjects = list(_subjects(resource, names, action))
        if any(len(subject) > LONGEST_SUBJECT for subject in subjects):
            raise refused(400, f"name: longer than {LONGEST_SUBJECT} characters with its action")
        return any(rule.fullmatch(subject) for rule in self._rules for subject in subjects)

    def check(self, resource: str, names: Sequence[str], action: str) -> None:
        """Refuse a call that no rule lets through. Raises RefusedError."""
        if not self.passes(resource, names, action):
            raise refused(403, f"{resource}/{names[0][:200]}/{action} is not available")

    def check_resource(self, resource: str) -> None:
        """Refuse a resource of which nothing can be available. Raises RefusedError."""
        words = (resource, f"{resource}s")
        if not any(rule is None or any(map(rule.fullmatch, words)) for rule in self._resources):
            raise refused(403, f"{resource} is not available")


def read_rules(path: Path) -> tuple[str, ...]:
    """Return the rules of a file, one a line, comments left out. Raises InvalidInputError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the serve rules {path}: {error}"
        raise InvalidInputError(message, "omega_rules") from error
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def compiled(text: str) -> Any:
    """Return a rule ready for use. Raises InvalidInputError."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        if len(text) > LONGEST_RULE:
            raise InvalidInputError(f"has more than {LONGEST_RULE} characters")
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise InvalidInputError(
            f"{text[:80]!r} is no regular expression that runs in linear time: {reason}"
        ) from error


def _resource_of(text: str) -> Any:
    """Return what a rule says of the resource alone; None when that cannot be told apart."""
    try:
        return compiled(text.partition("/")[0])
    except InvalidInputError:
        return None


def _subjects(resource: str, names: Iterable[str], action: str) -> Iterator[str]:
    for name in dict.fromkeys(names):
        for word in (resource, f"{resource}s"):
            yield f"{word}/{name}/{action}"
            yield f"{word}/{name}/{action}/"
