"""What is done with a member's folder after its tasks: measured, handed to hooks, removed."""

import asyncio

from gristmill.agent.journal import Begun
from gristmill.agent.member import Member
from gristmill.agent.steps import Step, hook_steps, removal, resolve_home
from gristmill.agent.workspace import is_unused, measure, remove_if_empty
from gristmill.domain.outcome import DISK_FULL
from gristmill.protocol.messages import Held


def leaves_lessons(member: Member) -> bool:
    """Whether what the member left on disk teaches anything and is still to be measured."""
    workspace, learn = member.workspace, member.spec.learn
    if workspace is None or learn is None or member.disk is not None:
        return False
    if not member.succeeded and not member.no_room and member.cause != DISK_FULL:
        return False
    member.disk = 0
    return not is_unused(workspace)


async def measure_disk(member: Member) -> None:
    """Measure what the member left; in a thread, for it may be a million files."""
    assert member.workspace is not None
    member.disk = await asyncio.to_thread(measure, member.workspace)


def begun(member: Member) -> Held:
    """Return what the journal is told of a member, with what its hooks do after a failure."""
    spec, workspace = member.spec, member.workspace
    if not (spec.hooks.on_failure or spec.hooks.on_exit):
        return member.held
    return Begun(
        *member.key,
        member.cwd,
        tuple(step.words for step in hook_steps(spec, succeeded=False, folder=_folder(member))),
        workspace.root if workspace else "",
        resolve_home(spec.cwd or ""),
    )


def _folder(member: Member) -> str | None:
    """Return the folder that a cleanup removes, None when the member has none of its own."""
    if member.scratch_stamp is not None:
        return member.cwd
    return member.workspace.root if member.workspace else None


def last_steps(member: Member) -> tuple[list[Step], list[Step]]:
    """Return the steps that follow the tasks, and those that wait until nothing is mounted."""
    workspace = member.workspace
    steps = hook_steps(member.spec, succeeded=member.succeeded, folder=_folder(member))
    if workspace is not None and not remove_if_empty(workspace.tmp):
        steps.append(removal(workspace.tmp))
    if member.mounts is None:
        return steps, []
    # What is mounted must not be removed with the folder that it is seen in.
    return [step for step in steps if not step.removes], [step for step in steps if step.removes]
