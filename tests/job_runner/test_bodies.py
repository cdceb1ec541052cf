"""Bodies: what is read from them, and what is refused with the field's name."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gristmill.dialects.job_runner.bodies import read_fields, read_object, require
from gristmill.dialects.job_runner.errors import RefusedError
from gristmill.dialects.job_runner.resources import RESOURCES
from tests.job_runner.asking import request

UTC = ZoneInfo("UTC")


def fields(resource: str, **values: Any) -> Any:
    return read_fields(RESOURCES[resource], values, UTC)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", ""]
)
def test_objects(content_type: str) -> None:
    asked = request(
        "POST", body='{"title": "é"}'.encode(), headers=[("content-type", content_type)]
    )
    assert read_object(asked) == {"title": "é"}


def test_other_charsets() -> None:
    header = ("content-type", "application/json;charset=iso-8859-1")
    asked = request("POST", body='{"title": "é"}'.encode("latin-1"), headers=[header])
    assert read_object(asked) == {"title": "é"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'"x"', "application/json"),
        (b"{", "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b'{"a": "\xff"}', "application/json"),
        (b'{"a": "\\ud800"}', "application/json"),
        (b'{"a":' * 100_000, "application/json"),
        (b"{}", "application/x-www-form-urlencoded"),
        (b"{}", "text/xml"),
        (b"{}", "application/json; charset=punycode"),
        (b"{}", "application/json; charset=zip"),
        (b'{"a": 1}\xff', "application/json; charset=ascii"),
    ],
)
def test_what_is_no_object(body: bytes, content_type: str) -> None:
    asked = request("POST", body=body, headers=[("content-type", content_type)])
    with pytest.raises(RefusedError) as caught:
        read_object(asked)
    assert caught.value.status == 400


def test_fields_are_read_by_their_types() -> None:
    assert fields(
        "run", job="/api/v1/job/3/", worker="/job-runner/api/v1/worker/4/",
        schedule_dts="1970-01-01 00:00:01+00:00", enqueue_dts=None, return_success=None, pid="42",
        is_manual=True, id=7, resource_uri="/x/", schedule_id=9, run_log="/api/v1/run_log/1/",
        whatever=[1],
    ) == {
        "job": 3, "worker": 4, "schedule_dts": 1.0, "enqueue_dts": None, "return_success": None,
        "pid": 42, "is_manual": True,
    }  # fmt: skip


def test_many_relations() -> None:
    twice = ["/api/v1/job/3/", "/api/v1/job/4/", "http://host:1/api/v1/job/3/"]
    assert fields("job", children=twice) == {"children": (3, 4)}
    assert fields("job", children=None) == {"children": ()}


@pytest.mark.parametrize(
    ("resource", "name", "value"),
    [
        ("run", "job", 3),
        ("run", "job", None),
        ("run", "job", "/api/v1/run/3/"),
        ("run", "job", "/api/v1/job/x/"),
        ("run", "job", "/api/v1/job/99999999999999999999/"),
        ("run", "job", {"id": 3}),
        ("run", "schedule_dts", None),
        ("run", "schedule_dts", "soon"),
        ("run", "schedule_dts", 5),
        ("run", "pid", "x"),
        ("run", "pid", 1.5),
        ("run", "pid", True),
        ("run", "pid", 1 << 40),
        ("run", "is_manual", "false"),
        ("run", "is_manual", None),
        ("run", "return_success", 1),
        ("job", "title", None),
        ("job", "title", 5),
        ("job", "title", "a\x00b"),
        ("job", "children", "/api/v1/job/3/"),
        ("job", "children", [3]),
        ("worker", "concurrent_jobs", []),
        ("worker", "enqueue_is_enabled", 1),
    ],
)
def test_wrong_values(resource: str, name: str, value: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        fields(resource, **{name: value})
    assert caught.value.status == 400
    assert str(caught.value.text).startswith(f"{name}: ")


def test_a_log_holds_any_text() -> None:
    text = "\x00\x1b[1mé\u2028\U0001f600\r\n"
    assert fields("run_log", content=json.loads(json.dumps(text))) == {"content": text}


@pytest.mark.parametrize(
    ("resource", "missing"),
    [("job", "title"), ("run", "job"), ("kill_request", "run"), ("run_log", "run")],
)
def test_required(resource: str, missing: str) -> None:
    with pytest.raises(RefusedError, match=f"{missing}: is missing"):
        require(RESOURCES[resource], {})
