"""A podman of the test's own: containers that somebody else's service would start."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gristmill.containers.engines import detect
from gristmill.containers.run import ContainerEngine, ContainerRun
from tests.containers.rootfs import busybox_rootfs

HOLD = "(head -c 40000000 /dev/zero; sleep 1000) | tail -c 40000000"
"""Keeps forty megabytes."""


class Service:
    """A podman that works here, as settings for whoever calls it by its plain name."""

    def __init__(self, program: Path, rootfs: Path) -> None:
        self.program, self.rootfs = str(program), rootfs

    def start(self, *options: str, command: str = HOLD) -> str:
        """Return the line that has it start a container."""
        return (
            f"{self.program} run --detach --rm {' '.join(options)} --network none "
            f"--rootfs {self.rootfs} /bin/sh -c {shlex.quote(command)}"
        )

    def call(self, *words: str) -> str:
        done = subprocess.run(
            [self.program, *words], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    def running(self, name: str) -> bool:
        return bool(self.call("ps", "--quiet", "--filter", f"name={name}").strip())


@contextmanager
def podman_service(folder: Path) -> Iterator[Service]:
    """Make a service whose containers and images are in a folder; skip where none works."""
    engine = detect("podman") if shutil.which("podman") else None
    if engine is None:
        pytest.skip("podman does not work here (run scripts/system-packages)")
    rootfs = busybox_rootfs(folder / "rootfs")
    for applet in ("head", "tail", "sleep"):
        (rootfs / "bin" / applet).unlink(missing_ok=True)
        (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "tmp").mkdir()
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
    made = Service(program, rootfs)
    probe = subprocess.run(
        ["/bin/sh", "-c", made.start("--name", "gm-probe", command="sleep 100")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    made.call("rm", "--force", "--time=0", "gm-probe")
    if probe.returncode != 0:
        pytest.skip(f"podman starts no container here: {probe.stderr}")
    try:
        yield made
    finally:
        made.call("rm", "--all", "--force", "--time=0")


def _call_of(engine: ContainerEngine) -> str:
    """Return how podman has to be called on this machine."""
    words = engine.command(ContainerRun(image="any", token="t", scratch="/"))
    return shlex.join(words[: words.index("run")])
