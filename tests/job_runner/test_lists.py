"""Paging and filters, without a server: what is taken, what is refused, what is passed over."""

from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest

from gristmill.dialects.job_runner.errors import RefusedError
from gristmill.dialects.job_runner.filters import Filters, read_filters
from gristmill.dialects.job_runner.paging import Window, envelope, read_window
from gristmill.dialects.job_runner.resources import RESOURCES, schema_document

UTC = ZoneInfo("UTC")


def pairs(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


def filters(resource: str, query: str) -> Filters:
    return read_filters(RESOURCES[resource], pairs(query), UTC)


@pytest.mark.parametrize(
    ("query", "window"),
    [
        ("", Window(200, 0)),
        ("limit=0", Window(1000, 0)),
        ("limit=1001", Window(1000, 0)),
        ("limit=1000&offset=3", Window(1000, 3)),
        ("limit=1", Window(1, 0)),
    ],
)
def test_windows(query: str, window: Window) -> None:
    assert read_window(pairs(query)) == window


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "\uff19", "9" * 30, "0x1"])
@pytest.mark.parametrize("name", ["limit", "offset"])
def test_bad_windows(name: str, value: str) -> None:
    with pytest.raises(RefusedError, match=f"{name}: "):
        read_window(((name, value),))


def test_pages_keep_the_other_parameters() -> None:
    query = pairs("limit=1&state=x&offset=1&title=a b")
    meta = envelope([], 3, Window(1, 1), "/api/v1/job/", query)["meta"]
    assert meta == {
        "limit": 1,
        "next": "/api/v1/job/?state=x&title=a+b&limit=1&offset=2",
        "offset": 1,
        "previous": "/api/v1/job/?state=x&title=a+b&limit=1&offset=0",
        "total_count": 3,
    }
    past = envelope([], 3, Window(10, 5), "/api/v1/job/", ())["meta"]
    assert (past["next"], past["previous"]) == (None, None)


@pytest.mark.parametrize(
    ("resource", "query"),
    [
        ("project", "id=1"),
        ("project", "title=a"),
        ("project", "title__exact=a"),
        ("project", "project_id=zzz"),
        ("worker_pool", "title=a&project_id=1"),
        ("worker", "api_key__startswith=a&project_id=1"),
        ("worker", "api_key__in=a,b"),
        ("job_template", "title=a&project=1&project__id=1&project__title=x&project_id=0"),
        ("job_template", "project__in=1,2"),
        ("job", "title=a&job_template=3&job_template__title=b"),
        ("job", "job_template=/api/v1/job_template/3/"),
        ("job", "job_template__project=1&job_template__project__id=1&project_id=7"),
        ("job", "job_template__project__title=x"),
        ("job", "state=scheduled&whatever=1&format=json&unknown__thing=2"),
        ("run", "state=x&job=1&job__title=a&job__job_template__project__title=b"),
        ("run", "worker=1&worker__api_key=a&worker__isnull=true&worker__api_key__icontains=A"),
        ("run", "is_manual=true&is_manual__exact=False&is_manual__in=0,1"),
        ("run", "schedule_dts__gte=2026-01-01&schedule_dts__range=2026-01-01,2026-02-01"),
        ("run", "schedule_dts__year=2026&schedule_dts__month=02&schedule_dts__day=3"),
        ("run", "schedule_dts__week_day=1&worker__api_key__regex=^a&worker__api_key__iregex=b$"),
        ("run", "job__regex=(a%2B)%2B$"),
        ("kill_request", "nothing=1"),
    ],
)
def test_taken(resource: str, query: str) -> None:
    filters(resource, query)


@pytest.mark.parametrize(
    ("resource", "query", "field"),
    [
        ("run", "schedule_id=1", "schedule_id"),
        ("run", "enqueue_dts__isnull=true", "enqueue_dts"),
        ("run", "id=1", "id"),
        ("job", "enqueue_is_enabled=1", "enqueue_is_enabled"),
        ("job", "title__icontains=x", "title__icontains"),
        ("project", "title__in=x", "title__in"),
        ("group", "name=x", "name"),
        ("kill_request", "run=1", "run"),
        ("run_log", "content=1", "content"),
        ("job", "job_template__body=1", "job_template__body"),
        ("run", "job__id=1", "job__id"),
        ("run", "worker__title=1", "worker__title"),
        ("run", "job__title__exact__exact=1", "job__title"),
        ("run", "job=abc", "job"),
        ("run", "job=/api/v1/run/1/", "job"),
        ("run", "is_manual=maybe", "is_manual"),
        ("run", "schedule_dts=soon", "schedule_dts"),
        ("run", "schedule_dts__range=2026-01-01", "schedule_dts__range"),
        ("run", "schedule_dts__year=x", "schedule_dts__year"),
        ("run", "worker__isnull=x", "worker__isnull"),
        ("worker", "api_key__regex=(", "api_key__regex"),
        ("worker", "api_key__regex=(?=a)", "api_key__regex"),
        ("worker", "api_key__regex=(a)\\1", "api_key__regex"),
        ("worker", "api_key__regex=" + "a" * 1001, "api_key__regex"),
        ("worker", "api_key__regex=((a{99}){99}){99}", "api_key__regex"),
        ("worker", "api_key__search=a", "api_key__search"),
        ("run", "is_manual__week_day=2", "is_manual__week_day"),
        ("run", "schedule_dts__week_day=monday", "schedule_dts__week_day"),
        ("run", "job__in=1,x", "job__in"),
        ("worker", "project_id=x", "project_id"),
        ("worker_pool", "order_by=title", "order_by"),
        ("run", "is_manual__year=2", "is_manual__year"),
    ],
)
def test_refused(resource: str, query: str, field: str) -> None:
    with pytest.raises(RefusedError) as caught:
        filters(resource, query)
    assert caught.value.status == 400
    assert caught.value.text is not None
    assert caught.value.text.startswith(field)


