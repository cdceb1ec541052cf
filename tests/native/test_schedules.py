"""/v1/schedules: what a client sees, and what it may not send."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from tests.native.place import Place, error_of

DECLARED = """
groups: [{group}-see, {group}-run]
pools: [{{name: "{group}-pool", agents: false}}, {{name: "{group}-other"}}]
workers: [{{name: "{group}-w", pools: ["{group}-pool"], api_key: "{group}-k", secret: s}}]
projects:
  - {{name: {group}, viewers: ["{group}-see"], operators: ["{group}-run"], pools: ["{group}-pool"]}}
templates: [{{name: bash, project: {group}}}]
"""


@pytest.fixture
def project(place: Place) -> str:
    """A project of the test's own."""
    name = place.name("project")
    yaml = {"Content-Type": "application/yaml"}
    reply = place.admin.post("/v1/apply", content=DECLARED.format(group=name), headers=yaml)
    assert reply.status_code == 200, reply.text
    return name


def _new(project: str, name: str = "nightly", /, **fields: Any) -> dict[str, Any]:
    same = {"name": name, "template": "bash", "pool": f"{project}-pool"}
    return {"project": project, **same, **fields}


def _made(client: httpx2.Client, body: dict[str, Any]) -> Any:
    reply = client.post("/v1/schedules", json=body)
    assert reply.status_code == 201, reply.text
    return reply.json()


def test_a_schedule_is_made_looked_at_changed_and_run(place: Place, project: str) -> None:
    admin = place.admin
    first = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    made = _made(
        admin,
        _new(project, script="echo hi", every={"count": 1, "unit": "day"},
             first_run=first.isoformat(), timezone="Europe/Amsterdam"),
    )  # fmt: skip
    path = f"/v1/schedules/{made['id']}"
    assert made["rendered"] == "echo hi"
    assert datetime.fromisoformat(made["next"][0]) == first
    assert admin.get(path).json() == made
    changed = admin.patch(path, json={"cron": "0 3 * * *", "description": "at three"}).json()
    assert (changed["every"], changed["cron"]) == (None, "0 3 * * *")
    assert (changed["description"], changed["timezone"]) == ("at three", "Europe/Amsterdam")
    listed = admin.get("/v1/schedules", params={"project": project}).json()
    assert (listed["total"], [one["id"] for one in listed["schedules"]]) == (1, [made["id"]])
    assert datetime.fromisoformat(listed["schedules"][0]["due"]) == first
    assert admin.post(f"{path}/pause").json()["enabled"] is False
    assert admin.post(f"{path}/resume").json()["enabled"] is True
    times = admin.get(f"{path}/next", params={"count": 3}).json()["times"]
    assert len(times) == 3
    run = admin.post(f"{path}/run", json={"chains": False}).json()
    assert (run["state"], run["manual"], run["chains"]) == ("scheduled", True, False)
    runs = admin.get(f"{path}/runs", params={"state": "scheduled"}).json()
    assert [one["id"] for one in runs["runs"]] == [run["id"], run["id"] - 1]
    assert admin.get(f"/v1/jobs/{run['id']}").json()["project"] == project
    assert error_of(admin.get(f"{path}/runs/{run['id']}/log"))["code"] == "not_found"
    assert admin.post(f"{path}/runs/{run['id']}/kill").status_code == 201


def test_a_schedule_without_a_first_run_is_started(place: Place, project: str) -> None:
    admin = place.admin
    made = _made(admin, _new(project, "by cron", cron="0 3 * * *", timezone="Europe/Amsterdam"))
    path = f"/v1/schedules/{made['id']}"
    assert (made["next"], admin.get(f"{path}/next").json()) == ([], {"times": []})
    admin.post(f"{path}/run")
    assert admin.get(f"{path}/next").json() == {"times": []}
    run = admin.post(f"{path}/start").json()
    due = datetime.fromisoformat(run["due_at"])
    assert due > datetime.now(UTC)
    assert due.astimezone(ZoneInfo("Europe/Amsterdam")).strftime("%H:%M") == "03:00"
    assert not run["manual"]
    times = admin.get(f"{path}/next", params={"count": 2}).json()["times"]
    assert datetime.fromisoformat(times[0]) == due
    assert len(times) == 2
    again = error_of(admin.post(f"{path}/start"))
    assert (again["code"], str(run["id"]) in again["message"]) == ("conflict", True)

    hourly = _made(admin, _new(project, "hourly", every={"count": 1, "unit": "hour"}))
    before = datetime.now(UTC)
    now = admin.post(f"/v1/schedules/{hourly['id']}/start", json={}).json()
    first = datetime.fromisoformat(now["due_at"])
    assert before <= first + timedelta(milliseconds=1) <= datetime.now(UTC) + timedelta(seconds=1)

    daily = _made(admin, _new(project, "daily", every={"count": 1, "unit": "day"}))
    path = f"/v1/schedules/{daily['id']}/start"
    assert error_of(admin.post(path, json={"at": "soon"}))["field"] == "at"
    assert error_of(admin.post(path, json={"on": None}))["field"] == "on"
    at = {"at": "2999-01-01T03:00:00+00:00"}
    assert datetime.fromisoformat(admin.post(path, json=at).json()["due_at"]).year == 2999

    by_hand = _made(admin, _new(project, "by hand"))
    reply = admin.post(f"/v1/schedules/{by_hand['id']}/start")
    assert "neither an interval nor a cron line" in error_of(reply)["message"]
    full = [{"from": "00:00", "to": "23:59:59"}]
    never = _made(admin, _new(project, "never", exclude=full, every={"count": 1, "unit": "hour"}))
    reply = admin.post(f"/v1/schedules/{never['id']}/start")
    assert "windows" in error_of(reply)["message"]
    assert place.user().post(path).status_code in (403, 404)


