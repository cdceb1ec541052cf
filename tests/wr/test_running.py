"""What a client sees of jobs that run: results, folders, environment, retries, behaviours."""

import os
import re
from pathlib import Path

import pytest

from gristmill.agent.processes import identify, is_alive
from gristmill.dialects.wr.wire import ZERO_TIME
from tests.e2e.harness import eventually
from tests.wr.talk import Job, Wr


def test_a_job_that_succeeds(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "echo fine; sleep 0.2", "rep_grp": "fine", "cpus": 1})
    assert (added["State"], added["Exitcode"], added["Attempts"]) == ("ready", 0, 0)
    job = wr.wait_for(added["Key"], "complete", std="true")
    key = added["Key"]
    place = rf"/wr_cwd/{key[0]}/{key[1]}/{key[2]}/{key[3:]}[0-9]+/cwd"
    assert re.fullmatch(place, job["Cwd"])
    assert job["CwdBase"] == wr.cwd
    assert (job["Exited"], job["Exitcode"], job["FailReason"]) == (True, 0, "")
    assert job["Pid"] > 0
    assert job["Host"]
    assert job["HostID"] == ""
    assert not job["HostIP"].startswith("127.")
    assert 0.2 <= job["Walltime"] < 30
    assert job["CPUtime"] >= 0
    assert isinstance(job["PeakRAM"], int)
    assert job["Ended"] >= job["Started"] > 1_600_000_000
    assert job["Attempts"] == 1
    assert (job["StdOut"], job["StdErr"]) == ("", "")


def test_what_an_attempt_used_and_which_process_it_was(wr: Wr, folder: Path) -> None:
    burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    (added,) = wr.add(
        {"cmd": f"{burn}; echo $$ > {folder}/pid; times > {folder}/times", "rep_grp": "burner"}
    )
    job = wr.wait_for(added["Key"], "complete")
    assert job["Pid"] == int((folder / "pid").read_text())
    user, system = (folder / "times").read_text().split()[:2]
    told = sum(60 * int(m) + float(s) for m, s in re.findall(r"(\d+)m([\d.]+)s", user + system))
    assert job["CPUtime"] >= told > 0.05
    assert job["Walltime"] >= 0.9 * told


def test_the_environment_of_the_query(wr: Wr, folder: Path) -> None:
    out = folder / "out"
    reply = wr.client.post(
        "/rest/v1/jobs/", params={"env": "A=from the query,B=2", "cwd": wr.cwd},
        json=[{"cmd": f'echo "$A,$B" >> {out}'}],
    )  # fmt: skip
    key = reply.json()[0]["Key"]
    job = wr.wait_for(key, "complete", env="true")
    assert {"A=from the query", "B=2"} <= set(job["Env"])
    assert out.read_text() == "from the query,2\n"
    assert [wr.job(key, env=word)["Env"] for word in ("True", "1", "yes", "")] == [None] * 4


def test_a_running_job(wr: Wr, folder: Path) -> None:
    gate = folder / "gate"
    os.mkfifo(gate)
    (added,) = wr.add({"cmd": f"cat {gate}"})
    job = wr.wait_for(added["Key"], "running")
    assert (job["Exited"], job["Exitcode"], job["Attempts"]) == (False, -1, 1)
    assert job["Started"] > 0
    assert job["Ended"] == ZERO_TIME
    assert job["Walltime"] >= 0
    assert added["Key"] in {found["Key"] for found in wr.jobs(state="running")}
    assert added["Key"] in {found["Key"] for found in wr.jobs(state="reserved")}
    gate.write_text("")
    wr.wait_for(added["Key"], "complete")


def test_a_failure_is_buried_with_its_output(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "echo out; echo err >&2; exit 3", "rep_grp": "failing"})
    job = wr.wait_for("failing", "buried", std="true")
    assert (job["Exited"], job["Exitcode"]) == (True, 3)
    assert job["FailReason"] == "command exited non-zero"
    assert (job["StdOut"], job["StdErr"]) == ("out", "err")
    assert wr.job(added["Key"])["StdOut"] == ""
    assert wr.job(added["Key"], std="yes")["StdOut"] == ""


def test_long_output_keeps_head_and_tail(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "head -c 300000 /dev/zero | tr '\\0' a; echo; exit 1"})
    job = wr.wait_for(added["Key"], "buried", std="true")
    assert job["StdOut"].startswith("a" * 4096 + "\n... omitting 291809 bytes ...\naaa")
    assert len(job["StdOut"]) == 2 * 4096 + len("\n... omitting 291809 bytes ...\n") - 1


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("/etc/passwd", 126, "command permission problem"),
        ("/no/such/command", 127, "command not found"),
        ("exit 128", 128, "command invalid exit code"),
    ],
)
def test_codes_that_are_never_retried(wr: Wr, command: str, code: int, reason: str) -> None:
    (added,) = wr.add({"cmd": command, "retries": 3})
    job = wr.wait_for(added["Key"], "buried")
    assert (job["Exitcode"], job["FailReason"], job["Attempts"]) == (code, reason, 1)


