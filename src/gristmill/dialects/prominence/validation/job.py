"""A job's description as a whole."""

from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import (
    check_keys,
    check_labels,
    check_name,
    check_notifications,
)
from gristmill.dialects.prominence.validation.files import (
    check_artifacts,
    check_inputs,
    check_outputs,
)
from gristmill.dialects.prominence.validation.policies import check_job_policies
from gristmill.dialects.prominence.validation.resources import check_resources
from gristmill.dialects.prominence.validation.storage import check_storage
from gristmill.dialects.prominence.validation.tasks import check_tasks

JOB_KEYS = (
    "name", "labels", "tasks", "resources", "policies", "notifications", "inputs", "artifacts",
    "outputFiles", "outputDirs", "storage",
)  # fmt: skip
JOB_FINISHED = "jobFinished"


def check_job(job: Any) -> dict[str, Any]:
    """Return a job's description as it was given. Raises RefusedError with the first problem."""
    if not isinstance(job, dict):
        raise bad("a job description must be a JSON object")
    check_keys(job, JOB_KEYS, "job description")
    if "name" in job:
        check_name(job["name"], "job")
    if "labels" in job:
        check_labels(job["labels"])
    if "resources" not in job:
        raise bad("a job must contain resources")
    check_resources(job["resources"])
    if "tasks" not in job:
        raise bad("a job must contain tasks")
    check_tasks(job["tasks"], job["resources"])
    _check_files(job)
    if "storage" in job:
        check_storage(job["storage"])
    if "policies" in job:
        check_job_policies(job["policies"])
    if "notifications" in job:
        check_notifications(job["notifications"], JOB_FINISHED)
    return job


def _check_files(job: dict[str, Any]) -> None:
    if "artifacts" in job:
        check_artifacts(job["artifacts"])
    for key in ("outputFiles", "outputDirs"):
        if key in job:
            check_outputs(job[key], key)
    if "inputs" in job:
        check_inputs(job["inputs"])
