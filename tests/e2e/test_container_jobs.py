"""Container jobs on a real server: its objects and tokens, real mpirun, orders into a job."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from gristmill.client import Client
from gristmill.containers.images import ImageStore
from gristmill.domain.job import JobSpec, Task
from gristmill.domain.resources import Resources
from gristmill.domain.staging import Artifact, Staging
from tests.containers.rootfs import busybox_rootfs
from tests.e2e.conftest import Start
from tests.e2e.harness import (
    RunningServer,
    eventually,
    processes_with,
    short_folder,
    start_server,
    wait_for_state,
)

IMAGE = "bb"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed (run scripts/system-packages)")
    with short_folder() as folder:
        rootfs = busybox_rootfs(folder / "rootfs")
        server = start_server(folder / "h", "--container-engine", "bubblewrap")
        try:
            ImageStore(server.home / "images").add(IMAGE, rootfs)
            yield server
        finally:
            server.close()
        server.check_logs()


def task(text: str, **fields: Any) -> Task:
    return Task(argv=("/bin/sh", "-c", text), image=IMAGE, **fields)


def job(*tasks: Task, **fields: Any) -> JobSpec:
    return JobSpec(tasks=tasks, sandbox=True, **fields)


def say(client: Client, number: int) -> str:
    view = client.wait(number, timeout=60)
    assert view.state == "complete", (view.state, view.reason, client.stderr(number))
    return client.stdout(number).decode()


def put(client: RunningServer, name: str, data: bytes) -> None:
    asked = client.request("POST", "/v1/objects", json={"name": name}).json()
    assert httpx2.put(asked["url"], content=data).status_code == 201


def archive_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


def test_objects_go_in_and_outputs_come_out(server: RunningServer) -> None:
    client = server.client()
    put(server, "in.tgz", archive_of(data="from the store\n"))
    staging = Staging(
        artifacts=(Artifact(url="object:///in.tgz"),),
        output_files=("out.txt",),
        output_dirs=("d",),
    )
    spec = job(task("cat data | tee out.txt; mkdir d; cp data d/x 2>/dev/null || cat data > d/x"),
               staging=staging)  # fmt: skip
    number = client.submit(spec).id
    assert say(client, number) == "from the store\n"
    listed = server.request("GET", f"/v1/jobs/{number}").json()
    assert listed["state"] == "complete"


def test_a_job_may_call_back_while_it_runs_and_not_after(server: RunningServer) -> None:
    client = server.client()
    facts = {"WHERE": "{url}", "KEY": "{token}", "ME": "{job}"}
    number = client.submit(
        job(task("echo $WHERE; echo $KEY; echo $ME; cat > wait < /dev/null; sleep 100"),
            facts=facts)
    ).id  # fmt: skip
    eventually(lambda: client.stdout(number).count(b"\n") == 3)
    where, token, me = client.stdout(number).decode().split()
    assert (where, me) == (server.url_http, str(number))
    headers = {"Authorization": f"Bearer {token}"}
    info = httpx2.get(f"{where}/v1/info", headers=headers)
    assert (info.status_code, info.json()["user"]) == (200, "admin")
    assert "admin" not in info.json()["scopes"]
    stored = b"".join(path.read_bytes() for path in server.home.glob("*.db*") if path.is_file())
    assert token.encode() not in stored
    client.cancel(number)
    client.wait(number)
    assert httpx2.get(f"{where}/v1/info", headers=headers).status_code == 401


def test_commands_and_snapshots_in_a_running_job(server: RunningServer) -> None:
    client = server.client()
    number = client.submit(
        job(task("echo mine > file; mkdir d; echo deep > d/f; echo t > /tmp/t; echo go; sleep 100"))
    ).id
    eventually(lambda: client.stdout(number) == b"go\n")

    def ask(deed: str, **body: Any) -> httpx2.Response:
        return server.request("POST", f"/v1/jobs/{number}/{deed}", json=body)

    assert ask("exec", argv=["cat", "file", "/tmp/t"]).json() == {
        "exit_code": 0, "output": "mine\nt\n",
    }  # fmt: skip
    both = ask("exec", argv=["sh", "-c", "pwd; echo e >&2; exit 3"]).json()
    assert both == {"exit_code": 3, "output": "/home/user\ne\n"}
    slow = ask("exec", argv=["sh", "-c", "echo some; sleep 5432"], limit=0.5).json()
    assert slow == {"exit_code": None, "output": "some\n"}
    eventually(lambda: not processes_with("sleep\x005432"))
    url = ask("snapshot", path="d").json()["url"]
    with tarfile.open(fileobj=io.BytesIO(httpx2.get(url).content)) as archive:
        assert archive.getnames() == ["d", "d/f"]
    for path in ("../x", "/etc", "absent", "d/../../x"):
        refused = ask("snapshot", path=path)
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "path"), path
    assert ask("exec", argv=["no-such-program"]).json()["exit_code"] not in {0, None}
    client.cancel(number)
    client.wait(number)
    assert ask("exec", argv=["true"]).status_code == 409


def test_outputs_of_a_cancelled_job_are_stored(server: RunningServer) -> None:
    client = server.client()
    spec = job(
        task("echo part > out.txt; echo go; sleep 100"), staging=Staging(output_files=("out.txt",))
    )
    number = client.submit(spec).id
    eventually(lambda: client.stdout(number) == b"go\n")
    client.cancel(number)
    assert client.wait(number).state == "cancelled"
    blobs = server.home / "blobs" / "objects"
    assert any(path.read_bytes() == b"part\n" for path in blobs.rglob("*") if path.is_file())


def test_a_job_that_fits_no_agent_fails_after_a_moment(server: RunningServer) -> None:
    client = server.client()
    spec = JobSpec(command="true", resources=Resources(cpus=1000), fail_unmatched=True)
    wrong_site = JobSpec(command="true", require={"site": ("nowhere",)}, fail_unmatched=True)
    patient = JobSpec(command="true", resources=Resources(cpus=1001))
    numbers = client.submit_many([spec, wrong_site]).ids
    waiting = client.submit(patient).id
    for view in client.wait_all(numbers, timeout=15):
        assert (view.state, view.reason) == ("buried", "resource requirements cannot be met")
    assert client.get(waiting).state == "ready"
    client.cancel(waiting)


def test_the_largest_of_several_numbers_of_cores_is_taken(server: RunningServer) -> None:
    client = server.client()
    cores = os.cpu_count() or 1
    choices = tuple(float(n) for n in range(2, cores + 3))
    resources = Resources(cpus=1, cpu_choices=choices, memory_per_cpu=100, memory=100)
    spec = job(task("echo $C $M"), resources=resources, facts={"C": "{cpus}", "M": "{memory_gb}"})
    number = client.submit(spec).id
    told = say(client, number).split()
    assert told == [str(cores), f"{cores * 100 / 1024:g}"]


SUM = """
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv) {
    int rank, size, sum;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) printf("%d ranks, sum %d\\n", size, sum);
    MPI_Finalize();
    return 0;
}
"""
PARTS_OF_OPEN_MPI = ("lib/x86_64-linux-gnu/openmpi", "lib/x86_64-linux-gnu/pmix2", "share/openmpi")


def add_mpi_image(server: RunningServer, flavour: str) -> str:
    """Add an image with a program that adds up its ranks, linked as on this machine."""
    compiler = shutil.which(f"mpicc.{flavour}")
    if compiler is None or shutil.which(f"mpirun.{flavour}") is None:
        pytest.skip(f"{flavour} is not installed (run scripts/system-packages)")
    with short_folder() as folder:
        root = busybox_rootfs(folder / "rootfs")
        source = folder / "sum.c"
        source.write_text(SUM)
        done = subprocess.run([compiler, "-o", str(root / "bin" / "sum"), str(source)], check=False)
        if done.returncode != 0:
            pytest.skip(f"the headers of {flavour} are not installed (run scripts/system-packages)")
        _copy_libraries(root, PARTS_OF_OPEN_MPI if flavour == "openmpi" else ())
        ImageStore(server.home / "images").add(flavour, root)
    return flavour


def _copy_libraries(root: Path, parts: Sequence[str]) -> None:
    """Copy what the program is linked with, and components with what they are linked with."""
    loaded = [root / "bin" / "sum"]
    for part in parts:
        tree = Path("/usr") / part
        if tree.exists():
            shutil.copytree(tree, root / "usr" / part, symlinks=True)
            loaded += tree.rglob("*.so")
    said = subprocess.run(["ldd", *map(str, loaded)], capture_output=True, text=True, check=False)
    for library in {word for word in said.stdout.split() if word.startswith("/")}:
        if ".so" in library and not library.endswith(":"):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)


@pytest.mark.parametrize("flavour", ["openmpi", "mpich"])
def test_mpi_processes_of_two_nodes_run_in_containers(
    server: RunningServer, flavour: Literal["openmpi", "mpich"]
) -> None:
    image = add_mpi_image(server, flavour)
    client = server.client()
    spec = job(
        Task(argv=("/bin/echo", "before"), image=image, nodes="first"),
        Task(argv=("/bin/sum",), image=image, kind=flavour, processes=2),
        resources=Resources(cpus=1 if (os.cpu_count() or 1) > 1 else 0.5, nodes=2, memory=256),
    )
    number = client.submit(spec).id
    assert say(client, number) == "before\n4 ranks, sum 6\n"
    history = client.get(number).history
    assert sorted(attempt.rank for attempt in history) == [0, 1]


def test_every_node_may_run_its_own_tasks(server: RunningServer) -> None:
    client = server.client()
    spec = job(
        task("echo node $N", nodes="all"), task("echo first", nodes="first"),
        facts={"N": "{node}"}, resources=Resources(cpus=0.5, nodes=2, memory=100),
    )  # fmt: skip
    number = client.submit(spec).id
    assert say(client, number) == "node 0\nfirst\n"
    assert client.read_output(number, rank=1).data == b"node 1\n"


def test_a_server_that_dies_takes_no_files_of_jobs_along(home: Path, start: Start) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed (run scripts/system-packages)")
    server = start("--container-engine", "bubblewrap")
    ImageStore(home / "images").add(IMAGE, busybox_rootfs(home.parent / "rootfs"))
    client = server.client()
    wait = task("while ! test -e /tmp/go; do sleep 0.05; done; echo out > out.txt")
    staging = Staging(output_files=("out.txt",))
    number = client.submit(job(wait, staging=staging)).id
    wait_for_state(client, number, "running")
    (folder,) = eventually_one(home / "sandboxes")
    server.kill9()
    (folder / "tmp" / "go").touch()
    eventually(lambda: not processes_with("while ! test -e /tmp/go"))
    server.restart()
    assert client.wait(number).state == "complete"
    blobs = [path for path in (home / "blobs" / "objects").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in blobs] == [b"out\n"]
    assert os.listdir(home / "sandboxes") == []


def test_an_agent_that_dies_leaves_nothing_of_its_jobs(home: Path, start: Start) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed (run scripts/system-packages)")
    server = start("--container-engine", "bubblewrap")
    ImageStore(home / "images").add(IMAGE, busybox_rootfs(home.parent / "rootfs"))
    client = server.client()
    number = client.submit(job(task("sleep 7531"), task("true", kind="sidecar"))).id
    wait_for_state(client, number, "running")
    eventually(lambda: processes_with("sleep\x007531"))
    server.kill9_agent()
    assert client.wait(number).state == "buried"
    assert not processes_with("sleep\x007531")
    eventually(lambda: os.listdir(home / "sandboxes") == [])


def eventually_one(folder: Path) -> list[Path]:
    """Return the one entry of a folder, once it is there."""
    eventually(lambda: folder.is_dir() and len(list(folder.iterdir())) == 1)
    return list(folder.iterdir())
