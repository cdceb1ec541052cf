"""Job specifications from a command line or a file."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec, check_spec

Fields = Mapping[str, Any]

_JSON_START = re.compile(r"\s*(\[\s*[\[\]{\"]|\{\s*[\"}])")
"""How JSON begins and a shell command hardly ever does."""

_PLACE = re.compile(r" - at (?:`key` in )?`\$\.?(?P<place>[^`]*)`$")


def command_text(words: Sequence[str]) -> str:
    """Return shell text: one word as it is, several quoted so that they stay apart."""
    return words[0] if len(words) == 1 else shlex.join(words)


def spec_of(fields: Fields, place: str = "") -> JobSpec:
    """Make a job from the interface's fields.

    place: prefix of the names in errors, such as ``jobs[3].``. Raises InvalidInputError.
    """
    try:
        spec = msgspec.convert(fields, JobSpec)
    except msgspec.ValidationError as error:
        raise invalid(error, place) from error
    check_spec(spec, place)
    return spec


def invalid(error: msgspec.ValidationError, place: str = "") -> InvalidInputError:
    """Return the error with the field taken out of its text. place: prefix of the field."""
    text = str(error)
    found = _PLACE.search(text)
    field = found.group("place") if found else ""
    return InvalidInputError(_PLACE.sub("", text), (place + field).rstrip("."))


def specs_in(text: str, options: Fields, cwd: str | None) -> list[JobSpec]:
    """Read jobs from JSON, from JSON lines, or from one command a line.

    options: fields for every job that does not set them itself. cwd: for plain commands;
    jobs in JSON say themselves where they run. Raises InvalidInputError.
    """
    if not _JSON_START.match(text):
        return _commands(text, options if cwd is None else {"cwd": cwd, **options})
    documents = list(_documents(text))
    return [
        spec_of(_merged(options, document), f"jobs[{number}].")
        for number, document in enumerate(documents)
    ]


def _commands(text: str, options: Fields) -> list[JobSpec]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise InvalidInputError("there is no command in the input")
    template = spec_of({"command": "true", **options})
    return [msgspec.structs.replace(template, command=line) for line in lines]


def _documents(text: str) -> Iterator[dict[str, Any]]:
    try:
        whole = msgspec.json.decode(text)
        found = whole if isinstance(whole, list) else [whole]
    except msgspec.DecodeError as error:
        found = _lines(text, error)
    for number, document in enumerate(found):
        if not isinstance(document, dict):
            raise InvalidInputError("a job must be a JSON object", f"jobs[{number}]")
        yield document


def _lines(text: str, whole_error: msgspec.DecodeError) -> list[Any]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    found: list[Any] = []
    for number, line in lines:
        try:
            found.append(msgspec.json.decode(line))
        except msgspec.DecodeError as error:
            if not found:
                raise InvalidInputError(f"this is no JSON: {whole_error}") from error
            raise InvalidInputError(f"line {number} is no JSON: {error}") from error
    return found


def _merged(options: Fields, document: dict[str, Any]) -> dict[str, Any]:
    merged = {**options, **document}
    for name in ("resources", "retry", "env", "labels"):
        inner = document.get(name)
        if isinstance(inner, dict) and name in options:
            merged[name] = {**options[name], **inner}
    return merged
