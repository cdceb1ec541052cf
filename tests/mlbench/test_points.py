"""Points: what is taken, what is refused, and how series are read."""

import math
from typing import Any

import pytest

from tests.mlbench.talk import DATE, Mlbench

SUMMER = "2018-08-03T09:21:{:02d}.{:06d}Z"


def test_a_pod_nobody_has_heard_of_becomes_known(idle: Mlbench) -> None:
    idle.point(pod_name="far-away")
    pods = {pod["name"]: pod for pod in idle.get("/pods/").json()}
    assert pods["far-away"]["phase"] == "Unknown"
    assert pods["far-away"]["ip"] == ""


def test_a_refused_point_registers_no_pod(idle: Mlbench) -> None:
    good = {"pod_name": "never-seen", "name": "m", "value": "1"}
    for bad in ({**good, "date": "yesterday"}, {**good, "pod_name": "", "run_id": 9999}):
        assert idle.post("/metrics/", json=[good, bad]).status_code in {400, 404}
    assert "never-seen" not in [pod["name"] for pod in idle.get("/pods/").json()]
    assert idle.get("/metrics/never-seen/").status_code == 404


def test_a_run_alone_must_be_there_beside_a_pod_it_need_not(idle: Mlbench) -> None:
    reply = idle.post("/metrics/", json={"run_id": 987654, "name": "m", "value": 1})
    assert reply.status_code == 404
    assert reply.json() == {"status": "Not Found", "message": "Run not found"}
    idle.point(pod_name="beside", run_id=987654)
    assert list(idle.series("beside")) == ["m"]


def test_both_owners_show_the_point(idle: Mlbench) -> None:
    run = idle.create()["id"]
    reply = idle.point(pod_name="owner", run_id=run)
    assert reply["pod_name"] == "owner"
    assert "run_id" not in reply
    assert idle.series("owner") == idle.series(run, metric_type="run")
    assert "pod_name" not in idle.point(run_id=run)
    idle.delete(run)
    assert list(idle.series("owner")) == ["m"], "a deleted run leaves its pods' points"
    assert idle.get(f"/metrics/{run}/", params={"metric_type": "run"}).status_code == 404


def test_neither_owner(idle: Mlbench) -> None:
    body = {"name": "m", "value": "1"}
    reply = idle.post("/metrics/", json=body)
    assert reply.status_code == 400
    message = "Pod Name or run id have to be supplied"
    assert reply.json() == {"status": "Bad Request", "message": message, "data": body}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"value": 0.25}, {"value": "0.25"}),
        ({"value": 3}, {"value": "3"}),
        ({"value": "x" * 5000}, {"value": "x" * 5000}),
        ({"name": "n" * 300}, {"name": "n" * 300}),
        ({"cumulative": "True"}, {"cumulative": True}),
        ({"cumulative": "0"}, {"cumulative": False}),
        ({"cumulative": 1}, {"cumulative": True}),
        ({"metadata": {"rank": 1}}, {"metadata": '{"rank":1}'}),
        ({"rank": 3, "epoch": 4}, {"metadata": ""}),
        ({"date": "2026-11-22 00:10:16.889229"}, {"date": "2026-11-22T00:10:16.889229Z"}),
        ({"date": "2026-11-22T02:10:16+02:00"}, {"date": "2026-11-22T00:10:16.000000Z"}),
        ({"date": "2026-11-22T00:10:16.8Z"}, {"date": "2026-11-22T00:10:16.800000Z"}),
        ({"date": "2026-11-22"}, {"date": "2026-11-22T00:00:00.000000Z"}),
    ],
)
def test_spellings(idle: Mlbench, sent: dict[str, Any], told: dict[str, Any]) -> None:
    reply = idle.point(pod_name="speller", **sent)
    assert {key: reply[key] for key in told} == told


def test_a_point_without_a_date_is_of_now(idle: Mlbench) -> None:
    import re

    assert re.fullmatch(DATE, idle.point(pod_name="clock")["date"])


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": None}),
        ("name", {"name": ""}),
        ("value", {"value": None}),
        ("date", {"date": "soon"}),
        ("date", {"date": "2018-13-41T00:00:00Z"}),
        ("cumulative", {"cumulative": "perhaps"}),
        ("pod_name", {"pod_name": "p" * 501}),
        ("pod_name", {"pod_name": "a\nb"}),
    ],
)
def test_refusals_name_the_field(idle: Mlbench, field: str, fields: dict[str, Any]) -> None:
    body = {"pod_name": "refused", "name": "m", "value": "1", **fields}
    reply = idle.post("/metrics/", json={k: v for k, v in body.items() if v is not None})
    assert reply.status_code == 400
    assert reply.json()["status"] == "Bad Request"
    assert field in reply.json()["message"]
    assert idle.get("/metrics/refused/").status_code == 404


@pytest.mark.parametrize("slash", ["", "/"])
def test_forms_of_both_kinds(idle: Mlbench, slash: str) -> None:
    fields = {"pod_name": f"form{len(slash)}", "name": "a b", "value": "ü", "cumulative": "True"}
    reply = idle.post(f"/metrics{slash}", data=fields)
    assert reply.status_code == 201
    assert reply.json()["cumulative"] is True
    parts = {key: (None, value) for key, value in fields.items()}
    assert idle.post(f"/metrics{slash}", files=parts).status_code == 201
    assert [point["value"] for point in idle.series(fields["pod_name"])["a b"]] == ["ü", "ü"]


