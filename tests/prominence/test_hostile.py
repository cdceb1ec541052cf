"""Anything may be sent; it is answered with a well-formed refusal, or taken."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.prominence.talk import Prominence

QUICK = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RICH: dict[str, Any] = {
    "name": "rich",
    "labels": {"a": "b"},
    "resources": {"nodes": 1, "cpus": 2, "memory": 1, "disk": 1, "walltime": 10},
    "tasks": [
        {
            "image": "busybox",
            "runtime": "singularity",
            "cmd": "echo a",
            "env": {"A": "b"},
            "workdir": "x",
            "type": "basic",
            "procsPerNode": 1,
            "app": "a",
            "imagePullCredential": {"username": "u", "token": "t"},
            "imageSha256": "ab",
            "stdout": "out.txt",
        },
        {"image": "busybox", "runtime": "udocker", "cmd": "./x", "type": "openmpi"},
    ],
    "policies": {
        "maximumRetries": 1,
        "maximumTaskRetries": 1,
        "maximumTimeInQueue": 5,
        "leaveInQueue": True,
        "priority": 3,
        "placement": {"requirements": {"sites": ["s"]}, "preferences": {"regions": ["r"]}},
        "autoScalingType": "none",
    },
    "notifications": [{"event": "jobFinished", "type": "email"}],
    "inputs": [{"filename": "f", "content": "aGk="}],
    "artifacts": [{"url": "http://127.0.0.1/a.tar", "mountpoint": "a:/a", "executable": True}],
    "outputFiles": ["o"],
    "outputDirs": ["d"],
    "storage": {
        "type": "webdav",
        "mountpoint": "/m",
        "webdav": {"url": "u", "username": "n", "password": "p"},
    },
}

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", "\0", "../..", "/", "object:///x", "$(id)", "x" * 5000]),
)
ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside: list[tuple[Any, ...]] = [path] if path else []
    items = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        items = list(enumerate(value))
    for key, child in items:
        inside += _places(child, (*path, key))
    return inside


PLACES = _places(RICH)


def _changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    job = copy.deepcopy(RICH)
    holder: Any = job
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return job


@QUICK
@given(st.sampled_from(PLACES), ANYTHING)
def test_one_value_is_anything(idle: Prominence, path: tuple[Any, ...], value: Any) -> None:
    job = _changed(path, value)
    reply = idle.ask("POST", "/jobs", content=json.dumps(job).encode())
    assert reply.status_code in (201, 400)
    if reply.status_code == 201:
        assert idle.job(reply.json()["id"])["status"] == "pending"


@QUICK
@given(ANYTHING)
def test_the_whole_is_anything(idle: Prominence, value: Any) -> None:
    assert idle.ask("POST", "/jobs", content=json.dumps(value).encode()).status_code == 400


@QUICK
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["id", "num", "node", "offset", "status", "constraint", "name", "completed",
                 "all", "detail", "workflow", "command", "path"]
            ),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
            | st.sampled_from(["true", "-1", "0", "1", "1,2", "9" * 30, "a=b", "idle"]),
        ),
        max_size=4,
    ),
    st.sampled_from(
        [
            ("GET", "/jobs"), ("DELETE", "/jobs"), ("GET", "/jobs/1"), ("DELETE", "/jobs/x"),
            ("GET", "/jobs/1/stdout"), ("GET", "/jobs/9999999999999999999/stderr"),
            ("PUT", "/jobs/1/clone"), ("PUT", "/jobs/-1/remove"), ("POST", "/jobs/1/exec"),
            ("PUT", "/jobs/1/snapshot"), ("GET", "/jobs/%00/snapshot"), ("GET", "/jobs/%ff"),
        ]
    ),
)  # fmt: skip
def test_the_query_is_anything(
    idle: Prominence, query: list[tuple[str, str]], where: tuple[str, str]
) -> None:
    method, path = where
    assert idle.ask(method, path, params=query).status_code in (200, 201, 400, 403)
