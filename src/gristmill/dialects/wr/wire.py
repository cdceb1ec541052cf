"""The shapes of requests and replies; the fields of a reply are in the order they are written."""

from typing import Annotated, Any

import msgspec

from gristmill.domain.job import Name, Path, Text, Word

ZERO_TIME = -62_135_596_800
"""Epoch seconds of the year 1: a time that has not come."""

Number = int | float
"""A float that is whole is written as an integer; see ``number``."""

Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Entry = Annotated[str, msgspec.Meta(min_length=1, max_length=4 << 20, pattern=r"^[^\x00]*\Z")]
Names = Annotated[list[Word], msgspec.Meta(max_length=1000)]

_WRITTEN = {
    "expected_ram": "ExpectedRAM",
    "peak_ram": "PeakRAM",
    "exit_code": "Exitcode",
    "host_id": "HostID",
    "host_ip": "HostIP",
    "wall_time": "Walltime",
    "cpu_time": "CPUtime",
    "api": "API",
    "id": "ID",
    "ip": "IP",
}


def _written(name: str) -> str:
    return _WRITTEN.get(name) or "".join(part.capitalize() for part in name.split("_"))


def number(value: float) -> Number:
    """Return value as it is to be written: 5, not 5.0."""
    return int(value) if value == int(value) else value


class MountTarget(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename=_written,
):
    """One remote place of a mount."""

    profile: Name = ""
    path: Path
    cache_dir: Name = ""
    cache: bool = False
    write: bool = False


class MountConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename=_written,
):
    """What ``wr mount --mount_json`` takes: remote places shown at one folder."""

    mount: Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00]*\Z")] = ""
    cache_base: Name = ""
    retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    verbose: bool = False
    targets: Annotated[list[MountTarget], msgspec.Meta(min_length=1, max_length=100)]


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to do when a command has ended; one of the keys is meant to be given."""

    run: Text | None = None
    copy_to_manager: Annotated[list[Text], msgspec.Meta(max_length=1000)] | None = None
    cleanup: bool | None = None
    cleanup_all: bool | None = None
    remove: bool | None = None
    nothing: bool | None = None


Mounts = Annotated[list[MountConfig], msgspec.Meta(max_length=100)]
Behaviours = Annotated[list[Behaviour], msgspec.Meta(max_length=1000)]
Environment = Annotated[list[Entry], msgspec.Meta(max_length=10_000)]


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One job to add, or the defaults for all of them; None is not given."""

    cmd: Text | None = None
    cwd: Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00]*\Z")] | None = None
    rep_grp: Name | None = None
    cwd_matters: bool | None = None
    change_home: bool | None = None
    mounts: Mounts | None = None
    req_grp: Name | None = None
    monitor_docker: Name | None = None
    memory: Name | None = None
    time: Name | None = None
    cpus: Whole | float | None = None
    disk: Whole | None = None
    override: Whole | None = None
    priority: Whole | None = None
    retries: Whole | None = None
    dep_grps: Names | None = None
    deps: Names | None = None
    on_failure: Behaviours | None = None
    on_success: Behaviours | None = None
    on_exit: Behaviours | None = None
    rerun: bool | None = None
    env: Environment | None = None
    cloud_flavor: Name | None = None
    cloud_os: Name | None = None
    cloud_username: Name | None = None
    cloud_script: Text | None = None
    cloud_config_files: Text | None = None
    cloud_ram: Whole | None = None


class Status(msgspec.Struct, rename=_written, gc=False):
    """A job as it stands. Memory in MB, disk in GB, times in seconds."""

    key: str
    rep_group: str
    dep_groups: tuple[str, ...] | None
    dependencies: tuple[str, ...] | None
    cmd: str
    state: str
    cwd: str
    cwd_base: str
    home_changed: bool
    behaviours: str
    mounts: str
    monitor_docker: str
    expected_ram: int
    expected_time: Number
    requested_disk: int
    other_requests: tuple[str, ...] | None
    cores: Number
    peak_ram: int
    exited: bool
    exit_code: int
    fail_reason: str
    pid: int
    host: str
    host_id: str
    host_ip: str
    wall_time: Number
    cpu_time: Number
    started: int
    ended: int
    std_err: str
    std_out: str
    env: list[str] | None
    attempts: int
    similar: int


class Version(msgspec.Struct, rename=_written):
    """Of the server, and of this interface."""

    version: str
    api: str


class Info(msgspec.Struct, rename=_written):
    """The server itself. scheduler: who provides nodes. mode: ``started`` or ``draining``."""

    addr: str
    host: str
    port: str
    web_port: str
    pid: int = msgspec.field(name="PID")
    deployment: str
    scheduler: str
    mode: str


class Uploaded(msgspec.Struct):
    """Where a file went."""

    path: str


class Notice(msgspec.Struct, rename=_written):
    """A message, how often and when it came. Dates are epoch seconds."""

    msg: str
    first_date: int
    last_date: int
    count: int


class BadServer(msgspec.Struct, rename=_written):
    """A node that seems dead. date: epoch seconds at which it went bad."""

    id: str
    name: str
    ip: str
    date: int
    is_bad: bool
    problem: str


_encode: Any = msgspec.json.Encoder().encode


def encode(reply: object) -> bytes:
    """Return a reply's bytes: compact JSON and a line feed."""
    text: bytes = _encode(reply)
    return text + b"\n"
