"""Agents that fall silent: their jobs are lost, and a person can say that they are dead."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.agent.processes import identify, is_alive
from gristmill.dialects.wr.wire import ZERO_TIME
from tests.e2e.agents import FarAgent
from tests.e2e.harness import eventually
from tests.wr.conftest import Start
from tests.wr.talk import QUICK, Job, Wr

SILENCE = ("--engine", "none", "--heartbeat", "0.3s", "--lost-after", "1s", *QUICK)


@contextmanager
def _one_far_agent(start: Start, folder: Path) -> Iterator[tuple[Wr, FarAgent]]:
    server = start(*SILENCE)
    talk = Wr(server)
    try:
        with server.far_agent(folder / "far") as agent:
            yield talk, agent
    finally:
        talk.close()


def _lose(wr: Wr, agent: FarAgent, **more: object) -> Job:
    wr.add({"cmd": "sleep 1000", "rep_grp": "lost", **more})
    wr.wait_for("lost", "running")
    agent.stop_clock()
    return wr.wait_for("lost", "lost")


def test_lost_and_confirmed(start: Start, folder: Path) -> None:
    with _one_far_agent(start, folder) as (wr, agent):
        job = _lose(wr, agent)
        assert (job["Exited"], job["Exitcode"]) == (False, -1)
        assert job["FailReason"] == "lost contact with runner"
        assert job["Ended"] >= job["Started"] > 0
        assert wr.jobs(state="lost") == wr.jobs("lost", state="lost") == [job]
        assert wr.jobs("lost", state="running") == []
        assert "lost contact with the agent" in wr.client.get("/rest/v1/warnings/").json()[0]["Msg"]
        assert wr.end("running", "lost") == []
        (ended,) = wr.end("lost", "lost")
        assert ended["State"] == "lost"
        dead = wr.job("lost")
        assert dead["State"] == "buried"
        assert (dead["Exited"], dead["Exitcode"]) == (True, -1)
        assert dead["FailReason"] == "lost contact with runner"
        assert dead["Ended"] == ZERO_TIME
        assert dead["Walltime"] == wr.job("lost")["Walltime"]
        assert wr.end("lost") == []


def test_lost_and_retried(start: Start, folder: Path) -> None:
    with _one_far_agent(start, folder) as (wr, agent):
        _lose(wr, agent, retries=1)
        wr.end("lost", wr.job("lost")["Key"])
        assert wr.job("lost")["State"] in {"delayed", "ready"}
        assert wr.job("lost")["FailReason"] == "lost contact with runner"
        agent.resume_clock()
        again = wr.wait_for("lost", "running")
        assert again["Attempts"] == 2
        wr.end("running", "lost")
        wr.wait_for("lost", "buried")


def test_lost_and_found(start: Start, folder: Path) -> None:
    with _one_far_agent(start, folder) as (wr, agent):
        _lose(wr, agent)
        agent.resume_clock()
        found = wr.wait_for("lost", "running")
        assert found["Ended"] == ZERO_TIME
        assert found["Attempts"] == 1
        wr.end("running", "lost")
        wr.wait_for("lost", "buried")


def test_lost_and_deleted(start: Start, folder: Path) -> None:
    with _one_far_agent(start, folder) as (wr, agent):
        job = _lose(wr, agent)
        (gone,) = wr.end("deletable", "lost")
        assert gone["State"] == "deleted"
        assert wr.jobs("lost") == []
        command = identify(job["Pid"])
        assert command is not None
        agent.resume_clock()
        eventually(lambda: not is_alive(command), what="the end of its command")
        assert wr.jobs("lost") == []


def test_a_server_that_is_dead(start: Start, folder: Path) -> None:
    with _one_far_agent(start, folder) as (wr, agent):
        _lose(wr, agent)
        servers = wr.client.get("/rest/v1/servers/")
        (bad,) = servers.json()
        assert list(bad) == ["ID", "Name", "IP", "Date", "IsBad", "Problem"]
        assert bad["IsBad"] is True
        assert bad["Problem"] == ""
        confirmed = wr.client.delete("/rest/v1/servers/", params={"id": bad["ID"]})
        assert (confirmed.status_code, confirmed.content) == (200, b"")
        eventually(lambda: wr.job("lost")["State"] == "buried")
        assert wr.client.get("/rest/v1/servers/").json() == []
        again = wr.client.delete("/rest/v1/servers/", params={"id": bad["ID"]})
        assert (again.status_code, again.text) == (404, "Server was not known to be bad\n")


def test_draining_is_told(start: Start, folder: Path) -> None:
    with _one_far_agent(start, folder) as (wr, _):
        client = wr.server.client()
        eventually(client.agents)
        client.drain_agent(client.agents()[0].id)
        assert wr.client.get("/rest/v1/info/").json()["Mode"] == "draining"


def test_behaviours_follow_when_the_runner_has_died(start: Start, folder: Path) -> None:
    talk = Wr(start(*QUICK))
    log, gate = folder / "log", folder / "gate"
    os.mkfifo(gate)
    try:
        talk.add(
            {
                "cmd": "touch x; sleep 1000", "cwd": str(folder), "rep_grp": "orphan",
                "env": ["SECRET=s"],
                "on_failure": [{"run": f"echo failure$SECRET $PWD >> {log}; read x < {gate}"}],
                "on_success": [{"run": f"echo success >> {log}"}],
                "on_exit": [{"run": f"echo exit >> {log}"}, {"cleanup": True}],
            }
        )  # fmt: skip
        running = talk.wait_for("orphan", "running")
        place = f"{folder}{running['Cwd']}"
        eventually(Path(place, "x").exists)
        talk.server.kill9_agent()
        eventually(lambda: log.exists() and log.read_text() == f"failure {place}\n")
        assert talk.wait_for("orphan", "lost")["FailReason"] == "lost contact with runner"
        gate.write_text("go\n")
        job = talk.wait_for("orphan", "buried")
        assert (job["Exited"], job["Exitcode"]) == (True, -1)
        assert job["FailReason"] == "lost contact with runner"
        assert log.read_text() == f"failure {place}\nexit\n"
        assert not (folder / "wr_cwd").exists()
    finally:
        talk.close()