def test_an_array_is_taken_whole(idle: Mlbench) -> None:
    points = [{"pod_name": "array", "name": "m", "value": n} for n in range(3)]
    reply = idle.post("/metrics", json=points)
    assert reply.status_code == 201
    assert [each["value"] for each in reply.json()] == ["0", "1", "2"]
    reply = idle.post("/metrics", json=[*points, {"pod_name": "array", "name": "m"}])
    assert reply.status_code == 400
    assert len(idle.series("array")["m"]) == 3


def _fill(talk: Mlbench, pod: str, count: int, name: str = "m") -> None:
    points = [
        {"pod_name": pod, "name": name, "value": float(n), "date": SUMMER.format(n // 50, n % 50)}
        for n in range(count)
    ]
    assert talk.post("/metrics", json=points).status_code == 201


def test_series_are_in_order_of_time_whatever_the_order_of_arrival(idle: Mlbench) -> None:
    for second in (5, 1, 3):
        idle.point(pod_name="late", value=second, date=SUMMER.format(second, 0))
    idle.point(pod_name="late", value="3 again", date=SUMMER.format(3, 0))
    values = [point["value"] for point in idle.series("late")["m"]]
    assert values == ["1", "3", "3 again", "5"]


def test_since_is_exclusive(idle: Mlbench) -> None:
    _fill(idle, "since", 10)
    for since in (
        SUMMER.format(0, 4),
        "2018-08-03 09:21:00.000004",
        "2018-08-03T11:21:00.000004+02:00",
    ):
        assert len(idle.series("since", since=since)["m"]) == 5
    assert idle.series("since", since="2030-01-01T00:00:00Z") == {}
    reply = idle.get("/metrics/since/", params={"since": "soon"})
    assert reply.status_code == 400
    assert "since" in reply.json()["message"]


def test_filter_and_last(idle: Mlbench) -> None:
    _fill(idle, "filter", 10)
    _fill(idle, "filter", 3, "val_global_loss @ 0")
    assert list(idle.series("filter", metric_filter="val_global_loss @ 0")) == [
        "val_global_loss @ 0"
    ]
    last = idle.series("filter", last_n=2)
    assert [point["value"] for point in last["m"]] == ["8.0", "9.0"]
    assert idle.series("filter", metric_filter="none") == {}


@pytest.mark.parametrize(
    ("count", "size", "values"),
    [
        (10, 4, [1.0, 4.0, 7.0, 9.0]),
        (100, 10, [n * 10 + 4.5 for n in range(10)]),
        (10, 10, list(range(10))),
        (10, 0, list(range(10))),
        (10, 1, [4.5]),
    ],
)
def test_summaries(idle: Mlbench, count: int, size: int, values: list[float]) -> None:
    pod = f"summary{count}"
    if idle.get(f"/metrics/{pod}/").status_code == 404:
        _fill(idle, pod, count)
    found = idle.series(pod, summarize=size)["m"]
    assert [float(point["value"]) for point in found] == values
    step = math.ceil(count / size) if size else 1
    whole = idle.series(pod)["m"]
    assert [point["date"] for point in found] == [point["date"] for point in whole[::step]]


def test_last_comes_after_summarising_and_texts_pass_through(idle: Mlbench) -> None:
    _fill(idle, "mixed", 10)
    for word in ("a", "b", "c"):
        idle.point(pod_name="mixed", name="words", value=word)
    found = idle.series("mixed", summarize=2, last_n=1)
    assert [point["value"] for point in found["m"]] == ["7.0"]
    assert len(idle.series("mixed", summarize=2)["words"]) == 3


@pytest.mark.parametrize("name", ["summarize", "last_n"])
def test_numbers_in_the_query(idle: Mlbench, name: str) -> None:
    idle.point(pod_name="query")
    for value in ("-1", "x", "1.5", "9" * 30):
        reply = idle.get("/metrics/query/", params={name: value})
        assert reply.status_code == 400
        assert name in reply.json()["message"]


def test_unknown_keys(idle: Mlbench) -> None:
    assert idle.get("/metrics/nobody/").json() == {
        "status": "Not Found",
        "message": "Pod not found",
    }
    for key in ("777777", "x", "99999999999999999999"):
        reply = idle.get(f"/metrics/{key}/", params={"metric_type": "anything"})
        assert reply.status_code == 404
        assert reply.json() == {"status": "Not Found", "message": "Run not found"}
    assert idle.series("gristmill-mlbench-worker-0") == {}


def test_layouts_of_all_metrics(idle: Mlbench) -> None:
    _fill(idle, "layout", 5)
    run = idle.create(name="laid-out")["id"]
    idle.point(run_id=run, name="loss", metadata="{rank: 0}")
    flat = idle.get("/metrics/", params={"last_n": 1}).json()
    assert [point["value"] for point in flat["layout"]["m"]] == ["4.0"]
    assert "laid-out" not in flat
    grouped = idle.get("/metrics/", params={"layout": "grouped"}).json()
    (point,) = grouped["run_metrics"]["laid-out"]["loss"]
    assert set(point) == {"name", "value", "date", "metadata", "cumulative"}
    assert point["metadata"] == "{rank: 0}"
    assert len(grouped["pod_metrics"]["layout"]["m"]) == 5
    assert idle.get("/metrics/", params={"layout": "round"}).status_code == 400
    late = idle.get("/metrics/", params={"since": "2020-01-01T00:00:00Z"}).json()
    assert late.get("layout", {}) == {}
    idle.delete(run)
