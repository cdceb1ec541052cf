"""A job's fields to the changes of a schedule, and back: pure functions."""

from typing import Any

import msgspec

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.context import Document
from gristmill.dialects.job_runner.errors import RefusedError, bad, refusal
from gristmill.dialects.job_runner.uris import optional_uri, uri, uris
from gristmill.domain.declared import Address, Title
from gristmill.domain.errors import ConflictError, GristmillError, InvalidInputError
from gristmill.services.schedules.book import ScheduleView
from gristmill.services.schedules.defining import ScheduleChange

LONGEST_INTERVAL = 1_000_000
LONGEST_ADDRESSES = 100_000
UNITS = {"MINUTE": "minute", "HOUR": "hour", "DAY": "day", "MONTH": "month"}
_WORDS = {unit: word for word, unit in UNITS.items()}

_CORE_NAMES = {
    "title": "name",
    "description": "description",
    "job_template": "template_id",
    "worker_pool": "pool_id",
    "parent": "parent_id",
    "children": "child_ids",
    "script_content_partial": "script",
    "reschedule_interval": "every_count",
    "enqueue_is_enabled": "enabled",
    "run_on_all_workers": "run_on_all_workers",
    "schedule_children_on_error": "run_children_on_error",
    "disable_enqueue_after_fails": "disable_after_failures",
    "notification_addresses": "notify_text",
}
_WIRE_NAMES = {
    **{core: wire for wire, core in _CORE_NAMES.items()},
    "every": "reschedule_interval",
    "notify": "notification_addresses",
}


def write_job(mount: str, job: ScheduleView) -> Document:
    """Return a job as clients see it."""
    return {
        "id": job.id,
        "resource_uri": uri(mount, "job", job.id),
        "title": job.name,
        "description": job.description,
        "job_template": uri(mount, "job_template", job.template_id),
        "worker_pool": uri(mount, "worker_pool", job.pool_id),
        "parent": optional_uri(mount, "job", job.parent_id),
        "children": uris(mount, "job", tuple(job.child_ids)),
        "script_content_partial": job.script,
        "script_content": job.rendered,
        "enqueue_is_enabled": job.enabled,
        "reschedule_interval": job.every_count,
        "reschedule_interval_type": _WORDS[job.every_unit] if job.every_unit else "",
        "run_on_all_workers": job.run_on_all_workers,
        "schedule_children_on_error": job.run_children_on_error,
        "notification_addresses": job.notify_text,
        "disable_enqueue_after_fails": job.disable_after_failures,
    }


def to_change(fields: Fields) -> ScheduleChange:
    """Return what a body changes of a job, or makes of none. Raises RefusedError."""
    _check(fields)
    given: dict[str, Any] = {
        core: fields[wire] for wire, core in _CORE_NAMES.items() if wire in fields
    }
    if "reschedule_interval_type" in fields:
        given["every_unit"] = UNITS.get(fields["reschedule_interval_type"])
    return ScheduleChange(**given)


def _check(fields: Fields) -> None:
    _check_interval(fields.get("reschedule_interval"), fields.get("reschedule_interval_type", ""))
    if "title" in fields:
        _check_title(fields["title"])
    most = fields.get("disable_enqueue_after_fails")
    if most is not None and not 0 <= most <= LONGEST_INTERVAL:
        raise bad("disable_enqueue_after_fails", f"{most} is not from 0 to {LONGEST_INTERVAL}")
    text = fields.get("notification_addresses", "")
    if len(text) > LONGEST_ADDRESSES:
        raise bad("notification_addresses", f"has more than {LONGEST_ADDRESSES} characters")
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            msgspec.convert(line, Address)
        except msgspec.ValidationError:
            raise bad("notification_addresses", f"{line[:80]!r} is no mail address") from None


def _check_title(title: str) -> None:
    try:
        msgspec.convert(title, Title)
    except msgspec.ValidationError:
        raise bad("title", "has 1 to 255 characters, and no line breaks or the like") from None


def _check_interval(count: int | None, word: str) -> None:
    if count is not None and not 1 <= count <= LONGEST_INTERVAL:
        raise bad("reschedule_interval", f"{count} is not from 1 to {LONGEST_INTERVAL}")
    if word and word not in UNITS:
        raise bad("reschedule_interval_type", f"{word[:40]!r} is none of {', '.join(UNITS)}")


def job_refusal(error: GristmillError) -> RefusedError:
    """Return how an error of the schedules is answered, in the words of this interface."""
    if isinstance(error, ConflictError):
        return RefusedError(400, str(error))
    if isinstance(error, InvalidInputError) and error.field in _WIRE_NAMES:
        return bad(_WIRE_NAMES[error.field], str(error))
    return refusal(error)
