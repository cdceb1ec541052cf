"""The OpenAPI document says what the interface does: found out by sending what it allows."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gristmill.native.app import openapi_document
from tests.data.workers import running_workers
from tests.native.place import LIMIT, Agent, Place

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=20,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
DATA = ("/v1/models/", "/v1/notebooks/", "/v1/scripts/")
ENDLESS = {"/v1/events"}
"""Replies that do not end by themselves are tested with the streams."""

OPERATIONS = [
    (method, path)
    for path, item in openapi_document()["paths"].items()
    for method in item
    if path not in ENDLESS
]


@pytest.fixture(scope="module")
def schema(place: Place) -> Iterator[Any]:
    """The document, and workers and a few jobs in various states for it to be true of."""
    with running_workers(place.home):
        yield _schema(place)


def _schema(place: Place) -> Any:
    agent = Agent(place, "node")
    ids = place.admin.post("/v1/jobs", json=[{"command": "x", "pool": "node"}] * 4).json()["ids"]
    for _ in ids[:3]:
        lease = agent.take()
        agent.started(lease)
        agent.finished(lease, lease.job % 2, b"out", b"err")
    place.admin.post("/v1/jobs", json=[{"command": "x", "delay": 900}, {"command": "x"}])
    loaded = schemathesis.openapi.from_dict(openapi_document())
    loaded.config.update(base_url=place.url)
    return loaded


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda value: value)
def test_replies_are_as_documented(place: Place, schema: Any, method: str, path: str) -> None:
    operation = schema[path][method.upper()]
    credential = {"Authorization": place.admin.headers["authorization"]}
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case[Any]) -> None:
            _steer_clear(case)
            case.call_and_validate(headers=credential, checks=CHECKS, timeout=LIMIT)

        with contextlib.suppress(Unsatisfiable):  # where nothing could be sent that is wrong
            check()


def _steer_clear(case: schemathesis.Case[Any]) -> None:
    """Keep replies from taking long, and images from being made of what lies on this machine."""
    case.query.pop("follow", None)
    if case.method != "GET" and case.path.startswith(DATA):
        case.query["wait"] = 0  # nobody runs the job of a task here
    if case.path.endswith("/wait") and not isinstance(case.query.get("timeout"), str):
        case.query["timeout"] = 0
    if isinstance(case.body, dict) and isinstance(case.body.get("path"), str):
        case.body["path"] = f"/no/such/place{case.body['path']}"


def test_nobody_is_let_in_without_a_credential(place: Place) -> None:
    for method, path in OPERATIONS:
        reply = place.stranger.request(method.upper(), path.replace("{", "").replace("}", ""))
        document = openapi_document()["paths"][path][method]
        if document.get("security") != []:
            assert reply.status_code in {401, 404, 405}, (method, path)


def test_the_document_names_each_schema_and_error() -> None:
    document = openapi_document()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    text = msgspec.json.encode(document).decode()
    for name in set(re.findall(r'#/components/schemas/([A-Za-z]+)"', text)):
        assert name in schemas
    assert "\\\\Z" not in text
    assert schemas["JobSpec"]["properties"]["resources"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["operationId"]
            if path not in {"/healthz", "/readyz"}:
                assert {"400", "401", "403", "503"} <= set(operation["responses"])


def test_every_example_in_the_document_is_accepted(place: Place) -> None:
    declared = "pools: [{name: default}]\nprojects: [{name: etl, pools: [default]}]\n"
    declared += "templates: [{name: bash, project: etl}]"
    yaml = {"Content-Type": "application/yaml"}
    assert place.admin.post("/v1/apply", content=declared, headers=yaml).status_code == 200
    for path, item in openapi_document()["paths"].items():
        for media_type, content in _body_of(item).items():
            for name, example in content["examples"].items():
                body = msgspec.json.encode(example["value"])
                reply = place.admin.post(path, content=body, headers={"Content-Type": media_type})
                wanted = {400} if path == "/v1/images" else {200, 201, 404}
                assert reply.status_code in wanted, (path, name, reply.text)


def _body_of(item: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = item.get("post", {}).get("requestBody", {}).get("content", {})
    return content
