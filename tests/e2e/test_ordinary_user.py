"""Not a product for root alone: an ordinary user's server does all but what it says it cannot."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import gristmill
from gristmill.client import JobSpec, Resources
from gristmill.containers.engines import PROGRAMS, find_program
from gristmill.domain.job import Task
from tests.containers.rootfs import busybox_rootfs
from tests.e2e.commands import holding_memory, nap
from tests.e2e.harness import (
    LIMIT,
    RunningServer,
    eventually,
    processes_with,
    start_server,
    wait_for_state,
)

NOBODY = 65534

# A mount namespace lets an ordinary user see an interpreter that stands in somebody's home.
AS_NOBODY = """
set -e
mount --bind {python} {place}/python
mount --bind {packages} {place}/packages
mount --bind {source} {place}/source
export HOME={place}/home PYTHONPATH={place}/source:{place}/packages
export LD_LIBRARY_PATH={place}/python/lib
exec setpriv --reuid {nobody} --regid {nobody} --clear-groups --no-new-privs \\
    {place}/python/bin/{name} -c 'from gristmill.cli.main import main; main()' "$@"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of nobody's own."""
    place = Path(f"/tmp/gm-nobody-{os.getpid()}")
    place.mkdir(mode=0o755)
    for name in ("python", "packages", "source", "home"):
        (place / name).mkdir()
    os.chown(place / "home", NOBODY, NOBODY)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def command(place: Path) -> list[str]:
    """The start of a command line that runs ``gristmill`` as nobody."""
    if os.geteuid() != 0:
        pytest.skip("all other tests run as an ordinary user already")
    script = AS_NOBODY.format(
        python=shlex.quote(sys.base_prefix),
        packages=shlex.quote(sysconfig.get_path("purelib")),
        source=shlex.quote(str(Path(gristmill.__file__).parent.parent)),
        place=place,
        nobody=NOBODY,
        name=Path(os.path.realpath(sys.executable)).name,
    )
    command = ["unshare", "--mount", "sh", "-c", script, "gristmill"]
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.returncode != 0:
        pytest.skip(f"cannot run as nobody here: {done.stderr.decode()[-300:]}")
    return command


@pytest.fixture(scope="module")
def server(place: Path, command: list[str]) -> Iterator[RunningServer]:
    server = start_server(place / "home" / "h", command=command)
    try:
        yield server
    finally:
        server.close()


def test_jobs_run_as_that_user(server: RunningServer) -> None:
    client = server.client()
    job = client.submit('id -u; echo "$HOME"; pwd').id
    assert client.wait(job, LIMIT).succeeded
    user, _, folder = client.stdout(job).decode().splitlines()
    assert user == str(NOBODY)
    assert folder.startswith(str(server.home))


def test_limits_are_kept_all_the_same(server: RunningServer) -> None:
    client = server.client()
    greedy = JobSpec(
        command=holding_memory(400, "sleep 1000"), resources=Resources(memory=100, walltime=50)
    )
    late = JobSpec(command="sleep 1000", resources=Resources(walltime=0.3))
    views = list(client.wait_all(client.submit_many([greedy, late]).ids, LIMIT))
    assert [view.reason for view in views] == [
        "command used too much memory",
        "command used too much time",
    ]


def test_cancelled_means_gone_all_the_same(server: RunningServer) -> None:
    client = server.client()
    long = nap(1000)
    command = f"trap '' TERM; (setsid sleep {long} &); env -i setsid sleep {long} & sleep {long}"
    job = client.submit(command).id
    eventually(lambda: len(processes_with(f"sleep\0{long}")) >= 3, what="all its processes")
    client.cancel(job)
    assert client.wait(job, LIMIT).state == "cancelled"
    assert processes_with(long) == []


def test_what_is_missing_is_said_once(server: RunningServer) -> None:
    client = server.client()
    eventually(lambda: any(agent.state == "online" for agent in client.agents()))
    notes = client.agents()[0].notes
    assert sum("cgroups" in note for note in notes) == 1, notes
    log = (server.home / "agent" / "agent.log").read_text()
    assert "Traceback" not in log
    assert log.count("cgroups") <= 1


def test_a_restart_adopts_what_runs(server: RunningServer) -> None:
    client = server.client()
    go = server.home.parent / "go"
    job = client.submit(f'echo a; until [ -e "{go}" ]; do sleep 0.05; done; echo b').id
    wait_for_state(client, job, "running")
    server.kill9()
    server.restart()
    go.touch()
    view = client.wait(job, LIMIT)
    assert (view.state, view.attempts) == ("complete", 1)
    assert client.stdout(job) == b"a\nb\n"


@pytest.mark.parametrize("engine", ["bubblewrap", "charliecloud", "crun", "runc"])
def test_a_command_joins_a_container(place: Path, command: list[str], engine: str) -> None:
    """Each makes its user namespaces in a way of its own, and they are entered one by one."""
    if not any(find_program(program) for program in PROGRAMS[engine]):
        pytest.skip(f"{engine} is not installed (run scripts/system-packages)")
    words = ("--container-engine", engine, "--agent-grace", "0.2s", "--https", "off")
    server = start_server(place / "home" / engine, *words, command=command)
    try:
        client, long = server.client(), nap(1000)
        client.add_image("bb", str(busybox_rootfs(place / "home" / f"{engine}-rootfs")))
        task = Task(argv=("/bin/sh", "-c", f"id; echo go; exec sleep {long}"), image="bb")
        job = client.submit(JobSpec(tasks=(task,), sandbox=True)).id
        eventually(lambda: client.stdout(job).endswith(b"go\n"), what="the job's output")
        ask = ["sh", "-c", "id; echo go; ps -o args"]
        reply = server.request("POST", f"/v1/jobs/{job}/exec", json={"argv": ask}).json()
        assert reply["exit_code"] == 0
        assert reply["output"].startswith(client.stdout(job).decode())
        assert f"sleep {long}\n" in reply["output"]
        client.cancel(job)
        assert client.wait(job, LIMIT).state == "cancelled"
    finally:
        server.close()


def test_a_home_of_somebody_else_is_refused(place: Path, command: list[str]) -> None:
    home = place / "mine"
    home.mkdir(mode=0o700)
    words = ["serve", "--home", str(home), "--http", "127.0.0.1:0", "--https", "off"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 2
    assert "Permission denied" in done.stderr
    assert "--home" in done.stderr
    assert "Traceback" not in done.stderr
