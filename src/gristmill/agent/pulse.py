"""Samples of what measured members use, for their owners' plots."""

from gristmill.agent.census import MemberProcesses
from gristmill.agent.member import Member
from gristmill.agent.processes import PAGE_SIZE, Process, read_file
from gristmill.agent.usage import Sampler
from gristmill.domain.clock import Chance
from gristmill.protocol.messages import UsageSample

INTERVAL = 5.0
"""Seconds between two samples of a member."""

MOST_KEPT = 10_000
"""Samples kept while no server takes them; of more, the oldest go."""

_IO = {b"rchar", b"wchar", b"syscr", b"syscw", b"read_bytes", b"write_bytes"}


class _Pulse:
    """What a member's earlier processes did, and how its network stood when it began."""

    def __init__(self, network: tuple[int, int]) -> None:
        self.network = network
        self.next = 0.0
        self.living: dict[Process, tuple[int, ...]] = {}
        self.ended: tuple[int, ...] = (0, 0, 0, 0, 0, 0)


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
        user, system, *storage = _add_up(processes, pulse)
        received, sent = network(processes.main.pid)
        ticks = user + system
        # The sampler has the better total; how it divides is known from the living alone.
        share = user / ticks if ticks else 1.0
        return UsageSample(
            *member.key,
            at=self._chance.now(),
            cpu=usage.cpu_seconds,
            user=usage.cpu_seconds * share,
            system=usage.cpu_seconds * (1 - share),
            memory=int(usage.memory_mb * (1 << 20)),
            peak_memory=int(usage.peak_memory_mb * (1 << 20)),
            resident=sum(resident(process.pid) for process in processes.known),
            read=storage[2],
            written=storage[3],
            reads=storage[0],
            writes=storage[1],
            received=max(0, received - pulse.network[0]),
            sent=max(0, sent - pulse.network[1]),
            started_at=member.started_at or 0.0,
        )


def _add_up(processes: MemberProcesses, pulse: _Pulse) -> tuple[int, ...]:
    """Return ticks of user and system, reads, writes, bytes read and written, of the whole tree."""
    living = {process: _activity(process.pid) for process in processes.known}
    for process, last in pulse.living.items():
        if process not in living:
            pulse.ended = _sum(pulse.ended, last)
    pulse.living = living
    total: tuple[int, ...] = pulse.ended
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
