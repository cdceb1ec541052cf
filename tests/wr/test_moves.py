"""Moves from state to state, as far as requests cause them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import eventually, short_folder, start_server
from tests.wr.talk import QUICK, Wr


@pytest.fixture(scope="module")
def patient() -> Iterator[Wr]:
    """A server that waits an hour before it retries anything."""
    with short_folder() as place:
        server = start_server(place / "h", *QUICK, "--wr-retry-delay", "1h")
        talk = Wr(server)
        try:
            yield talk
        finally:
            talk.close()
            server.close()


def _states(wr: Wr, *keys: str) -> list[str]:
    return [job["State"] for job in wr.jobs(*keys)]


def _retry(wr: Wr, group: str) -> None:
    """Do what this interface has no verb for."""
    client = wr.server.client()
    (job,) = client.jobs(group=group)
    client.retry(job.id)


def test_a_pause_ends_when_the_last_dependency_is_met(patient: Wr, folder: Path) -> None:
    wr = patient
    (child,) = wr.add(
        {"cmd": f"test -e {folder}/x || ! touch {folder}/x", "retries": 1, "deps": ["late"]}
    )
    assert child["State"] == "ready"
    assert wr.wait_for(child["Key"], "delayed")["Attempts"] == 1
    gate = folder / "gate"
    (parent,) = wr.add({"cmd": f"while [ ! -e {gate} ]; do sleep 0.05; done", "dep_grps": ["late"]})
    assert wr.job(child["Key"])["State"] == "dependent"
    gate.touch()
    wr.wait_for(parent["Key"], "complete")
    job = wr.wait_for(child["Key"], "complete")
    assert (job["Attempts"], job["FailReason"]) == (2, "")


def test_a_buried_job_waits_for_newcomers_once_it_is_retried(wr: Wr, folder: Path) -> None:
    gate = folder / "gate"
    (child,) = wr.add({"cmd": f"test -e {gate}", "deps": ["helpers"], "rep_grp": "buried"})
    wr.wait_for(child["Key"], "buried")
    (helper,) = wr.add(
        {"cmd": f"while [ ! -e {gate} ]; do sleep 0.05; done # helper", "dep_grps": ["helpers"]}
    )
    assert wr.job(child["Key"])["State"] == "buried"
    _retry(wr, "buried")
    assert wr.job(child["Key"])["State"] == "dependent"
    gate.touch()
    wr.wait_for(helper["Key"], "complete")
    wr.wait_for(child["Key"], "complete")


def test_work_that_is_done_anew_is_told_once_and_as_live(wr: Wr, folder: Path) -> None:
    count, gate = folder / "count", folder / "gate"
    job = {
        "cmd": f"echo x >> {count}; while [ ! -e {gate} ]; do sleep 0.05; done", "rep_grp": "anew"
    }  # fmt: skip
    gate.touch()
    (added,) = wr.add(job)
    first = wr.wait_for(added["Key"], "complete")
    gate.unlink()
    wr.add({**job, "rerun": True})
    wr.wait_for(added["Key"], "running")
    assert _states(wr, added["Key"]) == _states(wr, "anew") == ["running"]
    assert wr.jobs("anew", state="complete") == []
    assert len(wr.add({**job, "rerun": True})) == 1, "what lives is left as it is"
    gate.touch()
    again = wr.wait_for("anew", "complete")
    assert (again["Key"], again["Attempts"]) == (first["Key"], 1)
    assert again["Pid"] != first["Pid"]
    assert count.read_text() == "x\nx\n"
    assert wr.add(job) == []


def test_every_attempt_counts_until_the_budget_is_used_up(wr: Wr, folder: Path) -> None:
    (added,) = wr.add({"cmd": f"echo x >> {folder}/n; exit 1", "retries": 2, "rep_grp": "budget"})
    assert wr.wait_for("budget", "buried")["Attempts"] == 3
    _retry(wr, "budget")
    job = wr.wait("budget", lambda found: found[0]["Attempts"] == 6)[0]
    assert wr.wait_for(added["Key"], "buried")["Attempts"] == job["Attempts"]
    assert (folder / "n").read_text() == "x\n" * 6


def test_what_never_starts_uses_nothing_up(wr: Wr) -> None:
    (added,) = wr.add({"cmd": f"true # {'x' * 200_000}", "rep_grp": "huge"})
    client, pauses = wr.server.client(), set()

    def look() -> bool:
        (job,) = client.jobs(group="huge")
        pauses.add(job.ready_at)
        return len(pauses - {None}) >= 3

    eventually(look)
    job = wr.wait_for(added["Key"], "delayed", "buried", std="true")
    assert (job["State"], job["Attempts"]) == ("delayed", 0)
    assert (job["FailReason"], job["Exited"]) == ("command failed to start", False)
    assert job["StdErr"]
    (gone,) = wr.end("deletable", added["Key"])
    assert gone["State"] == "deleted"
