"""Runs that run: goals, metrics, failures, and ends that leave nothing behind."""

import io
import os
import re
import shlex
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from gristmill.agent.mpi import launcher
from gristmill.agent.network.networks import is_able
from gristmill.agent.processes import read_stat
from gristmill.domain.bandwidth import rank_address
from tests.e2e.harness import eventually, short_folder
from tests.mlbench.conftest import ON_THE_NODE, Start
from tests.mlbench.talk import Mlbench

GONE_WITHIN = 15.0
TOLD = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE", "MLBENCH_RUN_ID", "MLBENCH_API_URL", "OMP_NUM_THREADS",
)  # fmt: skip
EVERY_RANK = ("train_loss", "train_Prec@1", "val_loss", "val_Prec@1")
STEPS = ("agg", "backprop", "batch_load", "comp_loss", "comp_metrics", "fwd_pass", "opt_step")
FIRST_RANK = (
    "val_global_loss", "val_global_Prec@1", "TaskResult", "TotalCumulativeTrainTime",
    *(f"global_cum_{step}" for step in STEPS),
)  # fmt: skip
SEED_POD_METRICS = {
    "cpu", "memory", "network_in", "network_out", "container_cpu_usage_seconds_total",
    "container_cpu_user_seconds_total", "container_cpu_system_seconds_total",
    "container_memory_usage_bytes",
}  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_regression_reaches_its_goal(mlbench: Mlbench, ranks: int) -> None:
    began = time.monotonic()
    name = f"goal-{ranks}"
    created = mlbench.create(name=name, num_workers=str(ranks), light_target="True")
    run = mlbench.wait_for(created["id"], "finished")
    assert time.monotonic() - began < 60
    assert run["finished_at"] is not None
    assert any("Goal Reached!" in line for line in run["job_metadata"]["stdout"])
    assert set(run["job_metadata"]["exit_codes"].values()) == {0}
    series = mlbench.series(run["id"], metric_type="run")
    for metric in EVERY_RANK:
        assert {f"{metric} @ {rank}" for rank in range(ranks)} <= set(series), metric
    assert {f"{metric} @ 0" for metric in FIRST_RANK} <= set(series)
    assert float(series["val_global_Prec@1 @ 0"][-1]["value"]) >= 80
    reply = mlbench.get(f"/metrics/{run['id']}.zip", params={"metric_type": "run"})
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert b"seconds" in archive.read("official_result.txt")
    mlbench.delete(run["id"])


def test_a_seed_run_ends_well_and_makes_room(mlbench: Mlbench) -> None:
    body = {"name": "a b", "num_workers": 2, "num_cpus": 1, "max_bandwidth": 10}
    for _ in range(2):
        reply = mlbench.post("/runs/", json=body)
        assert reply.status_code == 200, reply.text
        run = mlbench.wait_for(reply.json()["id"], "finished", "failed")
        assert run["state"] == "FINISHED", run
        assert "All-reduce over 2 ranks works" in run["job_metadata"]["stdout"]


def test_ranks_are_told_where_they_stand(mlbench: Mlbench) -> None:
    shown = " ".join(f"{name}=${name}" for name in TOLD)
    command = f"sh -c 'echo told {shown} args {{run_id}} {{rank}} {{hosts}} {{backend}} {{other}}'"
    created = mlbench.command(command, num_workers="2", num_cpus="3", backend="GLOO")
    run = mlbench.wait_for(created["id"], "finished")
    lines = sorted(line for line in run["job_metadata"]["stdout"] if line.startswith("told"))
    assert len(lines) == 2
    hosts = ",".join(run["job_metadata"]["hosts"])
    for rank, line in enumerate(lines):
        told = dict(re.findall(r"([A-Z_]+)=(\S*)", line))
        assert told["RANK"] == told["OMPI_COMM_WORLD_RANK"] == told["LOCAL_RANK"] == str(rank)
        assert told["WORLD_SIZE"] == told["OMPI_COMM_WORLD_SIZE"] == "2"
        assert told["MLBENCH_RUN_ID"] == str(run["id"])
        assert told["MLBENCH_API_URL"] == f"{mlbench.server.url_http}/api"
        assert told["OMP_NUM_THREADS"] == "3"
        assert told["MASTER_PORT"].isdigit()
        assert told["MASTER_ADDR"] == hosts.partition(",")[0]
        assert line.endswith(f"args {run['id']} {rank} {hosts} gloo {{other}}")
    mlbench.delete(run["id"])