def test_retries_with_a_pause_between(wr: Wr, folder: Path) -> None:
    count = folder / "count"
    (added,) = wr.add({"cmd": f"echo x >> {count}; exit 1", "retries": 2})
    delayed = wr.wait_for(added["Key"], "delayed", "buried")
    assert delayed["FailReason"] == "command exited non-zero"
    job = wr.wait_for(added["Key"], "buried")
    assert job["Attempts"] == 3
    assert count.read_text() == "x\n" * 3


def test_a_retry_tells_why_the_attempt_before_failed(wr: Wr, folder: Path) -> None:
    gate = folder / "gate"
    os.mkfifo(gate)
    wr.add({"cmd": f"test -e {folder}/x && cat {gate}; touch {folder}/x; false", "retries": 1,
            "rep_grp": "why"})  # fmt: skip
    job = wr.wait("why", lambda found: found[0]["Attempts"] == 2)[0]
    assert (job["State"], job["FailReason"]) == ("running", "command exited non-zero")
    assert (job["Exited"], job["Exitcode"], job["Ended"]) == (False, -1, ZERO_TIME)
    gate.write_text("")
    wr.wait_for("why", "buried")


def test_a_pipe_fails_with_any_of_its_parts(wr: Wr) -> None:
    first, second = wr.add({"cmd": "false | cat"}, {"cmd": "false |cat"})
    assert wr.wait_for(first["Key"], "buried", "complete")["State"] == "buried"
    assert wr.wait_for(second["Key"], "buried", "complete")["State"] == "complete"
    assert wr.job(first["Key"])["Cmd"] == "false | cat"


def test_the_environment(wr: Wr, folder: Path) -> None:
    base, out = folder / "made" / "for it", folder / "out"
    command = f'echo "$A,$B,$HOME,$TMPDIR,$PWD" > {out}'
    (added,) = wr.add(
        {"cmd": command, "cwd": str(base), "change_home": True, "env": ["A=1", "B=x=y", "A=2"]}
    )
    job = wr.wait_for(added["Key"], "complete", env="true")
    place = f"{base}{job['Cwd']}"
    scratch = f"{place.removesuffix('cwd')}tmp"
    assert out.read_text().rstrip() == f"2,x=y,{place},{scratch},{place}"
    assert {"A=2", "B=x=y"} <= set(job["Env"])
    assert any(entry.startswith("PATH=") for entry in job["Env"])
    assert not os.path.exists(scratch)
    assert job["HomeChanged"] is True
    assert wr.job(added["Key"])["Env"] is None


def test_cwd_that_matters(wr: Wr, folder: Path) -> None:
    home = os.environ.get("HOME", "")
    (added,) = wr.add(
        {"cmd": "pwd > here; echo $HOME > house", "cwd": str(folder), "cwd_matters": True,
         "change_home": True}
    )  # fmt: skip
    job = wr.wait_for(added["Key"], "complete")
    assert job["Cwd"] == ""
    assert (folder / "here").read_text().strip() == str(folder)
    assert (folder / "house").read_text().strip() == home
    assert not (folder / "wr_cwd").exists()


def test_a_cwd_that_cannot_be_made(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "true", "cwd": "/proc/no/place", "retries": 2})
    job = wr.wait_for(added["Key"], "buried", std="true")
    assert job["FailReason"] == "working directory does not exist"


def _behaving(folder: Path, command: str) -> Job:
    return {
        "cmd": command,
        "cwd": str(folder),
        "on_failure": [{"run": "echo failure >> ../../../../../../log"}],
        "on_success": [{"run": "echo success >> ../../../../../../log"}],
        "on_exit": [{"run": "echo exit >> ../../../../../../log"}, {"cleanup": True}],
    }


@pytest.mark.parametrize(
    ("command", "outcome", "told"),
    [("touch x", "complete", "success"), ("touch x; false", "buried", "failure")],
)
def test_behaviours(wr: Wr, folder: Path, command: str, outcome: str, told: str) -> None:
    (added,) = wr.add(_behaving(folder, command))
    wr.wait_for(added["Key"], outcome)
    assert (folder / "log").read_text() == f"{told}\nexit\n"
    assert not (folder / "wr_cwd").exists()


