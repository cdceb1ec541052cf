"""Containers that a job has somebody else start: their use is the job's, and so is their end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers.service import HOLD, Service, docker_service, podman_service
from tests.e2e.harness import eventually, short_folder
from tests.wr.talk import Job, Wr

BURN = "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done"
HELD, BURNT = 38, 0.15
"""Megabytes and seconds that only the container uses: the command itself sleeps."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with short_folder() as folder, podman_service(folder) as made:
        yield made


@pytest.fixture(scope="module")
def docker() -> Iterator[Service]:
    with short_folder() as folder, docker_service(folder) as made:
        yield made


def _env(service: Service) -> list[str]:
    """Return the variables by which a job finds the service."""
    return [f"{name}={value}" for name, value in service.variables.items()]


def _place(gate: Path, text: str) -> None:
    """Make a file that is there at once with all it holds."""
    draft = gate.with_suffix(".new")
    draft.write_text(text)
    draft.rename(gate)


def _is_found(wr: Wr) -> bool:
    """Whether the agent has noted which container it is."""
    notes = wr.server.home / "agent" / "containers"
    return any(json.loads(note.read_bytes())["found"] for note in notes.glob("*[0-9]"))


def _watched(
    wr: Wr,
    folder: Path,
    service: Service,
    wanted: str,
    start: str,
    end: Callable[[Job], object],
) -> Job:
    """Run a job, start a container beside it, end the job; return its last status.

    A sample is taken each second, later where the machine is busy: patience grows with the tries.
    """
    for tries, patience in enumerate((4, 10, 40)):
        up, gate = folder / f"up{tries}", folder / f"gate{tries}"
        command = f"touch {up}; while [ ! -e {gate} ]; do sleep 0.1; done; test ! -s {gate}"
        (added,) = wr.add({"cmd": command, "env": _env(service)}, monitor_docker=wanted)
        assert added["MonitorDocker"] == wanted
        eventually(up.exists)
        service.do(start).check_returncode()
        eventually(lambda: _is_found(wr))
        seen = wr.job(added["Key"])["Walltime"] + patience
        wr.wait(added["Key"], lambda found, until=seen: found[0]["Walltime"] >= until)  # type: ignore[misc]
        end({**added, "gate": gate})
        job = wr.wait_for(added["Key"], "complete", "buried", std="true")
        if job["PeakRAM"] >= HELD and job["CPUtime"] >= BURNT:
            break
    return job


def test_by_its_name_and_killed(wr: Wr, service: Service, folder: Path) -> None:
    start = service.start("--name", "gm-wr-name", command=f"{BURN}; {HOLD}")
    job = _watched(
        wr, folder, service, "gm-wr-name", start,
        lambda job: wr.end("running", job["Key"]),
    )  # fmt: skip
    assert (job["State"], job["FailReason"]) == ("buried", "killed by user request")
    assert not service.running("gm-wr-name")
    assert job["PeakRAM"] >= HELD
    assert job["CPUtime"] >= BURNT


def test_the_first_one_and_a_good_end(wr: Wr, service: Service, folder: Path) -> None:
    start = service.start("--name", "gm-wr-first", command=f"{BURN}; {HOLD}")
    job = _watched(
        wr, folder, service, "?", start, lambda job: job["gate"].touch()
    )  # fmt: skip
    assert (job["State"], job["Exitcode"]) == ("complete", 0)
    assert not service.running("gm-wr-first")
    assert job["PeakRAM"] >= HELD
    assert job["CPUtime"] >= BURNT


def test_by_the_file_with_its_id_and_a_failure(wr: Wr, service: Service, folder: Path) -> None:
    file = folder / "cid"
    start = service.start("--name", "gm-wr-file", "--cidfile", str(file), command=f"{BURN}; {HOLD}")
    job = _watched(
        wr, folder, service, str(file), f"rm -f {file}; {start}",
        lambda job: _place(job["gate"], "fail"),
    )  # fmt: skip
    assert (job["State"], job["FailReason"]) == ("buried", "command exited non-zero")
    assert not service.running("gm-wr-file")
    assert job["PeakRAM"] >= HELD
    assert job["CPUtime"] >= BURNT


def test_a_real_dockerd(wr: Wr, docker: Service, folder: Path) -> None:
    start = docker.start("--name", "gm-wr-docker", command=f"{BURN}; {HOLD}")
    job = _watched(
        wr, folder, docker, "gm-wr-docker", start, lambda job: wr.end("running", job["Key"])
    )
    assert (job["State"], job["FailReason"]) == ("buried", "killed by user request")
    assert not docker.running("gm-wr-docker")
    assert job["PeakRAM"] >= HELD
    assert job["CPUtime"] >= BURNT


def test_a_command_that_is_docker_itself(wr: Wr, docker: Service) -> None:
    line = docker.run("--name", "gm-wr-self", command="sleep 1000")
    (added,) = wr.add({"cmd": line, "env": _env(docker)}, monitor_docker="?")
    eventually(lambda: docker.running("gm-wr-self") and _is_found(wr))
    wr.end("running", added["Key"])
    wr.wait_for(added["Key"], "buried")
    assert not docker.running("gm-wr-self")
    (good,) = wr.add(
        {"cmd": docker.run("--name", "gm-wr-good", command="exit 7"), "env": _env(docker)},
        monitor_docker="gm-wr-good",
    )
    assert wr.wait_for(good["Key"], "buried")["Exitcode"] == 7


def test_without_a_client_it_is_buried(wr: Wr, folder: Path) -> None:
    (added,) = wr.add(
        {"cmd": "true # nobody", "monitor_docker": "?", "env": [f"PATH={folder}"], "retries": 3}
    )
    job = wr.wait_for(added["Key"], "buried", std="true")
    assert (job["FailReason"], job["Attempts"]) == ("could not interact with docker", 0)
    assert job["StdErr"] == "neither docker nor podman is on the node's PATH"