POST = """
import os, urllib.parse, urllib.request as web
fields = {"run_id": os.environ["MLBENCH_RUN_ID"], "name": "rank" + os.environ["RANK"], "value": 1}
web.urlopen(os.environ["MLBENCH_API_URL"] + "/metrics/", urllib.parse.urlencode(fields).encode())
"""


@pytest.mark.skipif(not is_able(), reason="networks cannot be made here")
def test_limited_ranks_reach_each_other_and_this_server(mlbench: Mlbench) -> None:
    addresses = "$(ip -brief -4 address show dev wire)"
    limit = "$(tc qdisc show dev wire)"
    script = f"echo at {addresses}; echo limit {limit}; {sys.executable} -c {shlex.quote(POST)}"
    created = mlbench.command(
        f"sh -c {shlex.quote(script)}", num_workers="2", max_bandwidth="25", backend="GLOO"
    )
    run = mlbench.wait_for(created["id"], "finished", "failed")
    told = run["job_metadata"]
    assert run["state"] == "finished", told
    assert told["bandwidth"] == "enforced"
    assert told["max_bandwidth"] == 25.0
    said = told["stdout"]
    assert sum("rate 25Mbit" in line for line in said if line.startswith("limit")) == 2
    for rank, host in enumerate(told["hosts"]):
        assert host == rank_address(rank)
        assert any(host in line for line in said if line.startswith("at"))
    assert set(mlbench.series(run["id"], metric_type="run")) == {"rank0", "rank1"}
    mlbench.delete(run["id"])


@pytest.mark.skipif(not is_able(), reason="networks cannot be made here")
def test_no_network_outlives_an_agent_that_was_killed(start: Start) -> None:
    talk = Mlbench(start(*ON_THE_NODE))
    with short_folder() as folder:
        hold = f"sh -c 'readlink /proc/self/ns/net > {folder}/$RANK; sleep 600'"
        run = talk.command(hold, num_workers="2", backend="GLOO")["id"]
        notes = [folder / str(rank) for rank in range(2)]
        eventually(lambda: all(note.exists() and note.read_text() for note in notes))
        networks = {note.read_text().strip() for note in notes}
        assert len(networks) == 2
        assert networks <= networks_of_processes()
        talk.server.kill9_agent()
        eventually(lambda: not networks & networks_of_processes(), what="ends of both networks")
        talk.delete(run)
    talk.close()


