"""What is done with a member's folder after its tasks: measured, handed to hooks, removed."""

import asyncio

from gristmill.agent.member import Member
from gristmill.agent.steps import Step, hook_steps, removal
from gristmill.agent.workspace import is_unused, measure, remove_if_empty
from gristmill.domain.outcome import DISK_FULL


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


def last_steps(member: Member) -> tuple[list[Step], list[Step]]:
    """Return the steps that follow the tasks, and those that wait until nothing is mounted."""
    workspace = member.workspace
    folder = workspace.root if workspace else None
    if member.scratch_stamp is not None:
        folder = member.cwd
    steps = hook_steps(member.spec, succeeded=member.succeeded, folder=folder)
    if workspace is not None and not remove_if_empty(workspace.tmp):
        steps.append(removal(workspace.tmp))
    if member.mounts is None:
        return steps, []
    # What is mounted must not be removed with the folder that it is seen in.
    return [step for step in steps if not step.removes], [step for step in steps if step.removes]
