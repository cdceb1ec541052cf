"""The rules a job goes by."""

from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import (
    check_flag,
    check_keys,
    check_object,
    is_integer,
)

MOST_MINUTES_IN_QUEUE = 44_640
JOB_RETRIES = 6
FLAGS = (
    "preemptible", "leaveInQueue", "ignoreTaskFailures", "ignoreTaskTailures",
    "reportJobSuccessOnTaskFailure", "runSerialTasksOnAllNodes",
)  # fmt: skip
_KEYS = (
    *FLAGS, "maximumRetries", "maximumTaskRetries", "maximumTimeInQueue",
    "maximumIdleTimePerResource", "placement", "priority", "autoScalingType",
)  # fmt: skip
_AUTO_SCALING = (None, "none", "dedicated", "shared")
_PLACES = ("sites", "regions")


def check_job_policies(value: object) -> None:
    """Refuse a job's policies."""
    policies = check_object(value, "policies")
    check_keys(policies, _KEYS, "policies")
    for key in FLAGS:
        if key in policies:
            check_flag(policies[key], key)
    if "priority" in policies:
        _check_priority(policies["priority"])
    if policies.get("autoScalingType") not in _AUTO_SCALING:
        raise bad("autoScalingType, if defined, must be none, dedicated or shared")
    if "maximumRetries" in policies:
        check_retries(policies["maximumRetries"], "retries", JOB_RETRIES)
    if "maximumTaskRetries" in policies:
        check_retries(policies["maximumTaskRetries"], "task retries", JOB_RETRIES)
    if "maximumTimeInQueue" in policies:
        _check_minutes(policies["maximumTimeInQueue"], "the maximum time in queue", -1)
    if "maximumIdleTimePerResource" in policies:
        what = "the maximum idle time per resource"
        _check_minutes(policies["maximumIdleTimePerResource"], what, 1)
    if "placement" in policies:
        check_placement(policies["placement"])


def check_retries(value: Any, what: str, most: int) -> None:
    """Refuse a number of retries or the like; the limit itself is allowed."""
    if not is_integer(value):
        raise bad(f"the number of {what} must be an integer")
    if value < 1:
        raise bad(f"the number of {what} must be greater than 0")
    if value > most:
        raise bad(f"the number of {what} must be less than {most}")


def _check_priority(value: Any) -> None:
    if not is_integer(value):
        raise bad("the priority must be an integer")
    if value < 0:
        raise bad("the priority must be at least 0")


def _check_minutes(value: Any, what: str, least: int) -> None:
    if not is_integer(value):
        raise bad(f"{what} must be an integer")
    if value < least:
        raise bad(f"{what} must be at least {least}")
    if value > MOST_MINUTES_IN_QUEUE:
        raise bad(f"{what} must be less than {MOST_MINUTES_IN_QUEUE}")


def check_placement(value: object) -> None:
    """Refuse a placement policy."""
    placement = check_object(value, "placement")
    check_keys(placement, ("requirements", "preferences"), "placement policy")
    for part in ("requirements", "preferences"):
        if part in placement:
            places = check_object(placement[part], part)
            check_keys(places, _PLACES, part)
            for key in _PLACES:
                if key in places:
                    _check_places(places[key], f"{key} in {part}")


def _check_places(value: object, what: str) -> None:
    if not isinstance(value, list):
        raise bad(f"{what} must be a list")
    if not all(isinstance(name, str) and name for name in value):
        raise bad(f"{what} must be a list of strings")
