"""The crun and runc engines: a bundle written for each run, in a process namespace."""

import os
import stat
from typing import Any

import msgspec

from gristmill.containers import gpus
from gristmill.containers.groups import remove_groups
from gristmill.containers.namespaces import own_processes, without_cgroups
from gristmill.containers.run import (
    CAPABILITIES,
    Bind,
    ContainerRun,
    Entry,
    check_run,
    environment_of,
    joined_entry,
    make_mount_points,
    named,
    stored,
    words_of,
    workdir_of,
)


class OciRuntime:
    """Runs a container with crun or runc. An ordinary user appears as root inside.

    crun leaves the container in its starter's cgroups; runc makes groups below those, which
    stay when it is killed.
    """

    pulls = False
    monitor = True

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self.outlives = name == "runc"
        self._program = program

    def command(self, run: ContainerRun) -> list[str]:
        """Write a bundle to the run's scratch and return the call. Raises InvalidInputError."""
        check_run(run)
        rootfs = stored(run, self.name).rootfs
        binds = make_mount_points(run, rootfs)
        bundle = os.path.join(run.scratch, "bundle")
        os.makedirs(bundle, mode=0o700, exist_ok=True)
        with open(os.path.join(bundle, "config.json"), "wb") as file:
            file.write(msgspec.json.encode(_config(run, rootfs, binds)))
        is_crun = self.name == "crun"
        words = own_processes(as_root=True)
        words += without_cgroups() if is_crun else []
        words += [self._program]
        words += ["--cgroup-manager=disabled"] if is_crun else ["--rootless", "true"]
        words += ["--root", os.path.join(run.scratch, "state")]
        return [*words, "run", "--bundle", bundle, named(run.token)]

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return what the runtime itself needs; the command's variables are in the bundle."""
        marker = {name: value for name, value in run.env.items() if name.startswith("GRISTMILL_")}
        return {"PATH": os.environ.get("PATH", os.defpath), **marker}

    def enter(self, run: ContainerRun) -> Entry:
        """Return how a command joins a container of this engine. Raises InvalidInputError."""
        return joined_entry(run, self._program)

    def cleanup(self, token: str) -> None:
        """Remove the empty groups that a killed runc left below ours."""
        if self.outlives:
            remove_groups(named(token))


def _config(run: ContainerRun, rootfs: str, binds: list[Bind]) -> dict[str, Any]:
    root = os.geteuid() == 0
    namespaces = ["pid", "mount", "ipc", "uts", *([] if run.network else ["network"])]
    linux: dict[str, Any] = {
        "namespaces": [{"type": name} for name in namespaces + ([] if root else ["user"])],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }
    if not root:
        one = [{"containerID": 0, "hostID": 0, "size": 1}]
        linux |= {"uidMappings": one, "gidMappings": one}
    if run.gpus and root:
        linux["devices"] = [_device(path) for path in gpus.device_nodes(run.gpus)]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": words_of(run),
            "env": [f"{name}={value}" for name, value in environment_of(run).items()],
            "cwd": workdir_of(run),
            "noNewPrivileges": True,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
        },
        "root": {"path": rootfs, "readonly": True},
        "mounts": [*_own_mounts(), *(_mount(bind) for bind in _all_binds(run, binds))],
        "linux": linux,
    }


def _own_mounts() -> list[dict[str, Any]]:
    private = ["nosuid", "nodev", "mode=1777"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": private},  # noqa: S108
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": private},  # noqa: S108
        {"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "ro"]},
    ]


def _all_binds(run: ContainerRun, binds: list[Bind]) -> list[Bind]:
    shared = [Bind("/etc/resolv.conf", "/etc/resolv.conf", False)] if run.network else []
    drivers = gpus.driver_binds() if run.gpus else []
    return [*(bind for bind in shared if os.path.exists(bind.host)), *binds, *drivers]


def _mount(bind: Bind) -> dict[str, Any]:
    return {
        "destination": bind.inside,
        "type": "none",
        "source": bind.host,
        "options": ["rbind", "rw" if bind.writable else "ro"],
    }


def _device(path: str) -> dict[str, Any]:
    status = os.stat(path)
    return {
        "path": path,
        "type": "c",
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }
