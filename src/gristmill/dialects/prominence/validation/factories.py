"""Factories: which there are, and what each kind of them needs."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import is_integer, is_number, quoted

LARGEST_NUMBER = (1 << 63) - 1
SWEEPS = ("parameterSweep", "parametricSweep")
"""The second is what older descriptions say."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_Check = Callable[[dict[str, Any], str], None]


def check_factories(workflow: Mapping[str, Any], names: set[str]) -> None:
    """Refuse a workflow's factories, or the one over all its jobs of the older form."""
    factories = workflow.get("factories", [])
    if not isinstance(factories, list):
        raise bad("factories must be a list")
    for factory in factories:
        _check_factory(factory, names)
    if "factory" in workflow:
        if not isinstance(workflow["factory"], dict):
            raise bad("a factory must be defined as a dict")
        _check_kind(older(workflow["factory"]))


def older(factory: Mapping[str, Any]) -> dict[str, Any]:
    """Return a factory of the older form with today's keys."""
    parameters = factory.get("parameterSets", factory.get("parameters"))
    known = {**factory, "parameters": parameters}
    return {key: value for key, value in known.items() if key != "parameterSets" and value}


def _check_factory(factory: Any, names: set[str]) -> None:
    if not isinstance(factory, dict):
        raise bad("a factory must be defined as a dict")
    if not isinstance(factory.get("type"), str):
        raise bad("a factory type must be specified")
    if not isinstance(factory.get("name"), str):
        raise bad("a factory name must be specified")
    if not factory.get("jobs"):
        raise bad("a list of jobs must be specified")
    if not isinstance(factory["jobs"], list):
        raise bad("jobs must be a list")
    for job in factory["jobs"]:
        if not isinstance(job, str) or job not in names:
            name = quoted(factory["name"])
            raise bad(f"factory {name} references a job {quoted(job)} which is not defined")
    _check_kind(factory)


def _check_kind(factory: dict[str, Any]) -> None:
    kind = factory.get("type")
    if not isinstance(kind, str):
        raise bad("a factory type must be specified")
    if kind == "repeat":
        _check_repeat(factory)
    elif kind in SWEEPS:
        _check_parameters(factory, kind, _check_range)
    elif kind == "zip":
        _check_parameters(factory, kind, _check_series)
        lengths = {len(parameter["values"]) for parameter in factory["parameters"]}
        if len(lengths) > 1:
            raise bad("all parameters must lists of values the same length")
    else:
        raise bad("invalid factory type")


def _check_repeat(factory: Mapping[str, Any]) -> None:
    number = factory.get("number", factory.get("num"))
    if number is None:
        raise bad("a factory of type repeat must have number specified")
    if not is_integer(number):
        raise bad("number of repeats must be an integer")
    if number < 1:
        raise bad("number of repeats must be at least 1")


def _check_parameters(factory: Mapping[str, Any], kind: str, check: _Check) -> None:
    parameters = factory.get("parameters")
    if parameters is None or parameters == []:
        raise bad(f"a factory of type {kind} must have parameters specified")
    if not isinstance(parameters, list):
        raise bad("parameters must be a list")
    seen: set[str] = set()
    for parameter in parameters:
        name = parameter.get("name") if isinstance(parameter, dict) else None
        if not isinstance(name, str):
            raise bad("a parameter must contain a name")
        if not _VARIABLE.fullmatch(name) or len(name) > 128:
            raise bad(f'invalid parameter name "{quoted(name)}"')
        if name in seen:
            raise bad("each parameter must have a unique name")
        seen.add(name)
        check(parameter, name)


def _check_range(parameter: dict[str, Any], name: str) -> None:
    if not _fits(parameter.get("start")):
        raise bad("a parameter must contain a start value")
    if not _fits(parameter.get("end")):
        raise bad("a parameter must contain an end value")
    if "step" in parameter and "number" in parameter:
        raise bad("a parameter cannot have both a step size and number of steps")
    number: Any = parameter.get("number")
    if not _fits(parameter.get("step")) and not (is_integer(number) and number > 0):
        raise bad("a parameter must contain a step size or number of steps")
    if parameter.get("step") == 0:
        raise bad(f'the step size of parameter "{name}" must not be 0')


def _check_series(parameter: dict[str, Any], name: str) -> None:
    if not parameter.get("values") and parameter.get("values") != {}:
        raise bad("a parameter must contain a list of values")
    if not isinstance(parameter["values"], list):
        raise bad("values must be a list")
    for value in parameter["values"]:
        if not isinstance(value, str) and not _fits(value):
            raise bad(f'the values of parameter "{name}" must be strings or numbers')


def _fits(value: Any) -> bool:
    """Whether a value is a number that the store can hold."""
    return is_number(value) and abs(value) <= LARGEST_NUMBER
