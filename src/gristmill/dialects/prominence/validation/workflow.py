"""A workflow's description as a whole."""

import re
from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import (
    check_flag,
    check_keys,
    check_labels,
    check_name,
    check_notifications,
    check_object,
    quoted,
)
from gristmill.dialects.prominence.validation.factories import check_factories
from gristmill.dialects.prominence.validation.job import check_job
from gristmill.dialects.prominence.validation.policies import check_placement, check_retries

WORKFLOW_KEYS = (
    "name", "labels", "jobs", "dependencies", "factories", "factory", "policies", "notifications",
)  # fmt: skip
POLICY_KEYS = ("maximumRetries", "maximumReruns", "placement", "leaveInQueue")
WORKFLOW_FINISHED = "workflowFinished"
MOST_RETRIES = 10

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_workflow(workflow: Any) -> dict[str, Any]:
    """Return a description as it was given. Raises RefusedError with the first problem."""
    if not isinstance(workflow, dict):
        raise bad("a workflow description must be a JSON object")
    check_keys(workflow, WORKFLOW_KEYS, "workflow description")
    if "name" in workflow:
        check_name(workflow["name"], "workflow")
    if "labels" in workflow:
        check_labels(workflow["labels"])
    names = _check_jobs(workflow.get("jobs"))
    _check_dependencies(workflow.get("dependencies", {}), names)
    check_factories(workflow, names)
    if "policies" in workflow:
        _check_policies(workflow["policies"])
    if "notifications" in workflow:
        check_notifications(workflow["notifications"], WORKFLOW_FINISHED)
    return workflow


def _check_jobs(jobs: Any) -> set[str]:
    if not jobs:
        raise bad("a workflow must contain jobs")
    if not isinstance(jobs, list):
        raise bad("jobs must be a list")
    names: set[str] = set()
    for job in jobs:
        name = job.get("name") if isinstance(job, dict) else None
        if name is None:
            raise bad("all jobs must have names")
        if name == "":
            raise bad("names of jobs in workflows cannot be empty")
        check_name(name, "job")
        if _CONTROL.search(name):
            raise bad("invalid job name")
        if name in names:
            raise bad(f'all jobs must have unique names: "{name}" is used more than once')
        names.add(name)
    for job in jobs:
        check_job(job)
    return names


def _check_dependencies(dependencies: Any, names: set[str]) -> None:
    if not isinstance(dependencies, dict):
        raise bad("dependencies must be a dict")
    for parent, children in dependencies.items():
        if not isinstance(children, list):
            raise bad("children of parent job must be in the form of a list")
        for child in children:
            if not isinstance(child, str) or child not in names:
                raise bad(f'child job "{quoted(child)}" is not actually defined')
        if parent not in names:
            raise bad(f'parent job "{quoted(parent)}" is not actually defined')


def _check_policies(value: Any) -> None:
    policies = check_object(value, "policies")
    check_keys(policies, POLICY_KEYS, "policies")
    if "leaveInQueue" in policies:
        check_flag(policies["leaveInQueue"], "leaveInQueue")
    if "maximumRetries" in policies:
        check_retries(policies["maximumRetries"], "retries", MOST_RETRIES)
    if "maximumReruns" in policies:
        check_retries(policies["maximumReruns"], "reruns", MOST_RETRIES)
    if "placement" in policies:
        check_placement(policies["placement"])