def test_a_backfill_adds_a_run_for_each_time(place: Place, project: str) -> None:
    made = _made(place.admin, _new(project, cron="0 3 * * *"))
    path = f"/v1/schedules/{made['id']}/backfill"
    period = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T23:00:00Z"}
    assert len(place.admin.post(path, json=period).json()["runs"]) == 3
    backwards = {"from": period["to"], "to": period["from"]}
    assert error_of(place.admin.post(path, json=backwards))["field"] == "from"
    far = {"from": "2026-01-01T00:00:00Z", "to": "2126-01-01T00:00:00Z"}
    assert error_of(place.admin.post(path, json=far))["field"] == "to"
    assert error_of(place.admin.post(path, json={"from": "2026-01-01T00:00:00"}))["field"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"project": "nowhere"}, "template"),
    ({"template": "nothing"}, "template"),
    ({"pool": "nowhere"}, "pool"),
    ({"every": {"count": 0, "unit": "day"}}, "every.count"),
    ({"every": {"count": 1, "unit": "century"}}, "every.unit"),
    ({"every": {"count": 1, "unit": "day"}, "cron": "* * * * *"}, "cron"),
    ({"cron": "61 * * * *"}, "cron"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"jitter": -1}, "jitter"),
    ({"jitter": 1e9}, "jitter"),
    ({"catch_up": "never"}, "catch_up"),
    ({"exclude": [{"from": "25:00", "to": "26:00"}]}, "exclude[0].from"),
    ({"exclude": [{"from": "22:00", "to": "06:00"}]}, "exclude"),
    ({"first_run": "2026-01-01T00:00:00"}, "first_run"),
    ({"parent": 10**18}, "parent"),
    ({"script": "a\u0000b"}, "script"),
    ({"disable_after_failures": -1}, "disable_after_failures"),
    ({"color": "red"}, "color"),
]


@pytest.mark.parametrize(("fields", "field"), BAD, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_refused_and_changes_nothing(
    place: Place, project: str, fields: dict[str, Any], field: str
) -> None:
    error = error_of(place.admin.post("/v1/schedules", json=_new(project, **fields)))
    assert (error["code"], error["field"]) == ("invalid_input", field)
    assert place.admin.get("/v1/schedules", params={"project": project}).json()["total"] == 0
    if "project" not in fields and "first_run" not in fields:
        made = _made(place.admin, _new(project))
        error = error_of(place.admin.patch(f"/v1/schedules/{made['id']}", json=fields))
        assert error["field"] == field
        assert place.admin.get(f"/v1/schedules/{made['id']}").json() == made


def test_a_name_is_taken_once_in_a_template(place: Place, project: str) -> None:
    _made(place.admin, _new(project))
    again = place.admin.post("/v1/schedules", json=_new(project))
    assert error_of(again)["code"] == "conflict"


def test_a_pool_must_be_one_of_the_projects(place: Place, project: str) -> None:
    other = place.admin.post("/v1/schedules", json=_new(project, pool=f"{project}-other"))
    assert error_of(other)["field"] == "pool"


def test_groups_decide_who_sees_and_who_operates(place: Place, project: str) -> None:
    made = _made(place.admin, _new(project))
    path = f"/v1/schedules/{made['id']}"

    def caller(*groups: str) -> httpx2.Client:
        return place.client(place.token(place.name("user"), groups=list(groups))["token"])

    viewer, operator, other = caller(f"{project}-see"), caller(f"{project}-run"), caller("else")
    assert viewer.get(path).status_code == 200
    assert operator.post(f"{path}/run").status_code == 201
    changes = [("patch", path), ("post", f"{path}/pause"), ("post", f"{path}/run")]
    for method, where in changes:
        body: dict[str, Any] = {"json": {}} if method == "patch" else {}
        assert error_of(getattr(viewer, method)(where, **body))["code"] == "not_permitted"
        assert error_of(getattr(other, method)(where, **body))["code"] == "not_found"
    assert error_of(other.get(path))["code"] == "not_found"
    assert other.get("/v1/schedules").json()["total"] == 0
    assert error_of(other.post("/v1/schedules", json=_new(project)))["field"] == "template"
    assert error_of(viewer.post("/v1/schedules", json=_new(project)))["code"] == "not_permitted"
    assert _made(operator, _new(project, "own"))["project"] == project
    assert error_of(place.stranger.get(path))["code"] == "not_authenticated"
