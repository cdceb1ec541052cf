"""Putting the values of an instance into the job that it is made from."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gristmill.domain.factories import Factory, environment, values_of, written
from gristmill.domain.job import JobSpec

_NAME = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")

TASK_TEXTS = ("command", "argv")
STAGING_TEXTS = ("output_files", "output_dirs")

_Put = Callable[[str], str]


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$name`` and ``${name}`` of the values; other names, and ``$$``, stay."""

    def put(match: re.Match[str]) -> str:
        name = match.group(2) or match.group(3)
        return values.get(name, match.group()) if name else match.group()

    return _NAME.sub(put, text) if "$" in text else text


def instance_of(spec: JobSpec, factory: Factory, instance: int) -> JobSpec:
    """Return the job that a factory makes of spec for one instance, counted from 0."""
    values = values_of(factory, instance)
    if not values:
        return spec
    texts = {name: written(value) for name, value in values.items()}

    def put(text: str) -> str:
        return substitute(text, texts)

    changes: dict[str, Any] = {"env": {**spec.env, **environment(factory, values)}}
    if spec.command is not None:
        changes["command"] = put(spec.command)
    if spec.tasks:
        changes["tasks"] = tuple(_put_into(task, TASK_TEXTS, put) for task in spec.tasks)
    if spec.staging is not None:
        staging = _put_into(spec.staging, STAGING_TEXTS, put)
        artifacts = tuple(_put_into(each, ("url",), put) for each in staging.artifacts)
        changes["staging"] = msgspec.structs.replace(staging, artifacts=artifacts)
    return msgspec.structs.replace(spec, **changes)


def _put_into(value: Any, fields: tuple[str, ...], put: _Put) -> Any:
    changed: dict[str, Any] = {}
    for field in fields:
        text = getattr(value, field)
        if isinstance(text, str):
            changed[field] = put(text)
        elif text:
            changed[field] = tuple(put(each) for each in text)
    return msgspec.structs.replace(value, **changed)
