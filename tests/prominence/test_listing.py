"""Which jobs are listed, and in what order."""

from collections.abc import Iterator

import pytest

from tests.databases import new_database
from tests.e2e.harness import RunningServer
from tests.prominence.conftest import idling
from tests.prominence.talk import Prominence, description


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def idle_server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server that runs nothing, on either database."""
    if request.param == "sqlite":
        with idling() as server:
            yield server
        return
    cluster = request.getfixturevalue("postgres_cluster")
    with new_database(cluster) as url, idling("--database", url) as server:
        yield server


def test_active_jobs_are_listed_in_short(idle: Prominence) -> None:
    number = idle.run("true", labels={"a": "b"})
    (found,) = idle.jobs()
    assert found == {
        "id": number,
        "name": "small",
        "status": "pending",
        "tasks": description("true")["tasks"],
        "events": {"createTime": found["events"]["createTime"]},
    }
    assert isinstance(found["events"]["createTime"], int)
    (detailed,) = idle.jobs(detail="x")
    assert detailed == idle.job(number)
    assert detailed["labels"] == {"a": "b"}


def test_what_ended_is_listed_by_its_end(idle: Prominence) -> None:
    first, second, third, active = (idle.run("true") for _ in range(4))
    for number in (second, third, first):
        idle.ask("DELETE", f"/jobs/{number}")
    assert idle.ids() == [active]
    assert idle.ids(completed="true") == [first]
    assert idle.ids(completed="true", num="2") == [first, third]
    assert idle.ids(completed="true", num="-1") == [first, third, second]
    assert idle.ids(completed="true", num="0") == []
    assert idle.ids(completed="TRUE") == idle.ids(completed="false", num="2") == [active]
    assert idle.ids(all="") == [first, second, third, active]
    assert idle.ids(all="1", num="1", completed="true") == [first, second, third, active]


def test_num_is_ignored_without_completed(idle: Prominence) -> None:
    numbers = [idle.run("true") for _ in range(3)]
    assert idle.ids(num="1") == numbers


def test_status(idle: Prominence) -> None:
    number = idle.run("true")
    for status, found in (("idle", [number]), ("pending", [number]), ("running", [])):
        assert idle.ids(status=status, num="1") == found
    for wrong in ("completed", "", "nonsense"):
        assert idle.refused("GET", f"/jobs?status={wrong}") == "invalid status specified"


def test_ids_whatever_their_state(idle: Prominence) -> None:
    first, second, third = (idle.run("true") for _ in range(3))
    idle.ask("DELETE", f"/jobs/{second}")
    assert idle.ids(id=f"{first},{second}, 99999999") == [first, second]
    assert idle.ids(id=str(third), num="1") == [third]
    for wrong in ("x", "1,,2", "1.5", "1;2"):
        assert "id must be an integer" in idle.refused("GET", "/jobs", params={"id": wrong})


@pytest.mark.parametrize("name", ["num", "id"])
@pytest.mark.parametrize("value", ["x", "1.5", "0x1", "१", "1e3", "9" * 40])
def test_numbers_that_are_none(idle: Prominence, name: str, value: str) -> None:
    text = idle.refused("GET", "/jobs", params={name: value})
    assert text.startswith(f"{name} must be an integer")


def test_names_match_exactly(idle: Prominence) -> None:
    plain, spaced, active = (idle.run("true", name=name) for name in ("pi", "a b/c", "pi"))
    for number in (plain, spaced):
        idle.ask("DELETE", f"/jobs/{number}")
    assert idle.ids(name="pi") == [active]
    assert idle.ids(name="pi", all="1") == [plain, active]
    assert idle.ids(name="pi", completed="true") == [plain]
    assert idle.ids(name="a b/c", completed="true") == [spaced]
    assert idle.ids(name="p", all="1") == idle.ids(name="PI", all="1") == []


def test_labels_must_all_match(idle: Prominence) -> None:
    long = "k" * 300
    one, two, none = (
        idle.run("true", labels=labels)
        for labels in ({"a": "1", "b": "2", long: "3"}, {"a": "1", "b": "x"}, {})
    )
    assert idle.ids(constraint="a=1") == [one, two]
    assert idle.ids(constraint=["a=1", "b=2"]) == [one]
    assert idle.ids(constraint=f"{long}=3") == [one]
    assert idle.ids(constraint="c=1") == []
    for number in (one, two, none):
        idle.ask("DELETE", f"/jobs/{number}")
    assert idle.ids(constraint="a=1", completed="true", num="-1") == [two, one]
    assert idle.ids(constraint="a=1", completed="true") == [two]
    assert idle.ids(constraint=["b=2", "a=1"], all="1") == [one]
    for wrong in ("a", "a=b=c", ""):
        assert idle.refused("GET", "/jobs", params={"constraint": wrong}) == "Invalid constraint"


@pytest.mark.parametrize("text", ["' or 1=1 --", "a=' or '1'='1", "%", "_", '"', "\\"])
def test_filters_are_no_queries(idle: Prominence, text: str) -> None:
    idle.run("true", name="x", labels={"a": "b"})
    assert idle.ids(name=text, all="1") == idle.ids(name=text, completed="true") == []
    if text.count("=") == 1:
        assert idle.ids(constraint=text, all="1") == []


def test_what_is_left_in_the_queue(idle: Prominence) -> None:
    kept, plain = (idle.run("true", policies={"leaveInQueue": leave}) for leave in (True, False))
    for number in (kept, plain):
        idle.ask("DELETE", f"/jobs/{number}")
    assert idle.ids() == [kept]
    assert idle.ids(num="1", status="idle") == []
    assert idle.ids(completed="true", num="-1") == [plain, kept]
    assert idle.ids(all="1") == [kept, plain]
    assert idle.ask("PUT", f"/jobs/{kept}/remove").json() == {}
    assert idle.ids() == []
    for number in (kept, plain):
        text = idle.refused("PUT", f"/jobs/{number}/remove")
        assert text == "Job is no longer in the queue"
    assert idle.ids(completed="true", num="-1") == [plain, kept]


def test_remove_from_an_active_job_takes_its_flag(idle: Prominence) -> None:
    kept, plain = (idle.run("true", policies={"leaveInQueue": leave}) for leave in (True, False))
    for number in (kept, plain):
        assert idle.ask("PUT", f"/jobs/{number}/remove").status_code == 200
        idle.ask("DELETE", f"/jobs/{number}")
    assert idle.ids() == []


def test_jobs_of_a_workflow(idle: Prominence) -> None:
    plain = idle.run("true", name="a")
    flow = {
        "name": "flow",
        "jobs": [{**description("echo $n"), "name": name} for name in ("a", "b", "c")],
        "dependencies": {"a": ["c"]},
        "factories": [{"name": "f", "type": "repeat", "jobs": ["b"], "number": 2}],
    }
    number = idle.ask("POST", "/workflows", json=flow).json()["id"]
    listed = idle.jobs(workflow="true", id=str(number), num="1")
    assert [job["name"] for job in listed] == ["flow/a", "flow/b/0", "flow/b/1", "flow/c"]
    assert ["parameters" in job for job in listed] == [False, True, True, False]
    single, first, second, child = (job["id"] for job in listed)
    assert idle.ids() == [plain, single, first, second, child]
    assert idle.ids(name="a") == [plain, single]
    assert idle.ids(name="flow/b/1") == [second]
    clone = idle.ask("PUT", f"/jobs/{single}/clone").json()["id"]
    assert idle.job(clone)["name"] == "a"
    text = idle.refused("PUT", f"/jobs/{first}/clone")
    assert text == "Unable to get JSON description of the specified job"
    assert idle.ask("DELETE", f"/jobs/{first}").json() == {}
    assert idle.ids(workflow="true", id=str(number)) == [single, second, child]
    assert idle.ids(workflow="true", id=str(number), completed="true") == [first]
    assert idle.ids(name="flow/b/0", completed="true") == [first]
    idle.ask("DELETE", f"/workflows/{number}")
    assert idle.ids(workflow="true", id=str(number)) == []
    assert len(idle.ids(workflow="true", id=str(number), all="1")) == 4
    found = idle.job(second)
    assert found["statusReason"] == "Job part of a workflow which was deleted by user"
    assert idle.get(f"/jobs/{number}") == []
    assert idle.other().ids(workflow="true", id=str(number), all="1") == []


def test_jobs_of_other_interfaces_are_not_listed(idle: Prominence) -> None:
    native = idle.server.client(idle.token).submit("true").id
    assert idle.ids() == idle.ids(all="1") == idle.ids(id=str(native)) == []
    assert idle.get(f"/jobs/{native}") == []
    assert idle.refused("DELETE", f"/jobs/{native}") == "No such job(s)"
    assert idle.refused("GET", f"/jobs/{native}/stdout") == "Job does not exist"
    number = idle.run("true")
    assert idle.server.client(idle.token).get(number).dialect == "prominence"