def test_without_cleanup_the_folder_stays(wr: Wr, folder: Path) -> None:
    (added,) = wr.add({"cmd": "echo kept > file", "cwd": str(folder)})
    job = wr.wait_for(added["Key"], "complete")
    assert (folder / job["Cwd"].lstrip("/") / "file").read_text() == "kept\n"


def test_mounts_that_cannot_be(wr: Wr) -> None:
    mount = {"Targets": [{"Path": "bucket", "Profile": "nobody"}]}
    (added,) = wr.add({"cmd": "ls mnt", "mounts": [mount], "retries": 3})
    job = wr.wait_for(added["Key"], "buried", std="true")
    assert job["FailReason"] == "mounting of remote file system(s) failed"
    assert "nobody" in job["StdErr"]


def test_killing(wr: Wr, folder: Path) -> None:
    told = folder / "pids"
    command = (
        f"(trap '' TERM; setsid sleep 1000 & echo $! >> {told}); sleep 1000 & echo $! >> {told}; "
        f"echo $$ >> {told}; sleep 1000"
    )
    (added,) = wr.add({"cmd": command, "retries": 3, "rep_grp": "victim"})
    running = wr.wait_for("victim", "running")
    eventually(lambda: told.exists() and len(told.read_text().split()) == 3)
    tree = [identify(int(pid)) for pid in told.read_text().split()]
    assert None not in tree
    (ended,) = wr.end("running", "victim")
    assert (ended["Key"], ended["State"]) == (added["Key"], "running")
    job = wr.wait_for("victim", "buried")
    assert (job["Exitcode"], job["FailReason"]) == (-1, "killed by user request")
    assert running["Pid"] in {process.pid for process in tree if process}
    assert [process for process in tree if process and is_alive(process)] == []
    assert wr.end("running", "victim") == []
    (gone,) = wr.end("deletable", "victim")
    assert gone["State"] == "deleted"
    assert wr.jobs("victim") == []


def test_deletable_leaves_what_runs_and_what_is_complete(wr: Wr) -> None:
    wr.add({"cmd": "sleep 999", "rep_grp": "mixed"}, {"cmd": "echo mixed", "rep_grp": "mixed"})
    wr.wait("mixed", lambda found: {job["State"] for job in found} == {"running", "complete"})
    assert wr.end("deletable", "mixed") == []
    assert wr.end("running", wr.jobs("mixed", state="complete")[0]["Key"]) == []
    wr.end("running", "mixed")
    wr.wait("mixed", lambda found: {job["State"] for job in found} == {"buried", "complete"})


def test_running_again(wr: Wr, folder: Path) -> None:
    count = folder / "count"
    job = {"cmd": f"echo x >> {count}", "rep_grp": "again"}
    (added,) = wr.add(job)
    wr.wait_for("again", "complete")
    assert wr.add(job) == []
    assert wr.add({**job, "rerun": False}, rerun="false") == []
    (rerun,) = wr.add({**job, "rerun": True})
    assert (rerun["State"], rerun["Key"]) == ("ready", added["Key"])
    wr.wait(
        "again", lambda found: count.read_text() == "x\nx\n" and found[0]["State"] == "complete"
    )
    (rerun,) = wr.add({**job, "rep_grp": "another"}, rerun="true")
    wr.wait_for("another", "complete")
    assert wr.job("another")["RepGroup"] == "another"


def test_a_known_job_is_found_under_both_groups(wr: Wr) -> None:
    wr.add({"cmd": "echo both", "rep_grp": "first"})
    wr.wait_for("first", "complete")
    assert wr.add({"cmd": "echo both", "rep_grp": "second"}) == []
    assert wr.job("first")["RepGroup"] == "first"
    assert wr.job("second")["RepGroup"] == "second"


def test_searching_for_parts_of_groups(wr: Wr) -> None:
    wr.add(
        {"cmd": "exit 1 # s1", "rep_grp": "part-a-of"}, {"cmd": "exit 1 # s2", "rep_grp": "part-b"},
        {"cmd": "exit 1 # s3", "rep_grp": "other%_"},
    )  # fmt: skip
    for group in ("part-a-of", "part-b", "other%_"):
        wr.wait_for(group, "buried")
    both = wr.jobs("part-", search="true")
    assert [job["RepGroup"] for job in both] == ["part-a-of", "part-b"]
    assert [job["RepGroup"] for job in wr.jobs("%25_", search="true")] == ["other%_"]
    assert (
        wr.jobs("part-") == wr.jobs("part-", search="yes") == wr.jobs("none", search="true") == []
    )
    assert len(wr.end("deletable", "part-", search="true")) == 2