@pytest.mark.parametrize(
    ("query", "value", "expected"),
    [
        ("worker__api_key=a", "a", True),
        ("worker__api_key=a", "A", False),
        ("worker__api_key=b&worker__api_key=a", "a", True),
        ("worker__api_key__iexact=A", "a", True),
        ("worker__api_key__in=x,a", "a", True),
        ("worker__api_key__in=x&worker__api_key__in=a", "x", True),
        ("worker__api_key__gt=a", "b", True),
        ("worker__api_key__lte=a", "b", False),
        ("worker__api_key__contains=lu", "blue", True),
        ("worker__api_key__icontains=LU", "blue", True),
        ("worker__api_key__istartswith=B", "blue", True),
        ("worker__api_key__endswith=e", "blue", True),
        ("worker__api_key__iendswith=X", "blue", False),
        ("worker__api_key__regex=^b.*e$", "blue", True),
        ("worker__api_key__regex=^B", "blue", False),
        ("worker__api_key__regex=lu", "blue", True),
        ("worker__api_key__iregex=^B", "blue", True),
        ("worker__api_key__iregex=\u00c9", "\u00e9t\u00e9", True),
        ("worker__isnull=true", None, True),
        ("worker__regex=^3$", 3, True),
        ("worker__regex=", None, False),
        ("worker__isnull=False", None, False),
        ("worker=3", 3, True),
        ("worker=3", None, False),
        ("worker=/api/v1/worker/3/", 3, True),
        ("worker__gte=3", 3, True),
        ("worker__range=1,2", 3, False),
        ("is_manual=1", True, True),
        ("is_manual=false", True, False),
        ("schedule_dts=1970-01-01T00:00:01", 1.0, True),
        ("schedule_dts__lt=1970-01-01T00:00:01Z", 1.0, False),
        ("schedule_dts__year=1970", 1.0, True),
        ("schedule_dts__month=2", 1.0, False),
        ("schedule_dts__startswith=1970-01", 1.0, True),
        ("schedule_dts__week_day=5", 1.0, True),
        ("schedule_dts__week_day=5", -1.0, False),
        ("schedule_dts__week_day=4", -1.0, True),
        ("schedule_dts__week_day=1", 3 * 86_400.0, True),
        ("schedule_dts__week_day=7", 2 * 86_400.0, True),
        ("schedule_dts__week_day=8", 2 * 86_400.0, False),
        ("schedule_dts__regex=T00:00:01$", 1.0, True),
    ],
)
def test_lookups(query: str, value: Any, expected: bool) -> None:
    (condition,) = filters("run", query).conditions
    assert condition.matches(value) is expected


def test_days_of_the_week_are_those_of_the_zone() -> None:
    query = pairs("schedule_dts__week_day=6")
    (condition,) = read_filters(RESOURCES["run"], query, ZoneInfo("Pacific/Auckland")).conditions
    thursday_evening = 20 * 3600.0
    assert condition.matches(thursday_evening)


def test_patterns_take_linear_time() -> None:
    (condition,) = filters("worker", "api_key__regex=(a%2B)%2B$").conditions
    # What backtracks needs 2 to the power of 50,000 steps here.
    assert not condition.matches("a" * 50_000 + "b")


def test_schemas() -> None:
    run = schema_document(RESOURCES["run"])
    assert run["filtering"] == {"is_manual": 1, "job": 2, "schedule_dts": 1, "worker": 2}
    assert run["allowed_list_http_methods"] == ["get", "post"]
    assert run["allowed_detail_http_methods"] == ["get", "patch"]
    assert (run["default_format"], run["default_limit"]) == ("application/json", 200)
    assert set(run["fields"]) == {
        "id", "resource_uri", "job", "schedule_id", "schedule_dts", "enqueue_dts", "start_dts",
        "return_dts", "return_success", "pid", "worker", "run_log", "is_manual",
        "schedule_children",
    }  # fmt: skip
    methods = {
        key: (one["allowed_list_http_methods"], one["allowed_detail_http_methods"])
        for key, resource in RESOURCES.items()
        if (one := schema_document(resource))
    }
    reading = (["get"], ["get"])
    making = (["get", "post"], ["get", "patch"])
    assert methods == {
        "group": reading, "project": reading, "worker_pool": reading, "job_template": reading,
        "worker": (["get"], ["get", "patch"]), "job": (["get", "post"], ["get", "put", "patch"]),
        "run": making, "kill_request": making, "run_log": making,
    }  # fmt: skip


@pytest.mark.parametrize("key", list(RESOURCES))
def test_every_field_is_described(key: str) -> None:
    document = schema_document(RESOURCES[key])
    assert ("filtering" in document) == bool(RESOURCES[key].filtering)
    for name, field in document["fields"].items():
        assert field["readonly"] is (name == "resource_uri")
        assert ("related_type" in field) == (field["type"] == "related")
        unique = name == "id" or (key, name) in {("group", "name"), ("worker", "api_key")}
        assert field["unique"] is unique
