from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.workflow import WorkflowSpec, check_workflow, sizes, total_jobs
from gristmill.services.workflows.planning import plan

JOB = {"command": "true"}


def flow(names: str = "abc", **more: Any) -> WorkflowSpec:
    return msgspec.convert({"jobs": dict.fromkeys(names, JOB), **more}, WorkflowSpec)


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"after": {"a": ["x"]}}, "after.a", "no job 'x'"),
        ({"after": {"x": ["a"]}}, "after.x", "no job 'x'"),
        ({"after": {"a": ["a"]}}, "after.a", "itself"),
        ({"after": {"a": ["b"], "b": ["c"], "c": ["a"]}}, "after", "wait for each other"),
        ({"factories": [{"type": "repeat", "jobs": ["x"], "number": 1}]}, "factories[0].jobs",
         "no job 'x'"),
        ({"factories": [{"type": "repeat", "jobs": ["a"], "number": 1}] * 2},
         "factories[1].jobs", "has a factory"),
        ({"factories": [{"type": "repeat", "jobs": list("abc"), "number": 40_000}]},
         "factories", "more than 100000"),
        ({"jobs": {"a": {**JOB, "key": "k"}}}, "jobs.a.key", "not for jobs of a workflow"),
        ({"jobs": {"a": {**JOB, "after": [3]}}}, "jobs.a.after", "not for jobs of a workflow"),
        ({"jobs": {"a": {"command": " "}}}, "jobs.a.command", "empty"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(more: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        check_workflow(flow(**more))
    assert caught.value.field == field


_NAMES = st.sampled_from("abcdef")
_EDGES = st.dictionaries(_NAMES, st.lists(_NAMES, max_size=4, unique=True), max_size=6)


@given(after=_EDGES)
def test_circles_are_found_and_nothing_else(after: dict[str, list[str]]) -> None:
    spec = flow("abcdef", after=after)
    try:
        order = list(TopologicalSorter(after).static_order())
    except CycleError:
        with pytest.raises(InvalidInputError):
            check_workflow(spec)
        return
    check_workflow(spec)
    nodes = plan(spec).nodes
    for name, parents in after.items():
        (node,) = (node for node in nodes if node.name == name)
        assert {nodes[place].name for place in node.parents} == set(parents)
        assert all(order.index(parent) < order.index(name) for parent in parents)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_plan_has_every_instance(numbers: list[int]) -> None:
    names = [f"n{place}" for place in range(len(numbers))]
    spec = msgspec.convert(
        {
            "jobs": dict.fromkeys(names, JOB),
            "factories": [
                {"type": "repeat", "jobs": [name], "number": number}
                for name, number in zip(names, numbers, strict=True)
            ],
            "priority": 7,
            "project": "p",
        },
        WorkflowSpec,
    )
    check_workflow(spec)
    assert sizes(spec) == dict(zip(names, numbers, strict=True))
    planned = plan(spec)
    assert len(planned.specs) == total_jobs(spec) == sum(numbers)
    for node, number in zip(planned.nodes, numbers, strict=True):
        assert (node.total, list(node.todo)) == (number, list(range(number)))
        assert {(job.name, job.priority, job.project) for job in node.specs} == {
            (node.name, 7, "p")
        }
