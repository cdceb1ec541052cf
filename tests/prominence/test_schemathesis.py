"""The OpenAPI document says what the interface does: found out by sending what it allows."""

import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gristmill.dialects.prominence.openapi import describe
from gristmill.dialects.prominence.openapi_operations import LOGIN, OPERATIONS, TOKEN
from tests.e2e.harness import LIMIT, RunningServer
from tests.prominence.talk import ROOT, Prominence, description, error_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FEWER = {("post", "/workflows"): 3}
"""Such bodies take long to make up."""

DOCUMENT = describe(OPERATIONS)
PLACES = [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]

MENDERS: dict[str, Callable[[Any], Any]] = {
    "cmd": shlex.quote,
    "url": lambda url: "http://127.0.0.1:9/file" if isinstance(url, str) and url else url,
    "cpusRange": sorted,
    "cpusOptions": sorted,
    "totalCpusRange": sorted,
    "procsPerNode": lambda count: min(count, 1),
}


class Field(NamedTuple):
    """What the requests are sent to. numbers: ids of all kinds of things."""

    schema: Any
    credentials: dict[str, str]
    numbers: list[int]


@pytest.fixture(scope="module")
def field(idle_server: RunningServer) -> Iterator[Field]:
    """The document, and a few things for it to be true of."""
    talk = Prominence(idle_server, groups=["lab"])
    numbers = [talk.run("true"), talk.run("true", policies={"leaveInQueue": True})]
    workflow = {"name": "flow", "jobs": [description("echo $n", labels={"a": "b"})]}
    sweep = {"name": "f", "type": "repeat", "jobs": ["small"], "number": 3}
    for more in ({}, {"factories": [sweep]}):
        reply = talk.ask("POST", "/workflows", json={**workflow, **more})
        numbers.append(reply.json()["id"])
    talk.ask("DELETE", f"/jobs/{numbers[0]}")
    talk.ask("DELETE", f"/workflows/{numbers[2]}")
    other = talk.other()
    numbers += [other.run("true"), numbers[-1] + 1]
    assert talk.ask("POST", "/kv/a/b", content=b"value").status_code == 201
    client = talk.ask("POST", "/register", json={}).json()
    basic = httpx2.BasicAuth(client["client_id"], client["client_secret"])
    shown = next(basic.auth_flow(httpx2.Request("GET", idle_server.url_http)))
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=f"{idle_server.url_http}{ROOT}")
    yield Field(
        schema,
        {TOKEN: f"Bearer {talk.token}", LOGIN: shown.headers["authorization"]},
        numbers,
    )
    talk.close()


@pytest.mark.parametrize(("method", "path"), PLACES, ids=lambda value: value)
def test_replies_are_as_documented(field: Field, method: str, path: str) -> None:
    operation = field.schema[path][method.upper()]
    callers = DOCUMENT["paths"][path][method]["security"]
    headers = {}
    for caller in callers:
        headers["Authorization"] = field.credentials[next(iter(caller))]
    numbers = st.none() | st.sampled_from(field.numbers)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @settings(BOUNDED, max_examples=FEWER.get((method, path), BOUNDED.max_examples))
        @given(case=operation.as_strategy(generation_mode=mode), number=numbers)
        def check(case: schemathesis.Case[Any], number: int | None) -> None:
            if number is not None:
                known = {"id": number, "job": "small", "instance": number % 4}
                case.path_parameters.update(
                    {name: known[name] for name in case.path_parameters if name in known}
                )
            if isinstance(case.body, dict):
                case.body = _mended(case.body)
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=LIMIT)

        with contextlib.suppress(Unsatisfiable):  # where nothing could be sent that is wrong
            check()


def _mended(value: Any) -> Any:
    """Return a body closer to one that is taken, in what a schema cannot say.

    Whole numbers have no point, ranges ascend, commands can be split into words.
    """
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if not isinstance(value, dict):
        return value
    mended = {key: _mended(each) for key, each in value.items()}
    for key, mend in MENDERS.items():
        if key in mended:
            with contextlib.suppress(TypeError):  # one that is wrong on purpose
                mended[key] = mend(mended[key])
    return mended


def test_the_document_is_served_to_everybody(idle_server: RunningServer) -> None:
    """And it is of all endpoints there are: none is missing, none is made up."""
    url = f"{idle_server.url_http}/prominence/openapi.json"
    reply = httpx2.get(url, trust_env=False)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1")
    refused = httpx2.post(url, trust_env=False)
    assert refused.status_code == 405
    assert error_of(refused)


def test_nobody_is_let_in_without_a_credential(idle_server: RunningServer) -> None:
    with httpx2.Client(base_url=f"{idle_server.url_http}{ROOT}", trust_env=False) as stranger:
        for method, path in PLACES:
            plain = path.replace("{", "").replace("}", "")
            reply = stranger.request(method.upper(), plain)
            if DOCUMENT["paths"][path][method]["security"]:
                assert reply.status_code == 401, (method, path)
                assert error_of(reply)
