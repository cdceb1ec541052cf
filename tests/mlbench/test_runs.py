"""Runs on a server that runs nothing: what is taken, told, refused and deleted."""

import ast
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.mlbench.talk import OLD, Mlbench

SEED = {"name": "Name of the run", "num_workers": 2, "num_cpus": 4, "max_bandwidth": 10000}
LATER = {"name": "later", "num_workers": "2", "image_name": "2a", "backend": "MPI"}
ACTIVE = {"status": "Conflict", "message": "There is already an active run"}


def test_the_later_profile(idle: Mlbench) -> None:
    created = idle.create(name="Later-1", num_workers="2")
    assert created["state"] == "initialized"
    assert created["job_id"] == ""
    assert created["num_workers"] == 2
    run = idle.run(created["id"])
    assert run["state"] == "initialized"
    assert len(run["job_id"]) == 36
    assert run["finished_at"] is None
    told = run["job_metadata"]
    assert told["stdout"] == ["Waiting for 2 workers"]
    assert told["stderr"] == []
    assert told["backend"] == "mpi"
    assert told["image"] == "gristmill/2a"
    assert told["bandwidth"] == "not enforced"
    assert told["max_bandwidth"] == 1000
    names = [f"later-1-mlbench-worker-gristmill-{rank}" for rank in range(2)]
    assert [pod[2] for pod in told["pods"]] == names
    assert told["master_name"] == names[0]
    assert "{" not in told["command"]
    assert f"--run_id {run['id']} --rank 0" in told["command"]
    pods = {pod["name"]: pod for pod in idle.get("/pods/").json()}
    assert pods[names[1]]["phase"] == "Pending"
    assert ast.literal_eval(pods[names[1]]["labels"])["set"] == "Later-1"
    (listed,) = [each for each in idle.get("/runs/").json() if each["id"] == run["id"]]
    assert "stdout" not in listed["job_metadata"]
    assert "job_id" in listed
    idle.delete(run["id"])
    assert names[1] not in [pod["name"] for pod in idle.get("/pods/").json()]


def test_profiles_can_be_chosen_when_reading(idle: Mlbench) -> None:
    run = idle.create()["id"]
    assert idle.run(run)["state"] == "initialized"
    assert idle.run(run, params={"profile": "seed"})["state"] == "INITIALIZED"
    assert idle.run(run, headers=OLD)["state"] == "INITIALIZED"
    assert idle.get(f"/runs/{run}", params={"profile": "v4"}).status_code == 400
    idle.delete(run)


def test_of_twenty_at_once_one_becomes_the_run(idle: Mlbench) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: idle.post("/runs/", json=SEED), range(20)))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 19
    (won,) = [reply.json() for reply in replies if reply.status_code == 200]
    assert all(reply.json() == ACTIVE for reply in replies if reply.status_code == 409)
    active = [each["id"] for each in idle.get("/runs/").json()]
    assert active == [won["id"]]
    assert idle.create(name="queues")["state"] == "initialized", "later ones queue beside it"
    for run in idle.get("/runs/").json():
        idle.delete(run["id"])
    again = idle.post("/runs/", json=SEED)
    assert again.status_code == 200, "a deleted run makes room"
    idle.delete(again.json()["id"])


