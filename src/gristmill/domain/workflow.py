"""A workflow: named jobs, which of them wait for which, and factories that multiply them."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter
from typing import Annotated

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.factories import (
    MOST_INSTANCES,
    Factory,
    check_factory,
    count,
    instances,
)
from gristmill.domain.job import MOST_DEPENDENCIES as MOST_EDGES
from gristmill.domain.job import JobSpec, LabelName, Name, Word, check_spec

MOST_NODES = 10_000
"""Names in one workflow."""

MOST_REPEATS = 100

NOT_IN_WORKFLOWS = ("key", "after", "after_any", "after_groups", "dep_groups")
"""What a job says of its ties to others; in a workflow, those are the workflow's."""

Parents = Annotated[tuple[Word, ...], msgspec.Meta(max_length=MOST_NODES)]
Repeats = Annotated[int, msgspec.Meta(ge=0, le=MOST_REPEATS)]


class WorkflowState(IntEnum):
    """Where a workflow stands. The numbers are stored; never renumber."""

    PENDING = 1
    RUNNING = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def word(self) -> str:
        """The state as people write it."""
        return self.name.lower()


ENDED = frozenset({WorkflowState.COMPLETED, WorkflowState.FAILED, WorkflowState.CANCELLED})
BY_WORD = {state.word: state for state in WorkflowState}


class WorkflowSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """Everything a submitter says about a workflow.

    jobs: by name. after: which jobs, all their instances, must have succeeded before one may
    start. retries: how often each job that failed for good is submitted anew, under a new id.
    reruns: how often all that failed is, once nothing else can go on. priority: added to that of
    every job. project: of the jobs that name none.
    """

    jobs: Annotated[dict[Word, JobSpec], msgspec.Meta(min_length=1, max_length=MOST_NODES)]
    after: dict[Word, Parents] = {}
    factories: Annotated[tuple[Factory, ...], msgspec.Meta(max_length=MOST_NODES)] = ()
    name: Name = ""
    labels: Annotated[dict[LabelName, Name], msgspec.Meta(max_length=100)] = {}
    project: Name = ""
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)] = 0
    retries: Repeats = 0
    reruns: Repeats = 0


def check_workflow(spec: WorkflowSpec) -> None:
    """Check what the types alone cannot. Raises InvalidInputError naming the field."""
    for name, job in spec.jobs.items():
        _check_job(job, f"jobs.{name}.")
    _check_factories(spec)
    _check_names(spec)
    _check_circles(spec.after)


def _check_job(job: JobSpec, field: str) -> None:
    for name in NOT_IN_WORKFLOWS:
        if getattr(job, name):
            raise InvalidInputError(
                "is not for jobs of a workflow: say in its 'after' what waits for what",
                f"{field}{name}",
            )
    check_spec(job, field)


def _check_factories(spec: WorkflowSpec) -> None:
    taken: set[str] = set()
    for number, factory in enumerate(spec.factories):
        field = f"factories[{number}]"
        for job in factory.jobs:
            if job not in spec.jobs:
                raise InvalidInputError(f"there is no job {job!r}", f"{field}.jobs")
            if job in taken:
                raise InvalidInputError(f"job {job!r} has a factory already", f"{field}.jobs")
            taken.add(job)
        check_factory(factory, field)
    if total_jobs(spec) > MOST_INSTANCES:
        raise InvalidInputError(f"makes more than {MOST_INSTANCES} jobs", "factories")


def _check_names(spec: WorkflowSpec) -> None:
    edges = 0
    for child, parents in spec.after.items():
        for name in (child, *parents):
            if name not in spec.jobs:
                raise InvalidInputError(f"there is no job {name!r}", f"after.{child}")
        if child in parents:
            raise InvalidInputError(f"job {child!r} would wait for itself", f"after.{child}")
        edges += len(parents)
    if edges > MOST_EDGES:
        raise InvalidInputError(f"{edges} dependencies, at most {MOST_EDGES}", "after")


def sizes(spec: WorkflowSpec) -> dict[str, int]:
    """Return how many instances each job has."""
    made_by = instances(spec.factories)
    return {name: count(made_by[name]) if name in made_by else 1 for name in spec.jobs}


def total_jobs(spec: WorkflowSpec) -> int:
    """Return how many jobs the workflow comes to."""
    return sum(sizes(spec).values())


def _check_circles(after: Mapping[str, Iterable[str]]) -> None:
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise InvalidInputError(f"jobs wait for each other: {circle}", "after") from error
