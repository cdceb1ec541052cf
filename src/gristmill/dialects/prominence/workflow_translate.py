"""A checked workflow description in the core's terms."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.translate import indexed_labels, spec_of
from gristmill.dialects.prominence.validation.factories import SWEEPS, older
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.factories import Factory, Range, Repeat, Series, Sweep, Zip
from gristmill.domain.job import JobSpec
from gristmill.domain.workflow import WorkflowSpec, check_workflow

PARAMETER_PREFIX = "PROMINENCE_PARAMETER_"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLACE = re.compile(r" - at `\$?(.*?)`$", re.DOTALL)


def with_placement(workflow: dict[str, Any]) -> dict[str, Any]:
    """Return a description whose jobs have the workflow's placement, where they have none."""
    placement = workflow.get("policies", {}).get("placement")
    if placement is None:
        return workflow
    jobs = [
        {**job, "policies": {"placement": placement, **job.get("policies", {})}}
        for job in workflow["jobs"]
    ]
    return {**workflow, "jobs": jobs}


def workflow_spec(workflow: dict[str, Any], project: str = "") -> WorkflowSpec:
    """Return the spec of a workflow whose description was checked.

    project: what its jobs are accounted to. Raises RefusedError for what the core cannot take.
    """
    policies = workflow.get("policies", {})
    spec = WorkflowSpec(
        name=_CONTROL.sub(" ", workflow.get("name", "")),
        labels=indexed_labels(workflow.get("labels", {})),
        jobs={job["name"]: _job(job, project) for job in workflow["jobs"]},
        after=_after(workflow.get("dependencies", {})),
        factories=tuple(_factories(workflow)),
        retries=policies.get("maximumRetries", 0),
        reruns=policies.get("maximumReruns", 0),
    )
    try:
        checked = msgspec.convert(msgspec.to_builtins(spec), WorkflowSpec)
        check_workflow(checked)
    except msgspec.ValidationError as error:
        raise bad(_explain(str(error))) from error
    except InvalidInputError as error:
        raise bad(f"{error.field}: {error}" if error.field else str(error)) from error
    return checked


def _job(job: dict[str, Any], project: str) -> JobSpec:
    return msgspec.structs.replace(spec_of(job, project), stays_listed=False)


def _after(dependencies: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    after: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for parent, children in dependencies.items():
        for child in children:
            after[child][parent] = None
    return {child: tuple(parents) for child, parents in after.items()}


def _factories(workflow: Mapping[str, Any]) -> Iterator[Factory]:
    """Yield factories; a job that several name belongs to the last."""
    given = list(workflow.get("factories", ()))
    if "factory" in workflow:
        every = [job["name"] for job in workflow["jobs"]]
        given.append({**older(workflow["factory"]), "jobs": every})
    last = {job: number for number, factory in enumerate(given) for job in factory["jobs"]}
    for number, factory in enumerate(given):
        jobs = tuple(job for job in dict.fromkeys(factory["jobs"]) if last[job] == number)
        if jobs:
            yield _factory(factory, jobs)


def _factory(factory: Mapping[str, Any], jobs: tuple[str, ...]) -> Factory:
    name = _CONTROL.sub(" ", factory.get("name") or "")
    if factory["type"] in SWEEPS:
        ranges = tuple(
            Range(
                name=each["name"],
                start=each["start"],
                end=each["end"],
                step=each.get("step"),
                number=each.get("number"),
            )
            for each in factory["parameters"]
        )
        return Sweep(jobs=jobs, name=name, prefix=PARAMETER_PREFIX, parameters=ranges)
    if factory["type"] == "zip":
        series = tuple(
            Series(name=each["name"], values=tuple(each["values"]))
            for each in factory["parameters"]
        )
        return Zip(jobs=jobs, name=name, prefix=PARAMETER_PREFIX, parameters=series)
    number = factory.get("number", factory.get("num"))
    return Repeat(jobs=jobs, name=name, prefix=PARAMETER_PREFIX, number=number or 1)


def _explain(problem: str) -> str:
    place = _PLACE.search(problem)
    if place is None:
        return problem
    return f"{place.group(1).lstrip('.')}: {problem[: place.start()]}"
