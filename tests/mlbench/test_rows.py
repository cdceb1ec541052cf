"""Lines of MLBench's tables that no other file has: spellings, settings, and what still goes."""

import io
import json
import subprocess
import zipfile
from typing import Any

import pytest

from gristmill.dialects.mlbench.commands import shell_text, split
from tests.e2e.conftest import Start
from tests.e2e.harness import eventually, short_folder
from tests.mlbench.conftest import ON_THE_NODE
from tests.mlbench.talk import OLD, Mlbench

ACTIVE = {"status": "Conflict", "message": "There is already an active run"}
SEED = {"name": "Name of the run", "num_workers": 1, "num_cpus": 1, "max_bandwidth": 10000}
SUFFIXES = ("", "/", ".json", "/?format=json")


def test_one_run_and_one_series_by_every_path(idle: Mlbench) -> None:
    run = idle.create(name="paths")["id"]
    idle.point(run_id=run)
    idle.point(pod_name="paths")
    for suffix in SUFFIXES:
        reply = idle.get(f"/runs/{run}{suffix}")
        assert (reply.status_code, reply.json()["id"]) == (200, run), suffix
        assert list(idle.get(f"/metrics/paths{suffix}").json()) == ["m"]
        glue = "&" if "?" in suffix else "?"
        assert list(idle.get(f"/metrics/{run}{suffix}{glue}metric_type=run").json()) == ["m"]
    for path in (f"/runs/{run}", f"/runs/{run}/", "/metrics/paths", "/metrics/paths/"):
        head = idle.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 2
        options = idle.request("OPTIONS", path)
        assert options.status_code == 200
        assert "renders" in options.json()
    assert idle.request("DELETE", f"/runs/{run}/").status_code == 204


@pytest.mark.parametrize("spelled", ["True", "true", "1", True, 1, "TRUE", "on"])
def test_truth_in_runs(idle: Mlbench, spelled: Any) -> None:
    body = {"name": "truth", "num_workers": "1", "image_name": "2a", "light_target": spelled}
    created = idle.post("/runs/", json={**body, "no such key": [1]})
    assert created.status_code == 201
    assert created.json()["job_metadata"]["light_target"] is True
    idle.delete(created.json()["id"])


@pytest.mark.parametrize("spelled", ["False", "false", "0", False, 0, "", None])
def test_untruth_in_runs(idle: Mlbench, spelled: Any) -> None:
    body = {"name": "truth", "num_workers": "1", "image_name": "2a", "light_target": spelled}
    created = idle.post("/runs/", json=body)
    assert created.json()["job_metadata"]["light_target"] is False
    idle.delete(created.json()["id"])


@pytest.mark.parametrize(
    ("backend", "stored"), [(None, "mpi"), ("mpi", "mpi"), ("Gloo", "gloo"), ("NCCL", "nccl")]
)
def test_backends_in_any_case_or_none(idle: Mlbench, backend: str | None, stored: str) -> None:
    image = "mlbench/pytorch-cifar10-resnet20-all-reduce:latest"
    body = {"name": "case", "num_workers": "1", "image_name": image}
    body |= {} if backend is None else {"backend": backend}
    reply = idle.post("/runs/", data=body)
    assert reply.status_code == 201, reply.text
    told = reply.json()["job_metadata"]
    assert told["backend"] == stored
    assert f"--backend {stored}" in told["command"]
    assert (told["cpu_limit"], told["max_bandwidth"]) == ("2000.0m", 1000.0)
    idle.delete(reply.json()["id"])


def test_what_a_run_tells_of_itself(idle: Mlbench) -> None:
    run = idle.create(name="told", num_cpus="1.0", num_workers="2")["id"]
    told = idle.run(run)["job_metadata"]
    assert set(told) >= {
        "stdout", "stderr", "command", "master_name", "pods", "workhorse_pid", "exit_codes",
        "hosts", "backend", "image", "cpu_limit", "gpu_enabled", "light_target", "use_horovod",
        "run_on_all_nodes", "max_bandwidth", "bandwidth", "result",
    }  # fmt: skip
    assert told["cpu_limit"] == "1000.0m"
    assert all(len(pod) == 4 and isinstance(pod[3], str) for pod in told["pods"])
    assert told["result"] is None
    idle.point(run_id=run, name="TaskResult @ 0", value="It took 3 seconds")
    assert idle.run(run)["job_metadata"]["result"] == "It took 3 seconds"
    idle.delete(run)


def test_since_and_summarize_hold_for_archives(idle: Mlbench) -> None:
    run = idle.create(name="cut")["id"]
    points = [
        {"run_id": run, "name": "m", "value": float(n), "date": f"2026-01-01T00:00:{n:02d}Z"}
        for n in range(20)
    ]
    assert idle.post("/metrics", json=points).status_code == 201
    query = {"metric_type": "run", "since": "2026-01-01T00:00:09Z", "summarize": "5"}
    reply = idle.get(f"/metrics/{run}.zip", params=query)
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        found = json.loads(archive.read("result_m.json"))
    assert [point["value"] for point in found] == ["10.5", "12.5", "14.5", "16.5", "18.5"]
    assert set(found[0]) == {"date", "value", "cumulative"}
    idle.delete(run)


