"""What a workflow comes to: its nodes, their jobs, and who waits for whom. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from gristmill.domain.factories import Factory, count, instances
from gristmill.domain.job import JobSpec
from gristmill.domain.substitution import instance_of
from gristmill.domain.workflow import WorkflowSpec

LARGEST_PRIORITY = 1_000_000


class Node(NamedTuple):
    """A name of a workflow. parents: places in the list of nodes. todo: the instances to run.

    total, done: its jobs, those that need not run included.
    """

    name: str
    factory: Factory | None
    parents: tuple[int, ...]
    total: int
    done: int
    todo: Sequence[int]
    specs: Sequence[JobSpec]

    @property
    def queue_timeout(self) -> float | None:
        """Seconds that its jobs may wait to be started."""
        return self.specs[0].queue_timeout if self.specs else None


class Plan(NamedTuple):
    """A workflow as it is inserted."""

    nodes: list[Node]

    @property
    def specs(self) -> list[JobSpec]:
        """The jobs of all nodes in their order."""
        return [spec for node in self.nodes for spec in node.specs]

    def unmet(self, node: Node) -> int:
        """Return how many of a node's parents are not done."""
        return sum(self.nodes[parent].done < self.nodes[parent].total for parent in node.parents)

    def blocked(self) -> Iterator[tuple[Node, bool]]:
        """Yield each node, and whether it must wait for others."""
        return ((node, self.unmet(node) > 0) for node in self.nodes)


def plan(spec: WorkflowSpec) -> Plan:
    """Return the plan to run all of a workflow."""
    made_by = instances(spec.factories)
    nodes = []
    for name, parents in parents_of(spec).items():
        factory = made_by.get(name)
        job = _completed(spec, name)
        total = count(factory) if factory else 1
        specs = [instance_of(job, factory, number) for number in range(total)] if factory else [job]
        nodes.append(Node(name, factory, parents, total, 0, range(total), specs))
    return Plan(nodes)


def parents_of(spec: WorkflowSpec) -> dict[str, tuple[int, ...]]:
    """Return for each name the places of its parents, each once."""
    places = {name: place for place, name in enumerate(spec.jobs)}
    return {
        name: tuple(dict.fromkeys(places[parent] for parent in spec.after.get(name, ())))
        for name in spec.jobs
    }


def _completed(spec: WorkflowSpec, name: str) -> JobSpec:
    """Return a job with what the workflow says for all of them."""
    job = spec.jobs[name]
    priority = max(-LARGEST_PRIORITY, min(job.priority + spec.priority, LARGEST_PRIORITY))
    return msgspec.structs.replace(
        job, name=job.name or name, project=job.project or spec.project, priority=priority
    )
