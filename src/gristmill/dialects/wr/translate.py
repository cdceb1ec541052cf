"""From a posted job and the defaults of its request to a job of the core: pure functions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from gristmill.dialects.wr import behaviours
from gristmill.dialects.wr.durations import memory_mb, seconds
from gristmill.dialects.wr.errors import bad_job
from gristmill.dialects.wr.keys import job_key
from gristmill.dialects.wr.wire import JobRequest
from gristmill.domain.job import Hooks, JobSpec, Learn, Shell, Workspace
from gristmill.domain.resources import DEFAULT_MEMORY_MB, Resources
from gristmill.domain.retry import RetryPolicy

DEFAULT_CWD = "/tmp"  # noqa: S108 - where wr's commands run unless told
BASH: Shell = "bash"
DEFAULT_GROUP = "manually_added"
DEFAULT_SECONDS = 3600.0
MB_A_GB = 1024
MOST = 255
FATAL_EXIT_CODES = (126, 127, 128)
WORKSPACES = "wr_cwd"
LONGEST_BUCKET = 512
MOST_CPUS = 100_000
MOST_DISK_GB = 1 << 30
LONGEST_SECONDS = 10 * 365 * 86400.0
"""The core's limits, in the units of this interface."""


class Delays(NamedTuple):
    """Seconds between attempts: the first, the longest, and the random part on top."""

    first: float = 30.0
    longest: float = 1800.0
    jitter: float = 30.0


USUAL_DELAYS = Delays()