def networks_of_processes() -> set[str]:
    """Return the network namespaces that any process is in."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                found.add(str(Path("/proc", entry, "ns", "net").readlink()))
    return found


def test_ranks_are_told_where_the_server_is_when_they_begin(start: Start) -> None:
    """And not where it was when the run was created."""
    talk = Mlbench(start("--engine", "none", "--https", "off"))
    run = talk.create(name="moved", image_name="custom_image", custom_image_name="any",
                      custom_image_command="sh -c 'echo at $MLBENCH_API_URL'")["id"]  # fmt: skip
    before = talk.server.url_http
    talk.close()
    talk.server.stop()
    talk = Mlbench(start("--http", "127.0.0.1:0", *ON_THE_NODE))
    told = talk.wait_for(run, "finished", "failed")
    assert talk.server.url_http != before
    assert f"at {talk.server.url_http}/api" in told["job_metadata"]["stdout"]
    talk.close()


@pytest.mark.parametrize(("everywhere", "ranks"), [("True", 2), ("False", 1)])
def test_a_custom_backend_runs_everywhere_or_on_the_first(
    mlbench: Mlbench, everywhere: str, ranks: int
) -> None:
    backend = {"backend": "custom_backend", "custom_backend": "Own", "run_all_nodes": everywhere}
    created = mlbench.command("echo here {rank} {backend}", num_workers="2", **backend)
    run = mlbench.wait_for(created["id"], "finished")
    said = [line for line in run["job_metadata"]["stdout"] if line.startswith("here")]
    assert sorted(said) == [f"here {rank} own" for rank in range(ranks)]
    assert run["num_workers"] == 2
    mlbench.delete(run["id"])


def test_a_failing_rank_fails_the_run_and_nothing_survives(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        last = "echo failing; exit 7"
        other = f"echo $$ > {folder}/pid; echo waiting; sleep 600 & wait"
        wait = f"until [ -s {folder}/pid ]; do sleep 0.05; done"
        command = f"sh -c 'if [ $RANK = 1 ]; then {wait}; {last}; fi; {other}'"
        created = mlbench.command(command, num_workers="2")
        run = mlbench.wait_for(created["id"], "failed")
        told = run["job_metadata"]
        assert run["finished_at"] is not None
        assert told["exit_codes"]["1"] == 7
        assert "failing" in told["stdout"]
        assert "waiting" in told["stdout"]
        eventually(lambda: not marked(created["id"], mlbench), GONE_WITHIN, "ends of all ranks")
        mlbench.delete(run["id"])


def test_a_goal_line_ends_ranks_that_stay(mlbench: Mlbench) -> None:
    """The line may be in any letter case; ranks that leave by themselves are not failed for it."""
    command = "sh -c 'echo epoch 3: GOAL reached!; sleep 2; exit 3'"
    created = mlbench.command(command, num_workers="2")
    run = mlbench.wait_for(created["id"], "finished", "failed")
    assert run["state"] == "finished", run
    mlbench.delete(run["id"])


def test_a_deletion_ends_the_stubborn_and_those_that_left(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        stubborn = f'trap "" TERM; echo $$ > {folder}/$0; while :; do sleep 1; done'
        (folder / "stubborn.sh").write_text(stubborn)
        (folder / "all.sh").write_text(
            f"setsid sh {folder}/stubborn.sh & \n"
            f"(setsid sh -c 'sh {folder}/stubborn.sh & exit 0') & \n"
            f"exec sh {folder}/stubborn.sh\n"
        )
        script = f"sed -i s/[$]0/$$/ {folder}/none 2>/dev/null; exec sh {folder}/all.sh"
        (folder / "stubborn.sh").write_text(stubborn.replace("$0", "$$"))
        created = mlbench.command(f"sh -c '{script}'", num_workers="2")
        eventually(lambda: len(pids_in(folder)) == 6, what="six processes")
        pids = pids_in(folder)
        began = time.monotonic()
        mlbench.delete(created["id"])
        eventually(lambda: not alive(pids), GONE_WITHIN - (time.monotonic() - began))
        assert not marked(created["id"], mlbench)
        assert mlbench.get(f"/runs/{created['id']}").status_code == 404


def pids_in(folder: Path) -> list[int]:
    """Return the ids of processes that left a file of their name."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def alive(pids: list[int]) -> list[int]:
    """Return which of these processes live; one that nobody has reaped does not."""
    found = [(pid, read_stat(pid)) for pid in pids]
    return [pid for pid, stat in found if stat is not None]


def marked(run: int, mlbench: Mlbench) -> list[int]:
    """Return living processes that belong to a run."""
    marker = f"GRISTMILL_MEMBER={mlbench.server.node}/{run}.".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                environment = Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if marker in environment and read_stat(int(entry)) is not None:
                found.append(int(entry))
    return found


def test_a_waiting_run_follows_when_workers_are_free(mlbench: Mlbench) -> None:
    """Three workers may run at once; a run of the later generation waits, and is not refused."""
    with short_folder() as folder:
        hold = f"sh -c 'until [ -e {folder}/go ]; do sleep 0.05; done'"
        first = mlbench.command(hold, name="first", num_workers="3")["id"]
        mlbench.wait_for(first, "started")
        second = mlbench.command("true", name="second", num_workers="2")["id"]
        third = mlbench.command("true", name="third", num_workers="1")["id"]
        assert mlbench.run(second)["state"] == "initialized"
        pods = {pod["name"]: pod["phase"] for pod in mlbench.get("/pods/").json()}
        assert pods["first-mlbench-worker-gristmill-2"] == "Running"
        assert pods["second-mlbench-worker-gristmill-1"] == "Pending"
        mlbench.delete(third)
        (folder / "go").touch()
        mlbench.wait_for(first, "finished")
        mlbench.wait_for(second, "finished")
        for run in (first, second):
            mlbench.delete(run)