@pytest.mark.parametrize(
    ("word", "fields"),
    [
        ("num_workers", {"num_workers": None}),
        ("num_workers", {"num_workers": 0}),
        ("num_workers", {"num_workers": "many"}),
        ("num_workers", {"num_workers": 1.5}),
        ("num_workers", {"num_workers": 10**9}),
        ("num_cpus", {"num_cpus": 0}),
        ("num_cpus", {"num_cpus": "nan"}),
        ("num_cpus", {"num_cpus": -1}),
        ("max_bandwidth", {"max_bandwidth": "wide"}),
        ("name", {"name": None}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": "a\nb"}),
    ],
)
def test_refused_seed_runs(idle: Mlbench, word: str, fields: dict[str, Any]) -> None:
    body = {key: value for key, value in {**SEED, **fields}.items() if value is not None}
    refused(idle, body, word)


@pytest.mark.parametrize(
    ("word", "fields"),
    [
        ("Invalid run name", {"name": "no spaces"}),
        ("Invalid run name", {"name": "-dash"}),
        ("Invalid run name", {"name": ""}),
        ("image_name", {"image_name": "nobody/knows"}),
        ("image_name", {"image_name": ""}),
        ("custom_image_name", {"image_name": "custom_image"}),
        ("custom_image_command", {"image_name": "custom_image", "custom_image_name": "i"}),
        (
            "custom_image_command",
            {"image_name": "custom_image", "custom_image_name": "i", "custom_image_command": "'"},
        ),
        ("backend", {"backend": "PIGEON"}),
        ("custom_backend", {"backend": "custom_backend"}),
        ("run_all_nodes", {"backend": "custom_backend", "custom_backend": "own"}),
        ("gpu_enabled", {"gpu_enabled": "perhaps"}),
        ("light_target", {"light_target": "2"}),
        ("num_workers", {"num_workers": "-2"}),
    ],
)
def test_refused_later_runs(idle: Mlbench, word: str, fields: dict[str, Any]) -> None:
    refused(idle, {**LATER, **fields}, word)


def refused(idle: Mlbench, body: dict[str, Any], word: str) -> None:
    before = len(idle.get("/runs/").json())
    reply = idle.post("/runs/", json=body)
    assert reply.status_code == 400, reply.text
    assert reply.json()["status"] == "Bad Request"
    assert word in reply.json()["message"]
    assert len(idle.get("/runs/").json()) == before


def test_images_by_title_name_and_task(idle: Mlbench) -> None:
    for name in (
        "PyTorch Linear Logistic Regression",
        "mlbench/pytorch-epsilon-logistic-regression-all-reduce:latest",
        "gristmill/0a",
        "Built-in synthetic logistic regression",
    ):
        idle.delete(idle.create(image_name=name)["id"])


def test_flags_of_the_command(idle: Mlbench) -> None:
    image = "mlbench/pytorch-cifar10-resnet20-all-reduce:latest"
    run = idle.create(image_name=image, gpu_enabled="True", light_target="true")["id"]
    told = idle.run(run)["job_metadata"]
    assert told["command"].endswith(" --gpu --light")
    assert told["gpu_enabled"] is True
    idle.delete(run)
    run = idle.create(image_name="2a", gpu_enabled="True", use_horovod="1")["id"]
    assert "--gpu" not in idle.run(run)["job_metadata"]["command"], "it has no use for one"
    idle.delete(run)


@pytest.mark.parametrize("key", ["0", "-1", "abc", "1e3", "99999999999999999999", "٣", "1/2"])
def test_unknown_runs(idle: Mlbench, key: str) -> None:
    for method in ("GET", "DELETE"):
        reply = idle.request(method, f"/runs/{key}/")
        assert reply.status_code == 404
        assert reply.json() == {"status": "Not Found", "message": "Run not found"}


def test_ids_are_never_used_again(idle: Mlbench) -> None:
    first = idle.create()["id"]
    idle.delete(first)
    second = idle.create()["id"]
    assert second > first
    idle.delete(second)
    assert idle.request("DELETE", f"/runs/{second}").status_code == 404


@pytest.mark.parametrize(
    ("image", "backend", "known"),
    [
        ("mlbench/pytorch-backend-benchmark:latest", "MPI", True),
        ("mlbench/pytorch-backend-benchmark:latest", "GLOO", False),
        ("mlbench/pytorch-cifar10-resnet20-all-reduce:latest", "MPI", False),
        ("gristmill/0a", "MPI", False),
    ],
)
def test_horovod_where_it_is_known(idle: Mlbench, image: str, backend: str, known: bool) -> None:
    run = idle.create(image_name=image, backend=backend, use_horovod="True")["id"]
    assert idle.run(run)["job_metadata"]["command"].endswith(" --horovod") is known
    idle.delete(run)