def test_the_older_spelling_of_points_a_client_asks_for(idle: Mlbench) -> None:
    idle.point(pod_name="older", date="2026-01-01T00:00:00Z")
    reply = idle.get("/metrics/older/", headers=OLD)
    assert reply.headers["content-type"] == "text/javascript"
    shown = {"date": "2026-01-01T00:00:00.000000Z", "value": "1", "cumulative": False}
    assert reply.json() == {"m": [shown]}


@pytest.mark.parametrize(("slots", "hosts"), [(1, "a,b"), (2, "a,a,b,b")])
def test_hosts_are_named_once_a_slot(slots: int, hosts: str) -> None:
    words = split("echo {hosts} {run_id} '{rank} {rank}' {backend} {other} {}")
    text = shell_text(words, backend="gloo", slots=slots)
    env = {"GRISTMILL_HOSTS": "a,b", "GRISTMILL_JOB_ID": "7", "RANK": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", text], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{hosts} 7 1 1 gloo {{other}} {{}}\n"


def test_operator_settings_by_the_names_of_old(start: Start) -> None:
    variables = {
        "MLBENCH_MAX_WORKERS": "8",
        "MLBENCH_WORKER_MAX_CPU": "6000m",
        "MLBENCH_MAX_BANDWIDTH": "750",
        "MLBENCH_MAX_GPU_PER_WORKER": "2",
        "MLBENCH_KUBE_RELEASENAME": "worn-mouse",
        "MLBENCH_NAMESPACE": "mice",
    }
    talk = Mlbench(start("--engine", "none", "--https", "off", variables=variables))
    pods = [pod["name"] for pod in talk.get("/pods/").json()]
    assert pods == ["worn-mouse-mlbench-worker-0", "worn-mouse-mlbench-worker-1"]
    run = talk.create(name="r1")
    assert run["job_metadata"]["master_name"] == "r1-mlbench-worker-worn-mouse-0"
    assert run["job_metadata"]["pods"][0][1] == "mice"
    page = talk.client.get("/mlbench/runs").text
    sliders = {line.split('name="')[1].split('"')[0]: line for line in page.split("<input ")
               if 'type="range"' in line}  # fmt: skip
    assert 'max="3"' in sliders["workers_power"], "powers of two up to 8"
    assert 'max="6"' in sliders["num_cpus"]
    assert 'max="750"' in sliders["max_bandwidth"]
    talk.close()


def test_without_a_standing_pool_pods_live_as_long_as_their_run(start: Start) -> None:
    talk = Mlbench(start("--engine", "none", "--https", "off", "--mlbench-pods", "0"))
    assert talk.get("/pods/").json() == []
    run = talk.create(name="alone", num_workers="2")["id"]
    names = [f"alone-mlbench-worker-gristmill-{rank}" for rank in range(2)]
    assert [pod["name"] for pod in talk.get("/pods/").json()] == names
    talk.delete(run)
    assert talk.get("/pods/").json() == []
    talk.close()


def test_a_default_command_of_the_operator(start: Start) -> None:
    command = "echo own {rank} of {run_id} on {hosts}"
    talk = Mlbench(start(*ON_THE_NODE, "--mlbench-default-command", command))
    run = talk.post("/runs/", json={**SEED, "num_workers": 2}).json()["id"]
    told = talk.wait_for(run, "finished", "failed")
    assert told["state"] == "FINISHED"
    hosts = ",".join(told["job_metadata"]["hosts"])
    said = [line for line in told["job_metadata"]["stdout"] if line.startswith("own")]
    assert sorted(said) == [f"own {rank} of {run} on {hosts}" for rank in range(2)]
    talk.close()


def test_a_run_of_any_generation_is_in_the_way_of_an_older_one(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        hold = f"sh -c 'until [ -e {folder}/go ]; do sleep 0.05; done'"
        run = mlbench.command(hold, name="first")["id"]
        mlbench.wait_for(run, "started")
        reply = mlbench.post("/runs/", json=SEED)
        assert (reply.status_code, reply.json()) == (409, ACTIVE)
        (folder / "go").touch()
        told = mlbench.wait_for(run, "finished")
    assert told["finished_at"] > told["created_at"]
    mlbench.point(run_id=run, name="after the end")
    assert list(mlbench.series(run, metric_type="run")) == ["after the end"]
    second = mlbench.post("/runs/", json=SEED)
    assert second.status_code == 200
    for each in (run, second.json()["id"]):
        mlbench.delete(each)


def test_output_of_all_ranks_appears_while_they_run(mlbench: Mlbench) -> None:
    with short_folder() as folder:
        script = f"echo out $RANK; echo err $RANK >&2; until [ -e {folder}/go ]; do sleep 0.1; done"
        run = mlbench.command(f"sh -c '{script}'", num_workers="2", backend="GLOO")["id"]

        def seen(stream: str, word: str) -> bool:
            lines = mlbench.run(run)["job_metadata"][stream]
            return {f"{word} {rank}" for rank in range(2)} <= set(lines)

        eventually(lambda: seen("stdout", "out") and seen("stderr", "err"))
        assert mlbench.run(run)["state"] == "started"
        (folder / "go").touch()
        mlbench.wait_for(run, "finished")
        mlbench.delete(run)
