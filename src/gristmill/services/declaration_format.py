"""The file of ``gristmill apply``: YAML text to typed declarations that know their lines."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from gristmill.domain import declared, templates
from gristmill.domain.cron import check_cron
from gristmill.domain.declared import Named, Schedule, User, Worker
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.intervals import find_zone
from gristmill.services.yaml_nodes import Node, plain, read_documents

T = TypeVar("T")
N = TypeVar("N", bound=Named)

_PATH = re.compile(r" - at `\$(.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


class UserEntry(User, frozen=True):
    """A user as the file writes it."""

    password: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*\Z")] | None
    ) = None


class WorkerEntry(Worker, frozen=True):
    """A worker as the file writes it."""

    secret: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*\Z")] | None
    ) = None


class Entry(Generic[T]):
    """One declaration: its value, the keys that were given, and where it stands."""

    def __init__(self, value: T, node: Node, field: str) -> None:
        self.value = value
        self.given = frozenset(node.value) if isinstance(node.value, dict) else frozenset()
        self._node = node
        self._field = field

    def error(self, message: str, *steps: str | int) -> InvalidInputError:
        """Return an error about the value that the steps lead to, with its line."""
        return _error(self._node, self._field, steps, message)


class File(msgspec.Struct):
    """Everything a file declares, in its order."""

    groups: list[Entry[declared.Group]] = []
    users: list[Entry[UserEntry]] = []
    pools: list[Entry[declared.Pool]] = []
    workers: list[Entry[WorkerEntry]] = []
    projects: list[Entry[declared.Project]] = []
    templates: list[Entry[declared.Template]] = []
    schedules: list[Entry[Schedule]] = []


def read_file(text: str) -> File:
    """Return what text declares, every value checked by itself.

    Raises InvalidInputError whose text names line and field.
    """
    file = File()
    for document in read_documents(text):
        _read_document(document, file)
    return file


def _read_document(document: Node, file: File) -> None:
    if not isinstance(document.value, dict):
        raise _error(document, "", (), "the file must be a mapping, such as users: [...]")
    for section, node in document.value.items():
        if section not in _KINDS:
            raise _error(
                document, "", (section,), f"is not known here; known are {', '.join(_KINDS)}"
            )
        if node.value is None:
            continue
        if not isinstance(node.value, list):
            raise _error(document, "", (section,), "must be a list")
        entries = getattr(file, section)
        for number, item in enumerate(node.value):
            field = f"{section}[{number}]"
            entry = Entry(_convert(item, _KINDS[section], field), item, field)
            _CHECKS.get(section, _accept)(entry)
            entries.append(entry)


def _convert(node: Node, kind: type[N], field: str) -> N:
    value = plain(node)
    # Groups have nothing but a name, so the file writes the name alone.
    if kind is not declared.Group and not isinstance(value, dict):
        raise _error(node, field, (), "must be a mapping, such as {name: …}")
    try:
        if kind is declared.Group:
            return kind(name=msgspec.convert(value, declared.GroupName))
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, steps = _split(str(error))
        raise _error(node, field, steps, message) from error


def _split(text: str) -> tuple[str, tuple[str | int, ...]]:
    """Take the path out of a message of msgspec, and say what its types mean to a person."""
    found = _PATH.search(text)
    steps: list[str | int] = []
    if found:
        text = text[: found.start()]
        steps = [int(number) if number else name for name, number in _STEP.findall(found.group(1))]
    unknown = _UNKNOWN.match(text)
    if unknown:
        return "is not known here", (*steps, unknown.group(1))
    if "matching regex" in text:
        return "is empty, or holds characters that do not belong here", tuple(steps)
    if text.startswith("Expected `str") and re.search("got `(int|float|bool)`", text):
        text += ": put it in quotes"
    return text, tuple(steps)


def _accept(_entry: Entry[Any]) -> None:
    pass


def _check_schedule(entry: Entry[Schedule]) -> None:
    schedule = entry.value
    if schedule.every is not None and schedule.cron is not None:
        raise entry.error("give either every or cron, not both", "cron")
    if schedule.cron is not None:
        try:
            check_cron(schedule.cron)
        except InvalidInputError as error:
            raise entry.error(str(error), "cron") from error
    if schedule.timezone:
        try:
            find_zone(schedule.timezone)
        except InvalidInputError as error:
            raise entry.error(str(error), "timezone") from error
    for number, window in enumerate(schedule.exclude):
        if window.start > window.end:
            raise entry.error(
                f"from {window.start} comes after to {window.end}: "
                "a window over midnight is written as two",
                "exclude", number, "from",
            )  # fmt: skip


def _check_template(entry: Entry[declared.Template]) -> None:
    try:
        templates.check(entry.value.body)
    except InvalidInputError as error:
        raise entry.error(str(error), "body") from error


_KINDS: dict[str, type[Named]] = {
    "groups": declared.Group,
    "users": UserEntry,
    "pools": declared.Pool,
    "workers": WorkerEntry,
    "projects": declared.Project,
    "templates": declared.Template,
    "schedules": Schedule,
}
_CHECKS: dict[str, Callable[[Entry[Any]], None]] = {
    "schedules": _check_schedule,
    "templates": _check_template,
}


def _error(node: Node, field: str, steps: tuple[str | int, ...], message: str) -> InvalidInputError:
    """Follow the steps as far as they lead, for the nearest line there is."""
    line, here = node.line, node
    for step in steps:
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else step
        following = _follow(here, step)
        if following is not None:
            here = following
            line = here.line
    place = f"line {line}, {field}" if field else f"line {line}"
    return InvalidInputError(f"{place}: {message}", field)


def _follow(node: Node, step: str | int) -> Node | None:
    value: Any = node.value
    if isinstance(step, str) and isinstance(value, dict):
        found: Node | None = value.get(step)
    else:
        found = value[step] if isinstance(value, list) and isinstance(step, int) else None
    return found
