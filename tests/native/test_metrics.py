"""/v1/metrics over a real listener."""

import json
from typing import Any

import pytest

from tests.native.place import Place


def _read(place: Place, who: Any, **query: Any) -> Any:
    reply = who.get("/v1/metrics", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()["series"]


def test_points_of_a_source(place: Place) -> None:
    ann = place.user("ann-metrics")
    sent = [
        {"source": "oven", "name": "heat", "value": 21.5, "at": "2026-01-02T03:04:05.678901Z"},
        {"source": "oven", "name": "heat", "value": "22", "at": 1767323046, "metadata": "m"},
        {"source": "oven", "name": "door", "value": "open", "cumulative": True},
    ]
    reply = ann.post("/v1/metrics", json=sent)
    assert (reply.status_code, reply.json()) == (201, {"recorded": 3})
    series = _read(place, ann, source="oven", name="heat")
    assert series == {
        "heat": [
            {
                "at": "2026-01-02T03:04:05.678901Z",
                "value": "21.5",
                "metadata": "",
                "cumulative": False,
            },
            {"at": "2026-01-02T03:04:06Z", "value": "22", "metadata": "m", "cumulative": False},
        ]
    }
    later = _read(place, ann, source="oven", since="2026-01-02T03:04:05.678901")
    assert sorted(later) == ["door", "heat"]
    assert [point["value"] for point in later["heat"]] == ["22"]
    assert [
        p["value"] for p in _read(place, ann, source="oven", name="heat", summarize=1)["heat"]
    ] == ["21.75"]
    assert ann.get("/v1/metrics/names", params={"source": "oven"}).json()["names"] == [
        "door",
        "heat",
    ]
    assert ann.get("/v1/metrics/sources").json() == {"sources": ["oven"]}
    text = ann.get("/v1/metrics/prometheus", params={"source": "oven"}).text
    assert 'gristmill_metric{source="oven",name="heat"} 22.0 1767323046000' in text
    assert "door" not in text
    assert ann.delete("/v1/metrics", params={"source": "oven"}).status_code == 204
    assert ann.get("/v1/metrics", params={"source": "oven"}).status_code == 404


def test_points_of_a_job_are_its_owners(place: Place) -> None:
    ann, ben = place.user("ann-metrics"), place.user("ben-metrics")
    job = ann.post("/v1/jobs", json={"command": "true"}).json()["id"]
    point = {"job": job, "name": "loss", "value": 1}
    assert ann.post("/v1/metrics", json=point).status_code == 201
    assert ben.post("/v1/metrics", json=point).status_code == 404
    assert ben.get("/v1/metrics", params={"job": job}).status_code == 404
    assert [p["value"] for p in _read(place, place.admin, job=job)["loss"]] == ["1"]
    empty = ann.post("/v1/jobs", json={"command": "true"}).json()["id"]
    assert _read(place, ann, job=empty) == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "value": 1}, "job"),
        ({"name": "x", "value": 1, "job": 1, "source": "s"}, "job"),
        ({"source": "s", "value": 1}, "name"),
        ({"source": "s", "name": "x"}, "value"),
        ({"source": "s", "name": "", "value": 1}, "name"),
        ({"source": "s", "name": "x", "value": None}, "value"),
        ({"source": "s", "name": "x", "value": 1, "at": 1e300}, "at"),
        ({"source": "s", "name": "x", "value": 1, "at": "soon"}, "at"),
        ({"source": "job:x", "name": "x", "value": 1}, "source"),
    ],
)
def test_bad_points_are_refused_and_leave_nothing(
    place: Place, body: dict[str, object], field: str
) -> None:
    ann = place.user("refused-metrics")
    good = {"source": "good", "name": "x", "value": 1}
    reply = ann.post("/v1/metrics", json=[good, body])
    assert reply.status_code == 400, reply.text
    assert field in reply.text
    assert ann.get("/v1/metrics/sources").json() == {"sources": []}


def test_points_are_followed_as_they_come(place: Place) -> None:
    ann = place.user("live-metrics")
    point = {"source": "live", "name": "x", "value": 1}
    assert ann.post("/v1/metrics", json=point).status_code == 201
    with ann.stream("GET", "/v1/metrics/stream", params={"source": "live"}) as reply:
        lines = reply.iter_lines()
        assert next(lines) == ": hello"
        while True:
            ann.post("/v1/metrics", json={**point, "value": 2})
            line = next(line for line in lines if line)
            if line == "event: point":
                break
        data = json.loads(next(lines).removeprefix("data: "))
        assert (data["name"], data["value"]) == ("x", "2")
