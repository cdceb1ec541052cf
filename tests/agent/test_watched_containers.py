"""Containers that jobs have podman start: counted, and ended in every ending."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.agent.container_clients import clients_on, read_inspected
from gristmill.agent.helpers import MemberHelpers
from gristmill.agent.watched_containers import WatchedContainers
from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import CANCELLED_BY_USER, CONTAINERS_UNREACHABLE, OVER_WALLTIME
from gristmill.domain.resources import Resources
from gristmill.protocol.messages import Finished
from tests.agent.workshop import Workshop, run_jobs
from tests.containers.service import Service, podman_service
from tests.e2e.harness import short_folder


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    # Podman takes no long paths.
    with short_folder() as folder, podman_service(folder) as made:
        yield made


def _spec(service: Service, command: str, wanted: str, **fields: object) -> JobSpec:
    env = service.variables
    return JobSpec(command=command, watch_container=wanted, env=dict(env), **fields)  # type: ignore[arg-type]


async def _serve(workshop: Workshop, *words: str) -> None:
    """Have a container started by somebody who is no part of the job, as dockerd is."""
    _, ended = workshop.helpers.start(list(words), dict(os.environ))
    assert await ended == 0


def _found(workshop: Workshop) -> bool:
    return any(
        member.container is not None
        and member.container.client is not None
        and member.sampled_kb > 30_000
        for member in workshop.runner.running.values()
    )


@pytest.mark.parametrize(
    ("how", "ending"), [("name", "walltime"), ("cidfile", "kill"), ("first", "exit")]
)
def test_counted_and_ended_with_the_job(
    tmp_path: Path, service: Service, how: str, ending: str
) -> None:
    name, gate = f"gm-{how}-{ending}", tmp_path / "gate"
    wanted = {"name": name, "cidfile": str(tmp_path / "cid"), "first": "?"}[how]
    options = ["--name", name, *(["--cidfile", wanted] if how == "cidfile" else [])]
    os.mkfifo(gate)

    async def story() -> Finished:
        async with Workshop(tmp_path) as workshop:
            limit = 6.0 if ending == "walltime" else None
            spec = _spec(
                service, f"touch {tmp_path}/up; read line < {gate}", wanted,
                resources=Resources(walltime=limit),
            )  # fmt: skip
            lease = workshop.lease(spec)
            workshop.runner.accept([lease])
            await workshop.poll((tmp_path / "up").exists)
            await _serve(workshop, "/bin/sh", "-c", service.start(*options))
            await workshop.poll(lambda: _found(workshop) or bool(workshop.runner.finished))
            if ending == "kill":
                workshop.runner.kill((lease.job, 1, 0))
            elif ending == "exit":
                gate.write_text("go\n")
            await workshop.until(lambda: workshop.runner.finished)
            assert os.listdir(tmp_path / "containers") == []
            return workshop.runner.finished[0]

    end = asyncio.run(story())
    assert not service.running(name)
    assert end.reason == {"kill": CANCELLED_BY_USER, "walltime": OVER_WALLTIME, "exit": ""}[ending]
    assert end.peak_memory >= 40
    assert end.cpu > 0


def test_one_that_is_started_last_of_all_is_ended_too(tmp_path: Path, service: Service) -> None:
    (end,) = run_jobs(tmp_path, [_spec(service, service.start("--name", "gm-last"), "gm-last")])
    assert (end.succeeded, end.message) == (True, "")
    assert not service.running("gm-last")


def test_what_ran_before_is_nobodys(tmp_path: Path, service: Service) -> None:
    subprocess.run(["/bin/sh", "-c", service.start("--name", "gm-old")], check=True)
    ends = run_jobs(
        tmp_path,
        [_spec(service, "sleep 1.2", wanted) for wanted in ("gm-old", "?", "gm-no", "./no", "-a")],
        cpus=5,
    )
    assert all(end.succeeded for end in ends), [end.message for end in ends]
    assert max(end.peak_memory for end in ends) < 30
    assert service.running("gm-old")
    service.call("rm", "--force", "--time=0", "gm-old")


def test_the_next_agent_ends_what_a_dead_one_watched(tmp_path: Path, service: Service) -> None:
    async def story() -> None:
        async with Workshop(tmp_path) as workshop:
            spec = _spec(service, f"touch {tmp_path}/up; sleep 1000", "gm-dead")
            workshop.runner.accept([workshop.lease(spec)])
            await workshop.poll((tmp_path / "up").exists)
            await _serve(workshop, "/bin/sh", "-c", service.start("--name", "gm-dead"))
            helpers = MemberHelpers(workshop.node, workshop.helpers)
            await WatchedContainers(tmp_path / "containers", helpers).clear_leftovers()
            assert not service.running("gm-dead")
            assert os.listdir(tmp_path / "containers") == []

    asyncio.run(story())


def test_a_node_without_clients_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "docker"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no service here' >&2\nexit 1\n")
    broken.chmod(0o755)
    ends = run_jobs(
        tmp_path,
        [
            JobSpec(command="touch ran", watch_container="?", env={"PATH": str(path)})
            for path in (tmp_path, broken.parent)
        ],
    )
    assert {(end.reason, end.started_at) for end in ends} == {(CONTAINERS_UNREACHABLE, None)}
    assert ends[0].message == "neither docker nor podman is on the node's PATH"
    assert ends[1].message == f"{broken}: no service here"


def test_what_clients_print() -> None:
    docker = (
        b'[{"Id":"ab","State":{"Running":true,"Pid":7,'
        b'"StartedAt":"2026-01-02T03:04:05.123456789Z"}}]'
    )
    podman = (
        b'[{"Id":"cd","State":{"Running":true,"Pid":8,"StartedAt":"2026-01-02T05:04:04.1+02:00"}}]'
    )
    ended = b'[{"Id":"ef","State":{"Running":false,"Pid":0,"StartedAt":"0001-01-01T00:00:00Z"}}]'
    (one,), (other,) = read_inspected(docker), read_inspected(podman)
    assert (one.id, one.pid, other.id, other.pid) == ("ab", 7, "cd", 8)
    assert other.started < one.started
    for said in (ended, b"[]", b"", b"{}", b'[{"Id":"a","State":{"Running":true}}]'):
        assert read_inspected(said) == []


def test_both_kinds_of_client_are_looked_for(tmp_path: Path) -> None:
    for name in ("podman", "docker"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert list(clients_on(str(tmp_path))) == [f"{tmp_path}/docker", f"{tmp_path}/podman"]
    assert list(clients_on("")) == []