class Extra(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a status shows and the core has no place for; printed texts.

    home_changed: asked for, though the working directory matters and it has no effect.
    """

    behaviours: str = ""
    mounts: str = ""
    monitor_docker: str = ""
    other_requests: tuple[str, ...] = ()
    home_changed: bool = False


class Translated(NamedTuple):
    """One job for the core. extra: None when there is nothing of that kind."""

    spec: JobSpec
    extra: bytes | None
    rerun: bool


NO_EXTRA = Extra()
_encode_extra = msgspec.msgpack.Encoder().encode
_decode_extra = msgspec.msgpack.Decoder(Extra).decode


def read_extra(data: bytes | None) -> Extra:
    """Return what ``Translated.extra`` holds."""
    return _decode_extra(data) if data else NO_EXTRA


class Translator:
    """Turns the jobs of one request into jobs of the core.

    scripts: the contents of the cloud scripts that the request names, by path.
    """

    def __init__(
        self, defaults: JobRequest, scripts: Mapping[str, str], delays: Delays = USUAL_DELAYS
    ) -> None:
        self._defaults, self._scripts, self._delays = defaults, scripts, delays
        self._policies: dict[int, RetryPolicy] = {}
        self._resources: dict[tuple[float, int, int], Resources] = {}
        self._merges = defaults != JobRequest()

    def translate(self, given: JobRequest) -> Translated:
        """Return the job. Raises RefusedError."""
        job = merge(given, self._defaults) if self._merges else given
        if not given.cmd:
            raise bad_job("cmd was not specified")
        cwd, matters = job.cwd or DEFAULT_CWD, bool(job.cwd_matters)
        mounts = job.mounts or ()
        key = job_key(given.cmd, cwd if matters else None, mounts)
        spec = JobSpec(
            command=behaviours.with_pipefail(given.cmd),
            shell=BASH,
            key=key,
            group=job.rep_grp or DEFAULT_GROUP,
            cwd=cwd,
            create_cwd=True,
            workspace=None if matters else workspace(key, home=bool(job.change_home)),
            resources=self._asked(job),
            learn=_learn(job, given.cmd),
            priority=_in_range("priority", job.priority),
            retry=self._policy(_in_range("retries", job.retries)),
            dep_groups=tuple(job.dep_grps or ()),
            after_groups=tuple(job.deps or ()),
            hooks=_hooks(job),
            mounts=behaviours.mounts_of(mounts, matters=matters),
            env=_variables(job.env or ()),
            watch_container=job.monitor_docker or "",
            keep_output="failure",
            kill_buries=True,
            bury_impossible=True,
            kill_over_memory="when_scarce",
        )
        return Translated(spec, self._extra(job, matters=matters), bool(job.rerun))

    def _asked(self, job: JobRequest) -> Resources:
        cpus, disk = float(job.cpus or 0), job.disk or 0
        memory = memory_mb(job.memory) if job.memory else DEFAULT_MEMORY_MB
        if not 0 <= cpus <= MOST_CPUS:
            raise bad_job(f"cpus value ({job.cpus}) is not in the range 0..{MOST_CPUS}")
        if not 0 <= disk <= MOST_DISK_GB:
            raise bad_job(f"disk value ({disk}) is not in the range 0..{MOST_DISK_GB}")
        same = (cpus, memory, disk)
        resources = self._resources.get(same)
        if resources is None:
            resources = Resources(cpus=cpus, memory=memory, disk=disk * MB_A_GB)
            self._resources[same] = resources
        return resources

    def _policy(self, retries: int) -> RetryPolicy:
        policy = self._policies.get(retries)
        if policy is None:
            policy = self._policies[retries] = RetryPolicy(
                retries=retries,
                delay=self._delays.first,
                max_delay=self._delays.longest,
                jitter=self._delays.jitter,
                fatal_exit_codes=FATAL_EXIT_CODES,
                unstarted_counts=False,
            )
        return policy

    def _extra(self, job: JobRequest, *, matters: bool) -> bytes | None:
        extra = Extra(
            behaviours.print_behaviours(job),
            behaviours.print_mounts(job.mounts or ()),
            job.monitor_docker or "",
            self._other_requests(job),
            matters and bool(job.change_home),
        )
        return _encode_extra(extra) if extra != NO_EXTRA else None

    def _other_requests(self, job: JobRequest) -> tuple[str, ...]:
        if job.cloud_ram is not None and job.cloud_ram < 0:
            raise bad_job(f"cloud_ram value ({job.cloud_ram}) is negative")
        asked = {
            "cloud_config_files": job.cloud_config_files,
            "cloud_flavor": job.cloud_flavor,
            "cloud_os": job.cloud_os,
            "cloud_os_ram": None if job.cloud_ram is None else str(job.cloud_ram),
            "cloud_script": self._scripts[job.cloud_script] if job.cloud_script else None,
            "cloud_user": job.cloud_username,
        }
        return tuple(f"{name}:{value}" for name, value in asked.items() if value)


def workspace(key: str, *, home: bool) -> Workspace:
    """Return where the attempts of a job run, below its cwd."""
    return Workspace(path=f"{WORKSPACES}/{key[0]}/{key[1]}/{key[2]}/{key[3:]}", home=home)


def merge(job: JobRequest, defaults: JobRequest) -> JobRequest:
    """Return the job with defaults for what it leaves out.

    Texts and arrays are left out when they are empty too; a flag cannot be taken back.
    """
    fields = {}
    for name in JobRequest.__struct_fields__:
        value = getattr(job, name)
        left_out = value is None or value is False or value == "" or value == []
        default = getattr(defaults, name)
        fields[name] = default if left_out and default is not None else value
    return JobRequest(**fields)


def _in_range(name: str, value: int | None, most: int = MOST) -> int:
    if value is None:
        return 0
    if not 0 <= value <= most:
        raise bad_job(f"{name} value ({value}) is not in the range 0..{most}")
    return value


def _learn(job: JobRequest, command: str) -> Learn:
    override = _in_range("override", job.override, 2)
    bucket = job.req_grp or base_name(command)
    expected = seconds(job.time) if job.time else DEFAULT_SECONDS
    if expected > LONGEST_SECONDS:
        raise bad_job(f"time value ({job.time}) is longer than ten years")
    return Learn(
        bucket=bucket, override=override, disk_given=job.disk is not None, seconds=expected
    )


def base_name(command: str) -> str:
    """Return the last part of the path that the command's first word is."""
    word = command.split(" ", 1)[0]
    name = word.rstrip("/").rpartition("/")[2] or ("/" if word else ".")
    return name[:LONGEST_BUCKET]


def _hooks(job: JobRequest) -> Hooks:
    if job.on_success or job.on_failure or job.on_exit:
        return behaviours.hooks_of(job)
    return _NO_HOOKS


_NO_HOOKS = Hooks()


def _variables(entries: Sequence[str]) -> dict[str, str]:
    variables = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if not separator or not name:
            raise bad_job(f"env value ({entry[:80]}) is not of the form NAME=VALUE")
        variables[name] = value
    return variables
