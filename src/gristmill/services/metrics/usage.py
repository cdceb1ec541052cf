"""Samples of what members use become points of the sources their jobs name."""

from collections.abc import Iterable, Sequence

from gristmill.domain.errors import GristmillError
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import NewPoint, Point
from gristmill.protocol.messages import UsageSample
from gristmill.services.metrics.recorder import Recorder
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_rows

MB = 1 << 20
MICRO = 1_000_000


class Usages:
    """Records samples; a sample of a job that is gone is nobody's."""

    def __init__(self, core: QueueCore, recorder: Recorder) -> None:
        self._core, self._recorder = core, recorder
        self._last: dict[tuple[int, int, int], UsageSample] = {}

    async def take(self, samples: Sequence[UsageSample]) -> None:
        """Record the points of samples."""
        jobs = sorted({sample.job for sample in samples})
        found = await self._core.database.read(lambda tx: self._sources(tx, jobs))
        by_owner: dict[str, list[NewPoint]] = {}
        for sample in samples:
            owner, sources = found.get(sample.job, ("", ()))
            if sample.rank < len(sources):
                points = by_owner.setdefault(owner, [])
                points += self._points(sources[sample.rank], sample)
        for owner, points in by_owner.items():
            try:
                await self._recorder.record(Identity(user=owner), points)
            except GristmillError:
                continue

    def _sources(
        self, tx: Transaction, jobs: Sequence[int]
    ) -> dict[int, tuple[str, tuple[str, ...]]]:
        return {
            job: (self._core.words.text(tx, row.head.owner_id), row.spec.usage_sources)
            for job, row in get_rows(tx, jobs).items()
        }

    def _points(self, source: str, sample: UsageSample) -> Iterable[NewPoint]:
        key = (sample.job, sample.attempt, sample.rank)
        last = self._last.get(key)
        self._last = {k: s for k, s in self._last.items() if sample.at - s.at < 600}
        self._last[key] = sample
        at = round(sample.at * MICRO)
        for name, value, cumulative in _series(sample, last):
            yield NewPoint(source, name, Point(at, repr(value), "", cumulative))


def _series(
    sample: UsageSample, last: UsageSample | None
) -> Iterable[tuple[str, float | int, bool]]:
    """Yield name, value and whether it is a running total, as container monitors name them."""
    since = last or sample
    seconds = sample.at - (last.at if last else sample.started_at or sample.at)
    spent = sample.cpu - since.cpu if last else sample.cpu
    yield "cpu", max(0.0, spent / seconds) if seconds > 0 else 0.0, False
    yield "memory", sample.memory / MB, False
    yield "network_in", sample.received / MB, True
    yield "network_out", sample.sent / MB, True
    yield "container_cpu_usage_seconds_total", sample.cpu, True
    yield "container_cpu_user_seconds_total", sample.user, True
    yield "container_cpu_system_seconds_total", sample.system, True
    yield "container_memory_usage_bytes", sample.memory, False
    yield "container_memory_working_set_bytes", sample.memory, False
    yield "container_memory_rss", sample.resident, False
    yield "container_memory_max_usage_bytes", sample.peak_memory, False
    yield "container_fs_reads_total", sample.reads, True
    yield "container_fs_writes_total", sample.writes, True
    yield "container_fs_reads_bytes_total", sample.read, True
    yield "container_fs_writes_bytes_total", sample.written, True
    yield "container_start_time_seconds", sample.started_at, False
    yield "container_last_seen", sample.at, False
