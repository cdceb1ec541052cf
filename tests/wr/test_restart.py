"""What a restart of the server leaves as it was."""

from pathlib import Path

from tests.wr.conftest import Start
from tests.wr.talk import QUICK, Wr


def test_everything_comes_back_as_it_was(start: Start, folder: Path) -> None:
    talk = Wr(start(*QUICK, "--wr-retry-delay", "1h"))
    try:
        talk.add(
            {"cmd": "true # done", "rep_grp": "g"},
            {"cmd": "false # buried", "rep_grp": "g"},
            {"cmd": "false # delayed", "rep_grp": "g", "retries": 1},
            {"cmd": f"while [ ! -e {folder}/gate ]; do sleep 0.05; done", "rep_grp": "g",
             "dep_grps": ["running"]},
            {"cmd": "true # dependent", "rep_grp": "g", "deps": ["running"]},
        )  # fmt: skip
        wanted = ["buried", "delayed", "running", "dependent", "complete"]
        before = talk.wait("g", lambda found: [job["State"] for job in found] == wanted)
        talk.server.kill9()
        talk.server.restart()
        after = talk.wait("g", lambda found: [job["State"] for job in found] == wanted)
        running = wanted.index("running")
        assert after[running]["Pid"] == before[running]["Pid"]
        del before[running], after[running]
        assert after == before
        for state in wanted:
            assert [job["State"] for job in talk.jobs("g", state=state)] == [state]
            live = [] if state == "complete" else [state]
            assert [job["State"] for job in talk.jobs(state=state)] == live
        (folder / "gate").touch()
        ended = ["buried", "delayed", "complete", "complete", "complete"]
        found = talk.wait("g", lambda found: [job["State"] for job in found] == ended)
        assert sorted(job["Attempts"] for job in found) == [1] * 5
    finally:
        talk.close()


def test_a_stop_that_ends_the_jobs_too(start: Start) -> None:
    talk = Wr(start(*QUICK, "--stop-jobs"))
    try:
        talk.add(
            {"cmd": "sleep 1000 # once", "rep_grp": "once"},
            {"cmd": "sleep 1000 # twice", "rep_grp": "twice", "retries": 1},
        )
        for group in ("once", "twice"):
            talk.wait_for(group, "running")
        assert talk.server.stop() == 0
        talk.server.restart()
        reason = "runner received a signal to stop"
        assert talk.wait_for("once", "buried")["FailReason"] == reason
        again = talk.wait("twice", lambda found: found[0]["Attempts"] == 2)[0]
        assert (again["State"], again["FailReason"]) == ("running", reason)
        talk.end("running", "twice")
        talk.wait_for("twice", "buried")
    finally:
        talk.close()
