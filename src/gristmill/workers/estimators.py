"""Estimators by name: scikit-learn's public ones, and nothing else that could be imported."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from gristmill.workers.refusals import RefusedError

MOST_STEPS = 100

FORBIDDEN: Mapping[str, str] = {
    "memory": "a cache folder on the server",
    "func": "a callable",
    "inverse_func": "a callable",
    "callback": "a callable",
}
"""Keyword arguments that would reach out of the estimator, and what they name."""

CHOICES: Mapping[str, tuple[object, ...]] = {"input": ("content",)}
"""Keyword arguments of which only some values stay inside: others read files by name."""

TEXT_READERS = frozenset({"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"})
"""Estimators whose X is a list of texts, not a table."""


class Recipe(msgspec.Struct):
    """What a client asks for; further keys are ignored."""

    pipeline: list[Any]


@cache
def known() -> Mapping[str, type[Any]]:
    """Return scikit-learn's public estimators by class name."""
    from sklearn.utils import all_estimators

    return dict(all_estimators())


def build(body: bytes) -> Any:
    """Return the unfitted estimator or pipeline that a client describes. Raises RefusedError."""
    try:
        recipe = msgspec.json.decode(body, type=Recipe)
    except msgspec.ValidationError as error:
        raise RefusedError(str(error), "pipeline") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"the body is not valid JSON: {error}", "body") from error
    steps = recipe.pipeline
    if not 1 <= len(steps) <= MOST_STEPS:
        raise RefusedError(f"must have from 1 to {MOST_STEPS} steps, not {len(steps)}", "pipeline")
    made = [_step(step, f"pipeline[{number}]") for number, step in enumerate(steps)]
    if len(made) == 1:
        return made[0][1]
    return _pipeline(made)


def _pipeline(made: Sequence[tuple[str | None, Any]]) -> Any:
    from sklearn.pipeline import Pipeline, make_pipeline

    defaults = [name for name, _ in make_pipeline(*(estimator for _, estimator in made)).steps]
    steps = [
        (given or default, estimator)
        for (given, estimator), default in zip(made, defaults, strict=True)
    ]
    names = [name for name, _ in steps]
    if len(set(names)) != len(names):
        raise RefusedError("two steps have the same name", "pipeline")
    for number, (_, estimator) in enumerate(steps[:-1]):
        if not hasattr(estimator, "transform"):
            raise RefusedError("only the last step may lack transform", f"pipeline[{number}]")
    if any("__" in name for name in names):
        raise RefusedError("names of steps must not contain '__'", "pipeline")
    return Pipeline(steps)


def _step(step: Any, field: str) -> tuple[str | None, Any]:
    if isinstance(step, str):
        step = [step, {}]
    if not isinstance(step, list) or not 1 <= len(step) <= 3:
        raise RefusedError("a step is [class, arguments] or [name, class, arguments]", field)
    name = None
    if len(step) == 3:
        name, *step = step
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            raise RefusedError("the name of a step is a text", f"{field}[0]")
    class_name, arguments = step[0], (step[1] if len(step) == 2 else {})
    if not isinstance(class_name, str):
        raise RefusedError("the class of a step is a text", field)
    if not isinstance(arguments, dict):
        raise RefusedError("the arguments of a step are an object", field)
    return name, _estimator(_class(class_name, field), arguments, field)


def _class(name: str, field: str) -> type[Any]:
    """Look the class up; a dotted name must be where scikit-learn shows that class."""
    module, _, short = name.rpartition(".")
    found = known().get(short)
    if found is not None:
        public = found.__module__.split("._")[0]
        if module in {"", public, found.__module__}:
            return found
    raise RefusedError(f"there is no estimator {name[:100]!r} in scikit-learn", field)


def _estimator(kind: type[Any], arguments: dict[str, Any], field: str) -> Any:
    for name, value in arguments.items():
        if name in FORBIDDEN:
            raise RefusedError(f"{name!r} would be {FORBIDDEN[name]}", f"{field}.{name}")
        if name in CHOICES and value not in CHOICES[name]:
            raise RefusedError(f"{name!r} must stay {CHOICES[name][0]!r}", f"{field}.{name}")
    values = {name: _argument(value) for name, value in arguments.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _made(kind, values, field)


def _made(kind: type[Any], values: dict[str, Any], field: str) -> Any:
    try:
        estimator = kind(**values)
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{kind.__name__}: {error}", field) from error
    if hasattr(estimator, "_parameter_constraints"):
        try:
            estimator._validate_params()  # noqa: SLF001 - what fit itself calls first
        except ValueError as error:
            raise RefusedError(str(error), field) from error
    return estimator


def _argument(value: Any) -> Any:
    """Pairs, such as ngram_range, are tuples in scikit-learn and lists in JSON."""
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return tuple(value)
    return value


def reads_text(estimator: Any) -> bool:
    """Whether X is to be a list of texts."""
    steps = getattr(estimator, "steps", None)
    first = steps[0][1] if steps else estimator
    return type(first).__name__ in TEXT_READERS
