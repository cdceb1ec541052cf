"""Schedules on a real server with its own agent: run, chain, kill, and survive kill -9."""

import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from gristmill.agent.processes import read_stat
from gristmill.client import Client
from gristmill.client.models import Run
from tests.e2e.conftest import Start
from tests.e2e.harness import (
    GRISTMILL,
    LIMIT,
    RunningServer,
    environment,
    eventually,
    wait_for_state,
)

DECLARED = """
groups: [viewers, operators]
users: [{{name: vera, groups: [viewers]}}, {{name: olaf, groups: [viewers, operators]}}]
pools: [{{name: house}}, {{name: outside, agents: false}}]
workers: [{{name: w1, pools: [outside], api_key: k1, secret: s1}}]
projects:
  - {{name: etl, viewers: [viewers], operators: [operators], pools: [house, outside]}}
templates: [{{name: bash, project: etl, body: "#!/bin/sh\\n{{{{ content|safe }}}}\\n"}}]
schedules:
{schedules}
"""
SCHEDULE = (
    "- {{name: {name}, project: etl, template: bash, pool: {pool}, script: '{script}'{more}}}"
)


def declare(client: Client, *schedules: str) -> None:
    client.apply(DECLARED.format(schedules="\n".join(schedules)))


def schedule(name: str, script: str = "true", pool: str = "house", **more: object) -> str:
    fields = "".join(f", {key}: {value}" for key, value in more.items())
    return SCHEDULE.format(name=name, pool=pool, script=script, more=fields)


def soon(seconds: float) -> str:
    return f'"{(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()}"'


def named(client: Client, name: str) -> int:
    (found,) = client.schedules(project="etl", name=name)
    return found.id


def runs(client: Client, name: str) -> tuple[Run, ...]:
    return client.runs(named(client, name), limit=1000).runs


def wait_for_run(client: Client, name: str) -> Run:
    """Return the first run of a schedule that has returned."""
    eventually(lambda: any(run.state == "completed" for run in runs(client, name)))
    return next(run for run in runs(client, name) if run.state == "completed")


def test_a_script_runs_at_its_time_and_its_child_follows(server: RunningServer) -> None:
    client = server.client()
    declare(
        client,
        schedule(
            "parent", 'echo "out $GRISTMILL_SCHEDULE"; echo err >&2; printf "\\303\\251\\n"',
            first_run=soon(1), every="{count: 1, unit: hour}",
        ),
        schedule("child", "echo child", parent="parent"),
    )  # fmt: skip
    parent, child = wait_for_run(client, "parent"), wait_for_run(client, "child")
    assert (parent.success, child.success, child.manual) == (True, True, False)
    assert parent.started_at is not None
    assert parent.returned_at is not None
    assert parent.due_at <= parent.started_at <= parent.returned_at
    assert parent.pid
    assert client.run_log(parent.schedule, parent.id) == "out etl/parent\nerr\né\n"
    job = client.get(parent.id)
    assert (job.state, job.project, job.dialect) == ("complete", "etl", "schedule")
    following = [run for run in runs(client, "parent") if run.state == "scheduled"]
    assert [run.due_at - parent.due_at for run in following] == [timedelta(hours=1)]
    assert client.get(following[0].id).state == "delayed"


def test_a_failure_switches_off_and_resume_switches_on(server: RunningServer) -> None:
    client = server.client()
    declare(client, schedule("bad", "exit 3", disable_after_failures=0))
    number = named(client, "bad")
    client.run_schedule(number)
    run = wait_for_run(client, "bad")
    assert run.success is False
    assert client.get(run.id).exit_code == 3
    assert not client.schedule(number).enabled
    view = client.resume_schedule(number)
    assert (view.enabled, view.failures) == (True, 0)


def test_a_kill_request_ends_the_whole_tree(server: RunningServer) -> None:
    client = server.client()
    declare(client, schedule("long", "sleep 600 & sleep 600"))
    number = named(client, "long")
    run = client.run_schedule(number)
    wait_for_state(client, run.id, "running")
    pid = client.get(run.id).pid
    assert pid is not None
    client.kill_run(number, run.id)
    assert wait_for_run(client, "long").success is False
    eventually(lambda: read_stat(pid) is None)