def test_complete_ones_come_last_by_when_they_ran(wr: Wr) -> None:
    for number in (2, 1):
        (added,) = wr.add({"cmd": f"echo order {number}", "rep_grp": "order"})
        wr.wait_for(added["Key"], "complete")
    wr.add({"cmd": "exit 7", "rep_grp": "order"})
    found = wr.wait("order", lambda found: "buried" in {job["State"] for job in found})
    assert [job["Cmd"] for job in found] == ["exit 7", "echo order 2", "echo order 1"]
    assert [job["State"] for job in wr.jobs("order", state="complete")] == ["complete"] * 2


def test_similar_jobs_are_counted(wr: Wr) -> None:
    wr.add(
        *({"cmd": f"exit {1 + number % 2} # {number}", "rep_grp": "alike"} for number in range(9))
    )
    wr.wait("alike", lambda found: {job["State"] for job in found} == {"buried"})
    few = wr.jobs("alike", limit="2")
    assert sorted((job["Exitcode"], job["Similar"]) for job in few) == [
        (1, 0), (1, 3), (2, 0), (2, 2),
    ]  # fmt: skip
    assert len(wr.jobs("alike", limit="0")) == 9
    both = wr.jobs("alike,alike", limit="1")
    assert sorted(job["Similar"] for job in both) == [3, 3, 4, 4]


def test_priority_then_age(wr: Wr, folder: Path) -> None:
    log, cores = folder / "log", os.cpu_count() or 1
    wr.add({"cmd": "sleep 0.5", "dep_grps": ["gate"], "rep_grp": "prio"})
    jobs = [
        {"cmd": f"echo {name} >> {log}", "priority": rank, "cpus": cores, "deps": ["gate"],
         "rep_grp": "prio"}
        for name, rank in (("e", 1), ("a", 9), ("c", 5), ("f", 1), ("b", 9), ("d", 5))
    ]  # fmt: skip
    wr.add(*jobs)
    wr.wait("prio", lambda found: {job["State"] for job in found} == {"complete"})
    assert log.read_text().split() == ["a", "b", "c", "d", "e", "f"]


def test_what_no_machine_could_run(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "true giant", "memory": "900T", "rep_grp": "giant"})
    job = wr.wait_for("giant", "buried")
    assert job["FailReason"] == "resource requirements cannot be met"
    assert job["Attempts"] == 0
    notices = wr.client.get("/rest/v1/warnings/").json()
    assert [list(notice) for notice in notices] == [["Msg", "FirstDate", "LastDate", "Count"]]
    assert "more than any node has" in notices[0]["Msg"]
    assert notices[0]["Count"] == 1
    assert 1_600_000_000 < notices[0]["FirstDate"] <= notices[0]["LastDate"]
    assert wr.client.get("/rest/v1/warnings/").json() == []
    wr.end("deletable", added["Key"])


def test_a_pipeline_client(wr: Wr) -> None:
    """Do as Nextflow's plugin does: batches with rerun, polls of Keys, and its way to cancel."""

    def task(command: str) -> Job:
        return {
            "cmd": command, "cwd": "/tmp", "rep_grp": "[nextflow] task (1)",
            "req_grp": "[nextflow] task", "memory": "", "time": "", "cpus": 1, "disk": 0,
            "override": 0, "retries": 0, "rerun": True, "mounts": [],
            "on_exit": [{"cleanup": True}],
        }  # fmt: skip

    added = wr.add(task("true nf1"), task("exit 2 # nf2"), task("sleep 1000 # nf3"))
    by_command = {job["Cmd"]: job["Key"] for job in added}
    polled = wr.wait(
        ",".join(by_command.values()),
        lambda found: [job["State"] for job in found] == ["complete", "buried", "running"],
    )
    assert [job["Exitcode"] for job in polled] == [0, 2, -1]
    group = "[nextflow] task (1)"
    assert len(wr.jobs(group)) == 3
    wr.end("running", by_command["sleep 1000 # nf3"])
    wr.wait_for(by_command["sleep 1000 # nf3"], "buried")
    assert len(wr.end("deletable", group)) == 2
    (again,) = wr.add(task("true nf1"))
    assert again["State"] == "ready"
    wr.wait_for(by_command["true nf1"], "complete")


def test_native_jobs_are_not_among_wrs(wr: Wr) -> None:
    native = {"command": "sleep 0.1", "group": "shared"}
    assert wr.server.request("POST", "/v1/jobs", json=native).status_code == 201
    wr.add({"cmd": "true ours", "rep_grp": "shared"})
    wr.wait("shared", lambda found: found[0]["State"] == "complete")
    assert [job["Cmd"] for job in wr.jobs("shared")] == ["true ours"]
    assert all(job["Key"] for job in wr.jobs(limit="1"))
