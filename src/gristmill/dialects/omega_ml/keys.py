"""What a path means: a resource, the key of an object, and what is to be done with it."""

from enum import Enum
from typing import NamedTuple

from gristmill.dialects.omega_ml.errors import refused
from gristmill.domain.errors import InvalidInputError

SUFFIX = ".ipynb"


class Form(Enum):
    """What follows the resource in a path."""

    LIST = "list"
    ITEM = "item"
    ACTION = "action"


class Target(NamedTuple):
    """What a path leads to. word: the action's, '' unless there is one."""

    resource: str
    form: Form
    key: str = ""
    word: str = ""


ASKED = ("predict", "predict_proba", "decision_function", "transform", "score")
"""Actions of models that change nothing."""

ACTIONS: dict[str, frozenset[str]] = {
    "dataset": frozenset(),
    "model": frozenset(
        {"metadata", "versions", "fit", "partial_fit", "fit_transform", "gridsearch", *ASKED}
    ),
    "job": frozenset({"run"}),
    "script": frozenset({"run"}),
    "service": frozenset({*ASKED, "run", "doc"}),
    "task": frozenset({"result", "status"}),
    "config": frozenset(),
    "ping": frozenset(),
}  # fmt: skip
PREFIXES: dict[str, frozenset[str]] = {"job": frozenset({"results", "export"})}
"""Words that stand before the key."""

KEYLESS, LISTLESS = frozenset({"config", "ping"}), frozenset({"service"})


def resolve(path: str) -> Target | None:
    """Return what a path below ``/api/v1/`` leads to, None for nothing. Raises RefusedError."""
    resource, _, rest = path.partition("/")
    rest = rest.removesuffix("/")
    words = ACTIONS.get(resource)
    if words is None or (rest and resource in KEYLESS):
        return None
    if not rest:
        return None if resource in LISTLESS else Target(resource, Form.LIST)
    first, _, below = rest.partition("/")
    if below and first in PREFIXES.get(resource, ()):
        return Target(resource, Form.ACTION, below, first)
    front, _, last = rest.rpartition("/")
    if front and last in words:
        return Target(resource, Form.ACTION, front, last)
    if resource == "task" and front:
        raise refused(400, f"{last[:80]!r}: say result or status behind the task's id")
    return Target(resource, Form.ITEM, rest)


def check_new(resource: str, key: str) -> None:
    """Refuse names that no path could lead to. Raises InvalidInputError."""
    key = key.strip("/")
    if key.rpartition("/")[2] in ACTIONS[resource] and "/" in key:
        raise InvalidInputError("must not end with the name of an action", "name")
    if "/" in key and key.partition("/")[0] in PREFIXES.get(resource, ()):
        raise InvalidInputError("must not begin with 'results' or 'export'", "name")


def spellings(resource: str, key: str) -> list[str]:
    """Return an object's name as given, and without version, projection or suffix."""
    plain = key
    if resource == "dataset" and key.endswith("]"):
        plain = key.partition("[")[0]
    elif resource in {"model", "service"}:
        plain = key.rstrip("^").partition("@")[0]
    if resource in {"job", "service"}:
        plain = plain.removesuffix(SUFFIX)
    return [plain, key]


def split_run(key: str) -> tuple[str, int] | None:
    """Return the notebook and the run that ``NAME_SECONDS.ipynb`` means, None for none."""
    name, _, stamp = key.removesuffix(SUFFIX).rpartition("_")
    if name and stamp.isascii() and stamp.isdigit() and len(stamp) <= 18:
        return name, int(stamp)
    return None