def test_people_use_the_command_line(server: RunningServer) -> None:
    client = server.client()
    declare(client, schedule("daily", "echo hi", cron='"0 3 * * *"', first_run=soon(3600)))

    def say(*words: str) -> str:
        command = [*GRISTMILL, "schedule", *words, "--home", str(server.home)]
        done = subprocess.run(command, env=environment(), capture_output=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    assert "etl/daily" in say("list")
    run = int(say("run", "etl/daily"))
    wait_for_run(client, "daily")
    assert say("log", "daily", str(run)) == "hi\n"
    shown = msgspec.json.decode(say("show", "daily", "--json"))
    assert (shown["schedule"]["succeeded"], shown["runs"][0]["id"]) == (1, run)
    assert say("pause", "daily") == "etl/daily is off\n"
    assert say("resume", "daily") == "etl/daily is on\n"
    assert len(say("next", "daily", "--count", "4").splitlines()) == 4
    made = say("backfill", "daily", "--from", "2026-01-01T00:00Z", "--to", "2026-01-02T23:00Z")
    assert len(made.split()) == 2


def test_people_start_what_has_no_first_run(server: RunningServer) -> None:
    client = server.client()
    declare(client, schedule("hourly", "echo begun", every="{count: 1, unit: hour}"))

    def say(*words: str) -> tuple[int, str, str]:
        command = [*GRISTMILL, "schedule", *words, "--home", str(server.home)]
        done = subprocess.run(command, env=environment(), capture_output=True, timeout=LIMIT)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    assert say("next", "hourly") == (0, "", "never: see gristmill schedule start\n")
    assert "see gristmill schedule start" in say("show", "hourly")[1]
    assert say("list")[1].splitlines()[1].endswith("never")
    assert say("log", "hourly")[2].endswith("has returned yet\n")
    code, said, _ = say("start", "hourly")
    assert (code, said.startswith("run ")) == (0, True)
    wait_for_run(client, "hourly")
    assert say("log", "hourly") == (0, "begun\n", "")
    assert len(say("next", "hourly")[1].splitlines()) == 10
    code, _, why = say("start", "hourly", "--at", "2030-01-01")
    assert (code, "started already" in why) == (1, True)
    code, _, why = say("start", "hourly", "--at", "tomorrow")
    assert (code, why) == (
        2, "gristmill: --at: 'tomorrow' is no time such as 2026-01-31T03:00Z or 2026-01-31\n",
    )  # fmt: skip


def test_viewers_look_operators_act_and_others_see_nothing(server: RunningServer) -> None:
    from gristmill.client import NotFoundError, NotPermittedError

    declare(server.client(), schedule("shared"))
    admin = server.client()
    vera, olaf, sam = (
        server.client(admin.create_token(name).token) for name in ("vera", "olaf", "sam")
    )
    number = named(vera, "shared")
    with pytest.raises(NotPermittedError):
        vera.run_schedule(number)
    with pytest.raises(NotPermittedError):
        vera.pause_schedule(number)
    run = olaf.run_schedule(number)
    wait_for_run(vera, "shared")
    assert olaf.get(run.id).owner == "olaf"
    assert list(sam.schedules()) == []
    for ask in (sam.schedule, sam.run_schedule, sam.pause_schedule):
        with pytest.raises(NotFoundError):
            ask(number)


def test_a_backfill_runs_every_time_of_a_period_in_order(server: RunningServer) -> None:
    client = server.client()
    declare(client, schedule("daily", "echo $GRISTMILL_DUE_AT", cron='"0 3 * * *"'))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    made = client.backfill(named(client, "daily"), first, first + timedelta(days=5))
    eventually(lambda: all(run.state == "completed" for run in runs(client, "daily")))
    done = {run.id: run for run in runs(client, "daily")}
    assert list(made) == sorted(done)
    starts = [done[number].started_at for number in made]
    assert starts == sorted(starts, key=str)
    assert [done[number].due_at.day for number in made] == [1, 2, 3, 4, 5]
    log = client.run_log(named(client, "daily"), made[0])
    assert log == "2026-01-01T03:00:00Z\n"


@pytest.mark.timeout(240)
def test_killing_the_server_again_and_again_loses_and_doubles_no_run(
    start: Start, folder: Path
) -> None:
    random = Random(11)
    notes = folder / "notes"
    notes.mkdir()
    server = start()
    client = server.client()
    count = 40
    script = f"sleep 0.1; echo x >>{notes}/%s"
    rows = []
    for number in range(count):
        name = f"p{number}"
        rows.append(schedule(name, script % name, first_run=soon(1 + number / 15)))
        rows.append(schedule(f"c{number}", script % f"c{number}", parent=name))
    declare(client, *rows)
    for _ in range(6):
        time.sleep(random.uniform(0.1, 0.7))
        server.kill9()
        server.restart()
    children = [f"c{number}" for number in range(count)]
    for name in children:
        wait_for_run(client, name)
    for number in range(count):
        for name in (f"p{number}", f"c{number}"):
            found = runs(client, name)
            assert Counter(run.state for run in found) == {"completed": 1}, name
            assert found[0].success, name
            assert (notes / name).read_text() == "x\n", name


def test_ten_thousand_schedules_of_one_minute_are_offered_within_it(start: Start) -> None:
    server = start("--engine", "none")
    client = server.client()
    due = soon(6)
    rows = [schedule(f"s{number}", pool="outside", first_run=due) for number in range(10_000)]
    declare(client, *rows)
    begun = time.monotonic()

    def offered() -> bool:
        counts = client.counts().counts
        return counts["ready"] == 10_000

    eventually(offered, limit=60)
    assert time.monotonic() - begun < 60
    # Nothing more to do: what is offered is repeated, everything else sleeps.
    used = _cpu_seconds(server.pid)
    time.sleep(3)
    assert _cpu_seconds(server.pid) - used < 1.0


def test_an_idle_scheduler_uses_no_measurable_cpu(start: Start) -> None:
    server = start("--engine", "none")
    declare(
        server.client(), *(schedule(f"s{number}", first_run=soon(3600)) for number in range(100))
    )
    time.sleep(1)
    used = _cpu_seconds(server.pid)
    time.sleep(2)
    assert _cpu_seconds(server.pid) - used < 0.1


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
