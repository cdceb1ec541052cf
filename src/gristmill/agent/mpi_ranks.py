"""Which rank each process below an mpirun belongs to."""

from collections.abc import Iterable, Mapping

from gristmill.agent.member import Member
from gristmill.agent.processes import Process, Stat, environ_variables, read_stat
from gristmill.domain.job import MPI_KINDS
from gristmill.domain.resources import CPU_SHARES

RANK_VARIABLES = (b"OMPI_COMM_WORLD_RANK", b"PMI_RANK")
"""By which the launchers of all flavours tell a process its rank."""


def starts_ranks(member: Member) -> bool:
    """Whether the processes of all members of its gang run below this one's mpirun."""
    parallel = any(task.kind in MPI_KINDS for task in member.spec.tasks)
    return parallel and member.lease.gang is not None and member.lease.rank == 0


class Ranks:
    """Remembers what is known of living processes: environments are read once each."""

    def __init__(self) -> None:
        self._ranks: dict[Process, int | None] = {}

    def divide(self, member: Member, known: Iterable[Process]) -> dict[int, list[Stat]]:
        """Return living processes by the member they work for.

        What says nothing of its own belongs to its parent's rank, and the launcher to the first.
        """
        stats = {stat.process.pid: stat for each in known if (stat := read_stat(each.pid))}
        self._ranks = {stat.process: self._rank(stat.process) for stat in stats.values()}
        by_member: dict[int, list[Stat]] = {}
        for stat in stats.values():
            number = _member_of(member, self._inherited(stat, stats))
            by_member.setdefault(number, []).append(stat)
        return by_member

    def _rank(self, process: Process) -> int | None:
        if process not in self._ranks:
            self._ranks[process] = _told(environ_variables(process.pid))
        return self._ranks[process]

    def _inherited(self, stat: Stat, stats: Mapping[int, Stat]) -> int:
        look: Stat | None = stat
        for _ in range(len(stats)):
            if look is None:
                break
            rank = self._ranks[look.process]
            if rank is not None:
                return rank
            look = stats.get(look.parent)
        return 0


def _told(variables: Iterable[bytes]) -> int | None:
    for variable in variables:
        name, _, value = variable.partition(b"=")
        if name in RANK_VARIABLES and value.isdigit():
            return int(value)
    return None


def _member_of(member: Member, rank: int) -> int:
    """Return the member that a rank counts as: each has as many as its task starts on a node."""
    gang, step = member.lease.gang, member.current
    assert gang is not None
    each = (step.processes if step else None) or max(1, member.need.cpu_shares // CPU_SHARES)
    return min(rank // each, gang.size - 1)
