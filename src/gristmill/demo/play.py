"""The demo itself: each act runs jobs on a real server and checks what became of them."""

import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.agent.processes import all_pids, environ_marker, read_stat
from gristmill.client import Client, GristmillError
from gristmill.client.models import JobDetail, JobView
from gristmill.demo import pipeline, words
from gristmill.demo.private_server import PrivateServer
from gristmill.demo.screen import Screen

ACT_LIMIT = 120.0
"""Seconds an act may take on a slow machine before the demo gives up."""

LOOK = 0.1
"""Seconds between looks at the progress."""

CHART_ROWS = 12


class DemoFailedError(GristmillError):
    """Something that the demo shows did not happen as it should."""


@dataclass
class Findings:
    """What the acts found out, for the summary. Rates are jobs a second."""

    short_rate: float = 0.0
    words_seconds: float = 0.0
    words_rate: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    names: int = 0
    different: int = 0
    files: int = 0
    top: list[tuple[str, int]] = field(default_factory=list)


class Play:
    """Runs the acts on one server. folder: where the pipeline's files go."""

    def __init__(self, server: PrivateServer, client: Client, screen: Screen, folder: Path) -> None:
        self._server, self._client, self._screen = server, client, screen
        self._folder = folder
        self.findings = Findings()

    def run(self) -> Findings:
        """Run every act. Raises DemoFailedError at the first thing that is not as it should be."""
        self._folder.mkdir()
        self._rate()
        trouble = self._start_trouble()
        self._words()
        self._check_counts()
        self._retry(trouble[0])
        self._kill(trouble[1])
        return self.findings

    def _rate(self) -> None:
        began = time.monotonic()
        submitted = self._client.submit_many(pipeline.short_jobs())
        self._watch(f"{submitted.added} short jobs", pipeline.SHORT, submitted.added)
        self.findings.short_rate = submitted.added / (time.monotonic() - began)
        self._screen.done(
            f"{submitted.added} short jobs, each a process of its own: "
            f"{self.findings.short_rate:,.0f} jobs/s"
        )

    def _start_trouble(self) -> tuple[JobView, JobView]:
        flaky = self._client.submit(pipeline.flaky_job(self._folder))
        stubborn = self._client.submit(pipeline.stubborn_job(self._folder))
        return flaky, stubborn

    def _words(self) -> None:
        root = sysconfig.get_path("stdlib")
        self._screen.say(f"Counting every name in {root}")
        began = time.monotonic()
        jobs = self._client.submit_many(pipeline.word_jobs(root, self._folder))
        title = f"split, {pipeline.CHUNKS} counts, merge, plot"
        self._watch(title, pipeline.WORDS, jobs.added)
        self.findings.words_seconds = time.monotonic() - began
        self.findings.words_rate = jobs.added / self.findings.words_seconds
        details = [self._client.get(job) for job in jobs.ids]
        self._check_order(details)
        attempts = [attempt for detail in details for attempt in detail.history]
        self.findings.cpu_seconds = sum(attempt.cpu_seconds or 0.0 for attempt in attempts)
        self.findings.peak_memory = max(attempt.peak_memory or 0 for attempt in attempts)

    def _check_order(self, details: Sequence[JobDetail]) -> None:
        """Check by the recorded times that no step began before the step it waits for ended."""
        split, *counts, merge, plot = details
        for earlier, later in ((split, counts), (counts, merge), (merge, plot)):
            ended = [job.ended_at for job in _listed(earlier) if job.ended_at is not None]
            started = [job.started_at for job in _listed(later) if job.started_at is not None]
            _check(
                len(ended) == len(_listed(earlier)) and len(started) == len(_listed(later)),
                "a job of the pipeline has no times",
            )
            _check(max(ended) <= min(started), "a job began before what it depends on had ended")

    def _check_counts(self) -> None:
        """Compare the merged result with a count made here, in one piece."""
        paths = words.sources(sysconfig.get_path("stdlib"))
        with self._screen.stage("counting again, in one process, to compare", 1):
            expected = words.tally(paths)
        found = words.read_counts(str(self._folder / "words.tsv"))
        _check(found == dict(expected), "the pipeline's counts differ from a direct count")
        _check((self._folder / "words.svg").stat().st_size > 0, "the plot is empty")
        self.findings.files = len(paths)
        self.findings.names, self.findings.different = expected.total(), len(expected)
        ranked = list(found.items())[:CHART_ROWS]
        self.findings.top = [(name.decode(), number) for name, number in ranked]
        self._screen.done(
            f"{len(paths):,} files, {self.findings.names:,} names, {len(found):,} different: "
            "equal to a direct count"
        )

    def _retry(self, job: JobView) -> None:
        ended = self._wait(job, "flaky job")
        codes = [attempt.exit_code for attempt in self._client.get(job.id).history]
        output = self._client.stdout(job.id)
        _check(
            ended.succeeded and codes == [pipeline.FIRST_EXIT, 0] and output == b"done\n",
            f"the flaky job is {ended.state} with exit codes {codes} and output {output!r}",
        )
        self._screen.done(f"a job failed with exit code {codes[0]}, was tried again and succeeded")

    def _kill(self, job: JobView) -> None:
        pids = [self._read_pid("stubborn.pid"), self._read_pid("runaway.pid")]
        before = self._processes_of(job)
        _check(set(pids) <= set(before), f"processes {pids} of the stubborn job are not all there")
        self._client.cancel(job.id)
        ended = self._wait(job, "cancelling a job that ignores SIGTERM")
        _check(ended.state == "cancelled", f"the stubborn job is {ended.state}, not cancelled")
        left = self._processes_of(job)
        alive = [pid for pid in pids if read_stat(pid) is not None]
        _check(not left and not alive, f"processes {left or alive} of the cancelled job live on")
        self._screen.done(
            f"a job that ignores SIGTERM and had double-forked was cancelled: {len(before)} "
            "processes before, none after"
        )

    def _wait(self, job: JobView, title: str) -> JobView:
        with self._screen.stage(title, 1):
            return self._client.wait(job.id, ACT_LIMIT)

    def _watch(self, title: str, group: str, total: int) -> None:
        """Show how a group proceeds until it has ended, which must be well."""
        deadline = time.monotonic() + ACT_LIMIT
        with self._screen.stage(title, total) as show:
            counts = self._client.counts(group=group)
            while counts.active:
                _check(time.monotonic() < deadline, f"{title}: not done in {ACT_LIMIT:g} s")
                show(counts.total - counts.active)
                time.sleep(LOOK)
                counts = self._client.counts(group=group)
        _check(
            counts.succeeded == counts.total == total,
            f"{title}: {counts.succeeded} of {total} jobs are complete",
        )

    def _read_pid(self, name: str) -> int:
        path = self._folder / name
        _until(lambda: path.exists() and path.read_text().endswith("\n"), f"{name} was written")
        return int(path.read_text())

    def _processes_of(self, job: JobView) -> list[int]:
        """Living processes that carry the agent's marker of this job, wherever they went."""
        card = self._server.card
        assert card is not None
        prefix = f"{card.node}/{job.id}."
        marked = (pid for pid in all_pids() if (environ_marker(pid) or "").startswith(prefix))
        return [pid for pid in marked if read_stat(pid) is not None]


def _listed(jobs: JobDetail | list[JobDetail]) -> list[JobDetail]:
    return jobs if isinstance(jobs, list) else [jobs]


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise DemoFailedError(problem)


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + ACT_LIMIT
    while not holds():
        _check(time.monotonic() < deadline, f"not within {ACT_LIMIT:g} s: {what}")
        time.sleep(LOOK)
