"""Who belongs to which member, whatever its processes did to hide.

Every process of a member is below the agent, because the agent inherits orphans. Those whose
parents still lead to the member's first process are plain. An orphan is recognised by having
been seen before, by its session, by its cgroup, or by the marker in its environment.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gristmill.agent.cgroups import NO_GROUP, MemberGroup
from gristmill.agent.processes import (
    Process,
    Stat,
    descendants,
    environ_marker,
    own_children,
    read_stat,
)

_MOST_GLANCES = 100


@dataclass
class MemberProcesses:
    """One running member, as far as the kernel knows it.

    marker: ``<node>/<job>.<attempt>.<rank>``. main: the process that was spawned, leader of a
    session of its own; with start 0 when it has already been reaped. known: its living
    processes at the last look.
    """

    marker: str
    main: Process
    group: MemberGroup = NO_GROUP
    known: set[Process] = field(default_factory=set)


class Census(NamedTuple):
    """One look: living processes by marker, parents before children, and who is nobody's.

    strays: heads of trees below the agent that belong to none of the members asked about.
    """

    members: dict[str, list[Stat]]
    strays: list[Stat]


def members_of(member: MemberProcesses, *, thorough: bool = False) -> list[Stat]:
    """Return the living processes of one member; see take_census."""
    return take_census([member], thorough=thorough).members[member.marker]


def take_census(members: Sequence[MemberProcesses], *, thorough: bool = False) -> Census:
    """Find the living processes of members, and remember them in each member's ``known``.

    thorough: look again until no further child of the agent turns up, so that not even a
    process that forks and leaves all the time slips away between two glances.
    """
    look = _Look(members)
    look.claim_known()
    strays = look.claim_orphans(_MOST_GLANCES if thorough else 1)
    look.claim_inside_groups()
    for member in members:
        member.known = {stat.process for stat in look.claimed[member.marker]}
    return Census(look.claimed, strays)


class _Look:
    def __init__(self, members: Sequence[MemberProcesses]) -> None:
        self.claimed: dict[str, list[Stat]] = {member.marker: [] for member in members}
        self._members = members
        self._by_marker = {member.marker: member for member in members}
        self._by_session: dict[int, MemberProcesses] = {}
        self._own_session = os.getsid(0)
        self._owned: set[int] = {os.getpid()}

    def claim_known(self) -> None:
        for member in self._members:
            leader = read_stat(member.main.pid)
            # Session 0 is any that began outside this process namespace: no member's.
            if member.main.pid and (leader is None or leader.process == member.main):
                self._by_session[member.main.pid] = member
            for process in (member.main, *member.known):
                stat = read_stat(process.pid)
                if stat is not None and stat.process == process:
                    self._claim(member, stat)

    def claim_orphans(self, glances: int) -> list[Stat]:
        """Claim what can be recognised among the agent's own children; return the others."""
        strays: list[Stat] = []
        seen = set(self._owned)
        for _ in range(glances):
            # What a dead child left has been our own child since before it was found dead.
            fresh = [pid for pid in own_children() if pid not in seen]
            if not fresh:
                break
            seen.update(fresh)
            stats = [read_stat(pid) for pid in fresh if pid not in self._owned]
            strays = self._recognise_all(strays + [stat for stat in stats if stat is not None])
        return strays

    def claim_inside_groups(self) -> None:
        for member in self._members:
            for pid in member.group.processes():
                stat = read_stat(pid)
                if stat is not None:
                    self._claim(member, stat)

    def _recognise_all(self, stats: list[Stat]) -> list[Stat]:
        # Each claim can teach a further session, and so recognise more of the rest.
        while True:
            rest = [stat for stat in stats if not self._recognise(stat)]
            if len(rest) == len(stats):
                return rest
            stats = rest

    def _recognise(self, head: Stat) -> bool:
        marker = environ_marker(head.process.pid)
        member = self._by_marker.get(marker or "") or self._by_session.get(head.session)
        if member is not None and marker in (None, member.marker):
            self._claim(member, head)
            return True
        # One that is just leaving has lost its environment already, but not yet its children.
        for stat in descendants(head.process.pid) if marker is None else ():
            member = self._by_marker.get(environ_marker(stat.process.pid) or "")
            if member is not None:
                self._claim(member, head)
                return True
        return False

    def _claim(self, member: MemberProcesses, head: Stat) -> None:
        if head.process.pid in self._owned:
            return
        self._own(member, head)
        for stat in descendants(head.process.pid):
            if stat.process.pid not in self._owned:
                self._own(member, stat)

    def _own(self, member: MemberProcesses, stat: Stat) -> None:
        self._owned.add(stat.process.pid)
        self.claimed[member.marker].append(stat)
        if stat.session not in (0, self._own_session):
            self._by_session.setdefault(stat.session, member)
