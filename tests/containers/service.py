"""A podman, and a dockerd, of the test's own: containers that somebody else's service starts."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from gristmill.containers.engines import detect
from gristmill.containers.run import ContainerEngine, ContainerRun
from tests.containers.rootfs import busybox_rootfs

HOLD = "(head -c 40000000 /dev/zero; sleep 1000) | tail -c 40000000"
"""Keeps forty megabytes."""


class Service:
    """Something that starts containers, as whoever calls its client finds it.

    program: the client. image: the words that name the image, all of busybox's world.
    variables: for the client, the PATH that leads to it among them.
    """

    def __init__(self, program: str, image: str, variables: Mapping[str, str]) -> None:
        self.program, self.image = program, image
        path = f"{Path(program).parent}:{os.environ['PATH']}"
        self.variables = {**variables, "PATH": path}

    def run(self, *options: str, command: str = HOLD) -> str:
        """Return the line that runs a container."""
        return (
            f"{self.program} run --rm {' '.join(options)} --network none "
            f"{self.image} /bin/sh -c {shlex.quote(command)}"
        )

    def start(self, *options: str, command: str = HOLD) -> str:
        """Return the line that starts a container and leaves it alone."""
        return self.run("--detach", *options, command=command)

    def do(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as somebody who is no part of any job."""
        return subprocess.run(
            ["/bin/sh", "-c", line], env={**os.environ, **self.variables},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def call(self, *words: str) -> str:
        return self.do(shlex.join([self.program, *words])).stdout

    def running(self, name: str) -> bool:
        return bool(self.call("ps", "--quiet", "--filter", f"name={name}").strip())


def _rootfs(path: Path) -> Path:
    rootfs = busybox_rootfs(path)
    for applet in ("head", "tail", "sleep"):
        (rootfs / "bin" / applet).unlink(missing_ok=True)
        (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "tmp").mkdir()
    return rootfs


@contextmanager
def podman_service(folder: Path) -> Iterator[Service]:
    """Make a service whose containers and images are in a folder; skip where none works."""
    engine = detect("podman") if shutil.which("podman") else None
    if engine is None:
        pytest.skip("podman does not work here (run scripts/system-packages)")
    rootfs = _rootfs(folder / "rootfs")
    config = folder / "containers.conf"
    config.write_text(
        '[containers]\ncgroups = "disabled"\ndefault_ulimits = ["nofile=16384:16384", '
        '"nproc=16384:16384"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    storage = f"--root {folder}/graph --runroot {folder}/run --storage-driver vfs"
    program = folder / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nexport CONTAINERS_CONF={config}\nexec {_call_of(engine)} {storage} "$@"\n'
    )
    program.chmod(0o755)
    made = Service(str(program), f"--rootfs {rootfs}", {})
    probe = made.do(made.start("--name", "gm-probe", command="sleep 100"))
    made.call("rm", "--force", "--time=0", "gm-probe")
    if probe.returncode != 0:
        pytest.skip(f"podman starts no container here: {probe.stderr}")
    try:
        yield made
    finally:
        made.call("rm", "--all", "--force", "--time=0")


@contextmanager
def docker_service(folder: Path) -> Iterator[Service]:
    """Start a dockerd with all it has in a folder; skip where there is none, or it cannot."""
    client = shutil.which("docker")
    if client is None or shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("a dockerd of our own needs docker.io and root")
    url = f"unix://{folder}/docker.sock"
    made = Service(client, "gm:1", {"DOCKER_HOST": url, "DOCKER_CONFIG": str(folder / "client")})
    with (folder / "dockerd.log").open("wb") as log:
        # Its mounts end with it, and a hierarchy that it does not understand is out of sight.
        daemon = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _DOCKERD,
             "dockerd", url, str(folder), f"/{folder.name}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        if not _comes_up(made, daemon, _rootfs(folder / "rootfs")):
            pytest.skip(
                f"dockerd does not work here: {(folder / 'dockerd.log').read_text()[-500:]}"
            )
        yield made
        for container in made.call("ps", "--all", "--quiet").split():
            made.call("rm", "--force", container)
    finally:
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
        for group in Path("/sys/fs/cgroup").glob(f"*/{folder.name}"):
            with contextlib.suppress(OSError):
                group.rmdir()


_DOCKERD = (
    "umount /sys/fs/cgroup/unified 2>/dev/null; "
    'exec dockerd --host "$1" --data-root "$2/data" --exec-root "$2/exec" --pidfile "$2/pid" '
    "--iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --bridge=none "
    '--storage-driver=vfs --cgroup-parent "$3"'
)


def _comes_up(made: Service, daemon: "subprocess.Popen[bytes]", rootfs: Path) -> bool:
    """Wait for a dockerd, give it an image, and have it start a container."""
    deadline = time.monotonic() + 60
    while not made.call("info", "--format", "{{.ServerVersion}}").strip():
        if daemon.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    made.do(f"tar -C {rootfs} -c . | {made.program} import - {made.image}")
    probe = made.do(made.start("--name", "gm-probe", command="sleep 100"))
    made.call("rm", "--force", "gm-probe")
    return probe.returncode == 0


def _call_of(engine: ContainerEngine) -> str:
    """Return how podman has to be called on this machine."""
    words = engine.command(ContainerRun(image="any", token="t", scratch="/"))
    return shlex.join(words[: words.index("run")])
