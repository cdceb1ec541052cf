"""The body of a POST: exact names fast, any other spelling of them as forgivingly as wr."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gristmill.dialects.wr.errors import bad_job
from gristmill.dialects.wr.wire import Behaviour, JobRequest, MountConfig, MountTarget

_decode_exact = msgspec.json.Decoder(list[JobRequest]).decode
_decode_any = msgspec.json.Decoder(list[dict[str, Any]]).decode
_PLACE = re.compile(r" - at `\$?(.*?)`$", re.DOTALL)


def _names(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {field.encode_name.lower(): field.encode_name for field in msgspec.structs.fields(kind)}


_JOB, _MOUNT = _names(JobRequest), _names(MountConfig)
_TARGET, _BEHAVIOUR = _names(MountTarget), _names(Behaviour)


def decode_jobs(body: bytes) -> list[JobRequest]:
    """Read an array of jobs. Raises RefusedError naming the field."""
    try:
        return _decode_exact(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_lenient(body)


def _decode_lenient(body: bytes) -> list[JobRequest]:
    """Take names in any case, and leave out the unknown ones."""
    try:
        return msgspec.convert([lenient(job) for job in _decode_any(body)], list[JobRequest])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_job(explain(error)) from error
    except RecursionError:
        raise bad_job("the JSON is nested too deeply") from None


def lenient(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job with its known names spelled exactly, and without the others."""
    fields = _spelled(job, _JOB)
    for name in ("on_failure", "on_success", "on_exit"):
        fields[name] = _each(fields.get(name), _BEHAVIOUR)
    mounts = _each(fields.get("mounts"), _MOUNT)
    if isinstance(mounts, list):
        for mount in mounts:
            if isinstance(mount, dict):
                mount["Targets"] = _each(mount.get("Targets"), _TARGET)
    fields["mounts"] = mounts
    return fields


def _each(values: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(values, list):
        return values
    return [_spelled(value, names) if isinstance(value, dict) else value for value in values]


def _spelled(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Spell known names exactly; null is not given, and an exact name wins over others."""
    fields: dict[str, Any] = {}
    for name, value in given.items():
        exact = names.get(name.lower())
        if exact is not None and value is not None and (exact == name or exact not in given):
            fields[exact] = value
    return fields


def explain(error: Exception) -> str:
    """Put the field first in msgspec's words."""
    text = str(error)
    place = _PLACE.search(text)
    if place is None:
        return text
    return f"{place.group(1).lstrip('.') or 'body'}: {text[: place.start()]}"
