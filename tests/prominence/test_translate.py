"""Descriptions in the core's terms."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.prominence.translate import names_object, spec_of
from gristmill.dialects.prominence.validation.job import check_job
from gristmill.domain.job import JobSpec
from gristmill.domain.resources import Resources
from gristmill.domain.staging import Artifact, Input, Staging, Storage

TASK = {"image": "busybox", "runtime": "singularity"}


def spec(**job: Any) -> JobSpec:
    """Return the spec of a small job with further parts."""
    base = {"resources": {"cpus": 1, "memory": 1}, "tasks": [TASK]}
    return spec_of(check_job({**base, **job}))


def resources(**wish: Any) -> Resources:
    """Return what a job with these resources asks for."""
    return spec(resources={"memory": 1, **wish}).resources


def test_defaults() -> None:
    asked = resources(cpus=3)
    assert asked == Resources(cpus=3.0, memory=1024, disk=10_240, nodes=1, walltime=43_200.0)
    job = spec()
    assert (job.retry.retries, job.retry.delay, job.retry.fatal_exit_codes) == (0, 0.0, ())
    assert (job.sandbox, job.fail_unmatched, job.queue_timeout) == (True, True, None)
    assert job.staging is None
    (task,) = job.tasks
    assert (task.argv, task.kind, task.nodes, task.retries) == ((), "basic", "first", 0)


@pytest.mark.parametrize(
    ("wish", "cpus", "choices"),
    [
        ({"cpusRange": [2, 5]}, 2, (3, 4, 5)),
        ({"cpusRange": [2, 2]}, 2, ()),
        ({"cpus": 1, "cpusRange": [2, 3]}, 2, (3,)),
        ({"cpusOptions": [4, 16]}, 4, (16,)),
        ({"cpusOptions": [4, 4]}, 4, ()),
    ],
)
def test_numbers_of_cores(wish: dict[str, Any], cpus: int, choices: tuple[int, ...]) -> None:
    asked = resources(**wish)
    assert (asked.cpus, asked.cpu_choices) == (cpus, choices)


@pytest.mark.parametrize(
    ("wish", "nodes", "cores"),
    [
        ({"cpus": 4, "totalCpusRange": [8, 16]}, 4, (4,)),
        ({"cpusRange": [2, 8], "totalCpusRange": [8, 16]}, 2, (4, 5, 6, 7, 8)),
        ({"cpusOptions": [8, 16], "totalCpusRange": [16, 32]}, 2, (8, 16)),
        ({"cpusRange": [2, 4], "totalCpusRange": [5, 5]}, 2, (4,)),
    ],
)
def test_a_total_is_spread_over_nodes(
    wish: dict[str, Any], nodes: int, cores: tuple[int, ...]
) -> None:
    asked = resources(**wish)
    assert (asked.nodes, (asked.cpus, *asked.cpu_choices)) == (nodes, cores)


def test_memory_per_core() -> None:
    job = spec(resources={"cpusRange": [2, 4], "memoryPerCpu": 0.5})
    assert (job.resources.memory_per_cpu, job.resources.memory) == (512, 1024)
    assert resources(cpus=1, memory=0.0001).memory == 1


def test_policies() -> None:
    job = spec(
        policies={
            "maximumRetries": 3,
            "maximumTaskRetries": 2,
            "maximumTimeInQueue": 5,
            "priority": 10**12,
            "leaveInQueue": True,
            "ignoreTaskTailures": True,
            "reportJobSuccessOnTaskFailure": True,
            "runSerialTasksOnAllNodes": True,
            "placement": {
                "requirements": {"sites": ["a", "b"], "regions": []},
                "preferences": {"regions": ["x"]},
            },
        },
        notifications=[{"event": "jobFinished", "type": "email"}],
    )
    assert (job.retry.retries, job.tasks[0].retries, job.tasks[0].nodes) == (3, 2, "all")
    assert (job.queue_timeout, job.fail_unmatched) == (300.0, False)
    assert (job.priority, job.stays_listed, job.notify) == (1_000_000, True, True)
    assert (job.ignore_task_failures, job.nonzero_succeeds) == (True, True)
    assert (job.require, job.prefer) == ({"site": ("a", "b")}, {"region": ("x",)})
    patient = spec(policies={"maximumTimeInQueue": -1})
    assert (patient.queue_timeout, patient.fail_unmatched) == (None, False)


def test_tasks() -> None:
    login = {"username": "u", "token": "t"}
    first = {
        **TASK, "cmd": "echo 'a b' $c", "env": {"A": 1, "B": True, "C": None, "D": 1.5},
        "workdir": "w", "app": "x", "imagePullCredential": login, "stdout": "o",
    }  # fmt: skip
    mpi = {**TASK, "cmd": "solve", "type": "openmpi", "procsPerNode": 1}
    sidecar = {**TASK, "image": "x.sif", "type": "sidecar"}
    job = spec(tasks=[first, mpi, sidecar], policies={"maximumTaskRetries": 1})
    plain, ranks, beside = job.tasks
    assert plain.argv == ("echo", "a b", "$c")
    assert plain.env == {
        "PROMINENCE_CONTAINER_RUNTIME": "singularity", "A": "1", "B": "True", "C": "", "D": "1.5",
    }  # fmt: skip
    assert (plain.workdir, plain.app, plain.stdout) == ("w", "x", "o")
    assert plain.credential is not None
    assert (plain.credential.username, plain.credential.token) == ("u", "t")
    assert (ranks.kind, ranks.processes, ranks.retries) == ("openmpi", 1, 1)
    assert (beside.kind, beside.retries, beside.image) == ("sidecar", 0, "object:///x.sif")


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("busybox", False), ("a.tar", True), ("dir/a.tgz", True), ("x.simg", True), ("x.sif", True),
        ("https://h/a.tar", False), ("/a/b.sif", False), ("shub://a/b.sif", False),
        ("docker://h/a:1", False), ("a.zip", False), ("object://lab/x", True),
    ],
)  # fmt: skip
def test_images_that_are_objects(image: str, named: bool) -> None:
    assert names_object(image) == named


def test_files() -> None:
    job = spec(
        artifacts=[
            {"url": "https://h/a.tgz", "mountpoint": "d:/data", "executable": True},
            {"url": "mine.txt"},
            {"url": "lab/ours.txt"},
        ],
        inputs=[{"filename": "/x/y.txt", "content": "aG\nk=", "executable": True}],
        outputFiles=["*.txt"],
        outputDirs=["d"],
    )
    assert job.staging == Staging(
        artifacts=(
            Artifact(url="https://h/a.tgz", directory="d", inside="/data", executable=True),
            Artifact(url="object:///mine.txt"),
            Artifact(url="object://lab/ours.txt"),
        ),
        inputs=(Input(name="y.txt", content="aGk=", executable=True),),
        output_files=("*.txt",),
        output_dirs=("d",),
    )


def test_storage() -> None:
    job = spec(
        storage={
            "type": "onedata",
            "mountpoint": "/data",
            "default": True,
            "onedata": {"provider": "one.example", "token": "t"},
        }
    )
    assert job.storage == (
        Storage(kind="onedata", url="one.example", secret="t", inside="/data", default=True),
    )


@given(st.integers(1, 64), st.integers(0, 64), st.integers(1, 2000), st.integers(0, 2000))
def test_a_spread_total_is_kept_to_where_it_can_be(
    least: int, more: int, total: int, further: int
) -> None:
    asked = resources(cpusRange=[least, least + more], totalCpusRange=[total, total + further])
    cores = (asked.cpus, *asked.cpu_choices)
    assert all(least <= each <= least + more for each in cores)
    possible = [
        each
        for each in range(least, least + more + 1)
        if total <= each * asked.nodes <= total + further
    ]
    assert list(cores) == (possible or [least + more])
