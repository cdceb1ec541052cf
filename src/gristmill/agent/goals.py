"""The line by which a member says that its work is done."""

from gristmill.agent.member import Member

STEP = 1 << 20
"""Bytes looked through at a time; a rank that prints more in a second is caught up with later."""


def says_done(member: Member) -> bool:
    """Whether what the member wrote since the last look holds its goal line."""
    goal, slot = member.spec.goal, member.slot
    if goal is None or slot is None:
        return False
    wanted = goal.text.casefold().encode()
    while True:
        # The end of the last look is looked at again: the text may lie across the border.
        start = max(member.goal_seen - len(wanted) + 1, 0)
        data = slot.stdout.read(start, STEP)
        if wanted in data.lower() or wanted in _folded(data):
            return True
        member.goal_seen = start + len(data)
        if len(data) < STEP:
            return False


def _folded(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").casefold().encode()