def test_two_gloo_runs_do_not_share_the_port_of_the_library(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        hold = f"sh -c 'until [ -e {folder}/go ]; do sleep 0.05; done'"
        first = mlbench.command(hold, name="first", backend="GLOO")["id"]
        mlbench.wait_for(first, "started")
        second = mlbench.command("true", name="second", backend="NCCL")["id"]
        third = mlbench.command("true", name="third", backend="MPI")["id"]
        mlbench.wait_for(third, "finished")
        assert mlbench.run(second)["state"] == "initialized"
        (folder / "go").touch()
        mlbench.wait_for(second, "finished")
        for run in (first, second, third):
            mlbench.delete(run)


def test_pods_are_measured(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        hold = f"sh -c 'until [ -e {folder}/go ]; do :; done'"
        run = mlbench.command(hold, name="Measured")["id"]
        pod = "measured-mlbench-worker-gristmill-0"
        mlbench.wait_for(run, "started")

        def both() -> bool:
            found = mlbench.get(f"/metrics/{pod}/")
            return found.status_code == 200 and len(found.json().get("cpu", ())) >= 2

        eventually(both, what="two samples")
        series = mlbench.series(pod)
        assert set(series) >= SEED_POD_METRICS
        assert series["container_cpu_usage_seconds_total"][0]["cumulative"] is True
        assert series["memory"][0]["cumulative"] is False
        used = [float(point["value"]) for point in series["container_cpu_usage_seconds_total"]]
        assert used == sorted(used)
        assert used[-1] > 0
        (folder / "go").touch()
        mlbench.wait_for(run, "finished")
        mlbench.delete(run)
        assert set(mlbench.series(pod)) >= SEED_POD_METRICS, "pods' metrics stay"


@pytest.mark.skipif(launcher("openmpi") is None, reason="no Open MPI here")
def test_mpirun_starts_the_ranks_of_mpi_runs(mlbench: Mlbench) -> None:
    shown = "rank {rank} of $OMPI_COMM_WORLD_SIZE by $PMIX_RANK run $MLBENCH_RUN_ID {backend}"
    created = mlbench.command(f"sh -c 'echo {shown}'", num_workers="3", backend="MPI")
    run = mlbench.wait_for(created["id"], "finished", "failed")
    assert run["state"] == "finished", run["job_metadata"]
    said = [line for line in run["job_metadata"]["stdout"] if line.startswith("rank")]
    number = run["id"]
    assert sorted(said) == [f"rank {n} of 3 by {n} run {number} mpi" for n in range(3)]
    mlbench.delete(number)


@pytest.mark.skipif(launcher("openmpi") is None, reason="no Open MPI here")
def test_ranks_under_mpirun_are_measured_each(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        busy = f"if [ {{rank}} = 1 ]; then until [ -e {folder}/go ]; do :; done; fi"
        hold = f"sh -c '{busy}; until [ -e {folder}/go ]; do sleep 0.1; done'"
        run = mlbench.command(hold, name="each", num_workers="2", backend="MPI")["id"]
        pods = [f"each-mlbench-worker-gristmill-{rank}" for rank in range(2)]

        def spent(pod: str) -> float:
            reply = mlbench.get(f"/metrics/{pod}/")
            points = reply.json().get("container_cpu_usage_seconds_total", [{"value": "0"}])
            return float(points[-1]["value"]) if reply.status_code == 200 else 0.0

        eventually(lambda: spent(pods[1]) > 1.0, what="the busy rank's time")
        assert spent(pods[0]) < spent(pods[1]) / 2
        assert set(mlbench.series(pods[0])) >= SEED_POD_METRICS
        told = mlbench.run(run)["job_metadata"]
        assert told["bandwidth"] == "not enforced", "an mpirun's ranks share a network"
        (folder / "go").touch()
        mlbench.wait_for(run, "finished")
        mlbench.delete(run)


@pytest.mark.skipif(launcher("openmpi") is None, reason="no Open MPI here")
def test_a_failing_rank_under_mpirun(mlbench: Mlbench) -> None:
    command = "sh -c 'if [ $RANK = 1 ]; then sleep 0.5; exit 7; fi; sleep 600'"
    created = mlbench.command(command, num_workers="2", backend="MPI")
    run = mlbench.wait_for(created["id"], "failed")
    assert run["job_metadata"]["exit_codes"]["0"] == 7
    eventually(lambda: not marked(created["id"], mlbench), GONE_WITHIN, "ends of all ranks")
    mlbench.delete(run["id"])


@pytest.mark.skipif(launcher("openmpi") is None, reason="no Open MPI here")
def test_a_deletion_ends_what_mpirun_started(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        command = f"sh -c 'trap : TERM; echo $$ > {folder}/$$; while :; do sleep 1; done'"
        created = mlbench.command(command, num_workers="2", backend="MPI")["id"]
        eventually(lambda: len(marked(created, mlbench)) >= 3, what="mpirun and two ranks")
        mlbench.wait_for(created, "started")
        mlbench.delete(created)
        assert not marked(created, mlbench)
