"""Every text that refuses a workflow, and no input that the server cannot answer."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.dialects.prominence.errors import RefusedError
from gristmill.dialects.prominence.validation.workflow import check_workflow
from gristmill.dialects.prominence.workflow_describe import kept_jobs, kept_workflow, submitted
from gristmill.dialects.prominence.workflow_translate import workflow_spec
from gristmill.domain.workflow import WorkflowSpec
from gristmill.services.keyring import SecretBox
from tests.prominence.talk import Prominence, description

Json = Any
A, B = ({**description("true"), "name": name} for name in "ab")
X = {"name": "x", "start": 0, "end": 1, "step": 1}
V = {"name": "x", "values": [1, 2]}


def flow(**more: Json) -> dict[str, Json]:
    return {"name": "flow", "jobs": [copy.deepcopy(A), copy.deepcopy(B)], **more}


def factory(**more: Json) -> dict[str, Json]:
    made = {"name": "f", "type": "parameterSweep", "jobs": ["a"], "parameters": [X], **more}
    return flow(factories=[{key: value for key, value in made.items() if value != "absent"}])


def sweep(**parameter: Json) -> dict[str, Json]:
    made = {**X, **parameter}
    return factory(parameters=[{key: value for key, value in made.items() if value != "absent"}])


def zipped(*parameters: Json) -> dict[str, Json]:
    return factory(type="zip", parameters=list(parameters))


REFUSED = [
    ([], "a workflow description must be a JSON object"),
    (flow(tags={}), 'invalid item "tags" in workflow description'),
    (flow(name="n" * 513), "workflow name must be less than 512 characters in length"),
    (flow(name="a*b"), "invalid workflow name"),
    (flow(name=7), "invalid workflow name"),
    (flow(labels=[]), "labels must be defined as a dict"),
    (flow(labels={"a_b": "c"}), 'label name "a_b" is invalid'),
    ({"name": "x"}, "a workflow must contain jobs"),
    (flow(jobs=[]), "a workflow must contain jobs"),
    (flow(jobs={"a": A}), "jobs must be a list"),
    (flow(jobs=[description("true", name=None)]), "all jobs must have names"),
    (flow(jobs=["a"]), "all jobs must have names"),
    (flow(jobs=[description("true", name="")]), "names of jobs in workflows cannot be empty"),
    (flow(jobs=[A, A]), 'all jobs must have unique names: "a" is used more than once'),
    (flow(jobs=[{**A, "name": "a\nb"}]), "invalid job name"),
    (flow(jobs=[A, {**B, "tasks": 3}]), "an array of tasks must be provided"),
    (flow(dependencies=[]), "dependencies must be a dict"),
    (flow(dependencies={"a": "b"}), "children of parent job must be in the form of a list"),
    (flow(dependencies={"a": ["c"]}), 'child job "c" is not actually defined'),
    (flow(dependencies={"a": [3]}), 'child job "3" is not actually defined'),
    (flow(dependencies={"c": ["a"]}), 'parent job "c" is not actually defined'),
    (flow(dependencies={"a": ["b"], "b": ["a"]}), "after: jobs wait for each other: b -> a -> b"),
    (flow(dependencies={"a": ["a"]}), "after.a: job 'a' would wait for itself"),
    (flow(factories={}), "factories must be a list"),
    (flow(factories=[3]), "a factory must be defined as a dict"),
    (flow(factory=3), "a factory must be defined as a dict"),
    (flow(factory={"parameters": [X]}), "a factory type must be specified"),
    (factory(type="absent"), "a factory type must be specified"),
    (factory(name="absent"), "a factory name must be specified"),
    (factory(jobs="absent"), "a list of jobs must be specified"),
    (factory(jobs="a"), "jobs must be a list"),
    (factory(jobs=["c"]), "factory f references a job c which is not defined"),
    (factory(type="random"), "invalid factory type"),
    (factory(type="repeat"), "a factory of type repeat must have number specified"),
    (factory(type="repeat", number="3"), "number of repeats must be an integer"),
    (factory(type="repeat", number=True), "number of repeats must be an integer"),
    (factory(type="repeat", num=0), "number of repeats must be at least 1"),
    (factory(type="repeat", num=100_001), "factories[0].number: makes more than 100000 jobs"),
    (
        factory(parameters="absent"),
        "a factory of type parameterSweep must have parameters specified",
    ),
    (zipped(), "a factory of type zip must have parameters specified"),
    (factory(parameters={"x": 1}), "parameters must be a list"),
    (factory(parameters=[3]), "a parameter must contain a name"),
    (sweep(name="absent"), "a parameter must contain a name"),
    (sweep(name="a b"), 'invalid parameter name "a b"'),
    (sweep(start="absent"), "a parameter must contain a start value"),
    (sweep(start="0"), "a parameter must contain a start value"),
    (sweep(end="absent"), "a parameter must contain an end value"),
    (sweep(end=1e300), "a parameter must contain an end value"),
    (sweep(step="absent"), "a parameter must contain a step size or number of steps"),
    (sweep(number=3), "a parameter cannot have both a step size and number of steps"),
    (sweep(step=0), 'the step size of parameter "x" must not be 0'),
    (factory(parameters=[X, X]), "each parameter must have a unique name"),
    (zipped({"name": "x"}), "a parameter must contain a list of values"),
    (zipped({"name": "x", "values": {}}), "values must be a list"),
    (zipped({"name": "x", "values": [None]}),
     'the values of parameter "x" must be strings or numbers'),
    (zipped(V, {"name": "y", "values": [1]}),
     "all parameters must lists of values the same length"),
    (flow(policies=[]), "policies must be defined as a dict"),
    (flow(policies={"priority": 1}), 'invalid item "priority" in policies'),
    (flow(policies={"leaveInQueue": 1}), "leaveInQueue must be either true or false"),
    (flow(policies={"maximumRetries": "1"}), "the number of retries must be an integer"),
    (flow(policies={"maximumRetries": 0}), "the number of retries must be greater than 0"),
    (flow(policies={"maximumRetries": 11}), "the number of retries must be less than 10"),
    (flow(policies={"maximumReruns": 11}), "the number of reruns must be less than 10"),
    (flow(policies={"placement": {"where": {}}}), 'invalid item "where" in placement policy'),
    (flow(notifications={}), "notifications must be in the form of a list"),
    (flow(notifications=[{"event": "jobFinished", "type": "email"}]),
     'invalid notification event "jobFinished"'),
    (flow(notifications=[{"event": "workflowFinished", "type": "sms"}]),
     'invalid notification type "sms"'),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_texts(given_: Json, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        workflow_spec(check_workflow(given_))
    assert (caught.value.status, caught.value.text) == (400, text)


@pytest.mark.parametrize(
    "given_",
    [
        flow(),
        flow(policies={"maximumRetries": 10, "maximumReruns": 10, "leaveInQueue": True}),
        flow(notifications=[{"event": "workflowFinished", "type": "email"}]),
        sweep(step="absent", number=5),
        factory(type="repeat", num=3),
        zipped(V, {"name": "y", "values": ["a b", 2.5]}),
        flow(factory={"type": "zip", "parameters": [V]}),
    ],
)
def test_what_is_good_is_kept_as_it_was(given_: Json) -> None:
    workflow_spec(check_workflow(given_))
    box = SecretBox(b"k" * 32)
    kept = kept_workflow(given_, kept_jobs(given_, box, "ann"))
    opened = submitted(kept, box, "ann")
    assert [job["resources"].pop("nodes") for job in opened["jobs"]] == [1, 1]
    assert opened == given_


def test_refused_by_the_server_and_nothing_is_added(idle: Prominence) -> None:
    for given_, text in REFUSED:
        assert idle.refused("POST", "/workflows", json=given_) == text
    assert idle.get("/workflows", all="") == []
    assert idle.jobs(all="") == []
    idle.refused("POST", "/workflows", content=b"{")
    idle.refused("POST", "/workflows", content=b"")


def test_objects_must_be_there_with_the_parameters_put_in(idle: Prominence) -> None:
    frame = {**A, "artifacts": [{"url": "in-$x.tar"}]}
    body = flow(jobs=[frame], factory={"type": "parametricSweep", "parameters": [X]})
    assert idle.refused("POST", "/workflows", json=body) == "Artifact in-0.tar does not exist"
    url = idle.ask("POST", "/data/upload", json={"filename": "in-0.tar"}).json()["url"]
    idle.client.put(url, content=b"x").raise_for_status()
    assert idle.refused("POST", "/workflows", json=body) == "Artifact in-1.tar does not exist"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_PATHS: list[tuple[Any, ...]] = [
    ("name",), ("labels",), ("jobs",), ("jobs", 0), ("jobs", 0, "name"), ("jobs", 0, "tasks"),
    ("dependencies",), ("dependencies", "a"), ("dependencies", "a", 0), ("factories",),
    ("factories", 0), ("factories", 0, "type"), ("factories", 0, "jobs"), ("factories", 0, "name"),
    ("factories", 0, "parameters"), ("factories", 0, "parameters", 0),
    ("factories", 0, "parameters", 0, "name"), ("factories", 0, "parameters", 0, "start"),
    ("factories", 0, "parameters", 0, "step"), ("factories", 0, "parameters", 0, "number"),
    ("factory",), ("factory", "parameterSets"), ("factory", "type"), ("policies",),
    ("policies", "maximumRetries"), ("policies", "placement"), ("notifications",),
]  # fmt: skip


@given(path=st.sampled_from(_PATHS), value=_JSON)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_wrong_types_are_refused_and_never_break(path: tuple[Any, ...], value: Json) -> None:
    whole = factory(parameters=[dict(X)])
    whole |= {
        "dependencies": {"a": ["b"]},
        "factory": {"type": "zip", "parameterSets": [V]},
        "policies": {"maximumRetries": 1, "placement": {}},
        "notifications": [],
        "labels": {},
    }
    inner: Any = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    try:
        spec = workflow_spec(check_workflow(whole))
    except RefusedError as error:
        refused = error
    else:
        packed = msgspec.msgpack.encode(spec)
        assert msgspec.msgpack.decode(packed, type=WorkflowSpec) == spec
        return
    assert refused.status == 400
    assert refused.text
