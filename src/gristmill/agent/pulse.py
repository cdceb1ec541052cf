"""Samples of what measured members use, for their owners' plots."""

from collections.abc import Collection, Iterable, Sequence

from gristmill.agent.census import MemberProcesses
from gristmill.agent.member import Member
from gristmill.agent.mpi_ranks import Ranks, starts_ranks
from gristmill.agent.processes import PAGE_SIZE, TICKS_A_SECOND, Process, read_file
from gristmill.agent.usage import Sampler, proportional
from gristmill.domain.clock import Chance
from gristmill.protocol.messages import UsageSample

INTERVAL = 5.0
"""Seconds between two samples of a member."""

MOST_KEPT = 10_000
"""Samples kept while no server takes them; of more, the oldest go."""

_IO = {b"rchar", b"wchar", b"syscr", b"syscw", b"read_bytes", b"write_bytes"}


class _Past:
    """What earlier processes of a rank did, and the most memory its processes held."""

    def __init__(self) -> None:
        self.peak = 0
        self.living: dict[Process, tuple[int, ...]] = {}
        self.ended: tuple[int, ...] = (0, 0, 0, 0, 0, 0)


class _Pulse:
    """How a member's network stood when it began, and the past of it or of each of its ranks."""

    def __init__(self, network: tuple[int, int]) -> None:
        self.network = network
        self.next = 0.0
        self.past = _Past()
        self.pasts: dict[int, _Past] = {}
        self.ranks = Ranks()


class Pulses:
    """Takes the samples; ``take`` hands them over."""

    def __init__(self, sampler: Sampler, chance: Chance) -> None:
        self._sampler, self._chance = sampler, chance
        self._pulses: dict[str, _Pulse] = {}
        self._samples: list[UsageSample] = []

    def sample(self, member: Member, processes: MemberProcesses) -> bool:
        """Measure a member if it is due; return whether it was."""
        now = self._chance.monotonic()
        pulse = self._pulses.get(processes.marker)
        if pulse is None:
            pulse = self._pulses[processes.marker] = _Pulse(network(processes.main.pid))
        if now < pulse.next:
            return False
        pulse.next = now + INTERVAL
        if starts_ranks(member):
            self._samples += self._measure_ranks(member, processes, pulse)
        else:
            self._samples.append(self._measure(member, processes, pulse))
        del self._samples[:-MOST_KEPT]
        return True

    def take(self) -> list[UsageSample]:
        """Return the samples that nobody has yet."""
        samples, self._samples = self._samples, []
        return samples

    def keep_only(self, markers: set[str]) -> None:
        """Drop what is kept of all other members."""
        for marker in self._pulses.keys() - markers:
            del self._pulses[marker]

    def _measure(self, member: Member, processes: MemberProcesses, pulse: _Pulse) -> UsageSample:
        usage = self._sampler.usage(processes)
        user, system, *storage = _add_up(processes.known, pulse.past)
        ticks = user + system
        # The sampler has the better total; how it divides is known from the living alone.
        share = user / ticks if ticks else 1.0
        job, attempt, rank = member.key
        return UsageSample(
            job,
            attempt,
            rank,
            at=self._chance.now(),
            cpu=usage.cpu_seconds,
            user=usage.cpu_seconds * share,
            system=usage.cpu_seconds * (1 - share),
            memory=int(usage.memory_mb * (1 << 20)),
            peak_memory=int(usage.peak_memory_mb * (1 << 20)),
            resident=sum(resident(process.pid) for process in processes.known),
            **_storage_of(storage),
            **_traffic(processes, pulse),
            started_at=member.started_at or 0.0,
        )

    def _measure_ranks(
        self, member: Member, processes: MemberProcesses, pulse: _Pulse
    ) -> Iterable[UsageSample]:
        """Measure each rank by itself: what one mpirun started works for several members."""
        job, attempt, _ = member.key
        for rank, stats in sorted(pulse.ranks.divide(member, processes.known).items()):
            past = pulse.pasts.setdefault(rank, _Past())
            user, system, *storage = _add_up({stat.process for stat in stats}, past)
            memory = sum(map(proportional, stats))
            past.peak = max(past.peak, memory)
            yield UsageSample(
                job,
                attempt,
                rank,
                at=self._chance.now(),
                cpu=(user + system) / TICKS_A_SECOND,
                user=user / TICKS_A_SECOND,
                system=system / TICKS_A_SECOND,
                memory=memory,
                peak_memory=past.peak,
                resident=sum(stat.resident_pages for stat in stats) * PAGE_SIZE,
                **_storage_of(storage),
                **_traffic(processes, pulse),
                started_at=member.started_at or 0.0,
            )


def _storage_of(found: Sequence[int]) -> dict[str, int]:
    reads, writes, read, written = found
    return {"read": read, "written": written, "reads": reads, "writes": writes}


def _traffic(processes: MemberProcesses, pulse: _Pulse) -> dict[str, int]:
    received, sent = network(processes.main.pid)
    before = pulse.network
    return {"received": max(0, received - before[0]), "sent": max(0, sent - before[1])}


def _add_up(known: Collection[Process], past: _Past) -> tuple[int, ...]:
    """Return ticks of user and system, reads, writes, bytes read and written, of the whole tree."""
    living = {process: _activity(process.pid) for process in known}
    for process, last in past.living.items():
        if process not in living:
            past.ended = _sum(past.ended, last)
    past.living = living
    total: tuple[int, ...] = past.ended
    for activity in living.values():
        total = _sum(total, activity)
    return total


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _activity(pid: int) -> tuple[int, ...]:
    user, system = _ticks(pid)
    io = _storage(pid)
    return user, system, io[b"syscr"], io[b"syscw"], io[b"read_bytes"], io[b"write_bytes"]


def _ticks(pid: int) -> tuple[int, int]:
    try:
        text = read_file(f"/proc/{pid}/stat")
    except OSError:
        return 0, 0
    fields = text[text.rindex(b")") + 2 :].split()
    return int(fields[11]), int(fields[12])


def _storage(pid: int) -> dict[bytes, int]:
    found = dict.fromkeys(_IO, 0)
    try:
        lines = read_file(f"/proc/{pid}/io").splitlines()
    except OSError:
        return found
    for line in lines:
        name, _, value = line.partition(b":")
        if name in found:
            found[name] = int(value)
    return found


def resident(pid: int) -> int:
    """Return the bytes of memory a process holds."""
    try:
        return int(read_file(f"/proc/{pid}/statm").split()[1]) * PAGE_SIZE
    except (OSError, IndexError):
        return 0


def network(pid: int) -> tuple[int, int]:
    """Return bytes received and sent in the network a process is in, on all its interfaces."""
    received = sent = 0
    try:
        lines = read_file(f"/proc/{pid}/net/dev").splitlines()[2:]
    except OSError:
        return 0, 0
    for line in lines:
        fields = line.partition(b":")[2].split()
        received += int(fields[0])
        sent += int(fields[8])
    return received, sent
