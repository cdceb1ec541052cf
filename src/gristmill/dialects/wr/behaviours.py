"""Behaviours and mounts: as they are asked for, as they are printed, as the core has them."""

from collections.abc import Sequence

import msgspec

from gristmill.dialects.wr.errors import bad_job
from gristmill.dialects.wr.wire import Behaviour, JobRequest, MountConfig
from gristmill.domain.job import Hook, Hooks, Mount, MountTarget

MOUNT_RETRIES = 10
DEFAULT_MOUNT = "mnt"
PIPEFAIL = "set -o pipefail; "
_PIPE = " | "


class _Printed(msgspec.Struct, omit_defaults=True):
    on_failure: list[Behaviour] = []
    on_success: list[Behaviour] = []
    on_exit: list[Behaviour] = []


def with_pipefail(command: str) -> str:
    """Return what bash is given: a failure anywhere in a pipe is one of the whole."""
    return PIPEFAIL + command if _PIPE in command else command


def without_pipefail(command: str) -> str:
    """Return what ``with_pipefail`` was given."""
    return command.removeprefix(PIPEFAIL) if _PIPE in command else command


def hooks_of(job: JobRequest) -> Hooks:
    """Return the behaviours as the core knows them."""
    return Hooks(
        on_success=_hooks(job.on_success or ()),
        on_failure=_hooks(job.on_failure or ()),
        on_exit=_hooks(job.on_exit or ()),
    )


def _hooks(behaviours: Sequence[Behaviour]) -> tuple[Hook, ...]:
    hooks = []
    for behaviour in map(_only, behaviours):
        if behaviour.run:
            hooks.append(Hook(run=with_pipefail(behaviour.run)))
        elif behaviour.cleanup or behaviour.cleanup_all:
            hooks.append(Hook(cleanup=True))
        elif behaviour.remove:
            hooks.append(Hook(forget=True))
    return tuple(hooks)


def _only(behaviour: Behaviour) -> Behaviour:
    """Of several keys keep the one that counts."""
    if behaviour.run:
        return Behaviour(run=behaviour.run)
    if behaviour.copy_to_manager:
        return Behaviour(copy_to_manager=behaviour.copy_to_manager)
    if behaviour.cleanup:
        return Behaviour(cleanup=True)
    if behaviour.cleanup_all:
        return Behaviour(cleanup_all=True)
    return Behaviour(remove=True) if behaviour.remove else Behaviour(nothing=True)


def print_behaviours(job: JobRequest) -> str:
    """Return the behaviours as JSON text, empty without any."""
    if not (job.on_failure or job.on_success or job.on_exit):
        return ""
    lists = (job.on_failure, job.on_success, job.on_exit)
    return _text(_Printed(*([_only(one) for one in some or ()] for some in lists)))


def print_mounts(mounts: Sequence[MountConfig]) -> str:
    """Return the mounts as JSON text, empty without any."""
    return _text(mounts) if mounts else ""


def mounts_of(mounts: Sequence[MountConfig], *, matters: bool) -> tuple[Mount, ...]:
    """Return the mounts as the core knows them. Raises RefusedError.

    matters: whether the working directory does; then a mount without a folder gets one in it.
    """
    return tuple(_mount(mount, DEFAULT_MOUNT if matters else None) for mount in mounts)


def _mount(mount: MountConfig, default: str | None) -> Mount:
    if sum(target.write for target in mount.targets) > 1:
        raise bad_job(f"mounts value ({mount.mount}) has more than one writeable target")
    return Mount(
        path=mount.mount or default,
        cache_base=mount.cache_base,
        retries=mount.retries or MOUNT_RETRIES,
        verbose=mount.verbose,
        targets=tuple(
            MountTarget(
                profile=target.profile,
                path=target.path,
                cache=target.cache or target.write,
                cache_dir=target.cache_dir,
                write=target.write,
            )
            for target in mount.targets
        ),
    )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
