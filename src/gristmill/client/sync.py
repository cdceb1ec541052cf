"""The client for plain code: every method waits for its answer."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, BinaryIO, Self, Unpack

import httpx2
import msgspec

from gristmill.client import calls, schedule_calls, talks
from gristmill.client.connection import Connection, pieces_of
from gristmill.client.exchange import closed_early
from gristmill.client.location import find
from gristmill.client.models import (
    AgentView,
    Applied,
    Changed,
    Counts,
    Event,
    ImageView,
    Info,
    JobDetail,
    JobFilters,
    JobView,
    NewPoint,
    NewToken,
    ObjectView,
    Output,
    Run,
    RunPage,
    Schedule,
    ScheduleGlance,
    Series,
    StreamName,
    Submitted,
    TokenView,
    TokenWish,
    Usage,
    Where,
)
from gristmill.client.workflows import Workflows
from gristmill.domain.clock import Chance
from gristmill.domain.errors import UnavailableError
from gristmill.domain.job import JobSpec


class Client:
    """A connection to a Gristmill server, safe to share between threads.

    url, token, home: where the server is; see location.find for what stands in for them.
    timeout: seconds a request may take. patience: seconds for which a server that has
    answered before is waited for when it goes away, as at a restart.

    Every method raises what the server's errors stand for: InvalidInputError (with its
    field), NotFoundError, ConflictError, NotAuthenticatedError, NotPermittedError,
    UnavailableError, ServerError; and UnreachableError when nobody answers.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        patience: float = 30.0,
        chance: Chance = Chance(),  # noqa: B008 - frozen
    ) -> None:
        self._connection = Connection(find(url, token, home=home), timeout, patience, chance)
        self._ask = self._connection.ask
        self.workflows = Workflows(self._connection)
        self.location = self._connection.location

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def submit(self, work: JobSpec | str, *, idempotency_key: str | None = None) -> JobView:
        """Add one job, or a plain command as one.

        idempotency_key: names this very submission, so that repeating it adds nothing; one
        is made up when none is given, which makes a lost connection harmless.
        """
        return self._ask(calls.submit(calls.job_of(work), self._connection.key(idempotency_key)))

    def submit_many(
        self, works: Iterable[JobSpec | str], *, idempotency_key: str | None = None
    ) -> Submitted:
        """Add all of the jobs in one transaction, or none of them."""
        specs = [calls.job_of(work) for work in works]
        return self._ask(calls.submit_many(specs, self._connection.key(idempotency_key)))

    def get(self, job_id: int) -> JobDetail:
        """Everything about a job."""
        return self._ask(calls.get(job_id))

    def jobs(self, **filters: Unpack[JobFilters]) -> Iterator[JobView]:
        """Jobs that fit all filters, fetched page by page as they are consumed."""
        piece = self._ask(calls.jobs(filters))
        yield from piece.jobs
        while piece.next is not None:
            piece = self._ask(calls.jobs(filters, piece.next))
            yield from piece.jobs

    def counts(self, *, group: str | None = None, owner: str | None = None) -> Counts:
        """How many jobs are in each state."""
        return self._ask(calls.counts(group, owner))

    def wait(self, job_id: int, timeout: float | None = None) -> JobView:
        """Return the job once it has ended. Raises WaitTimeoutError after timeout seconds."""
        return self._connection.talk(talks.wait(job_id, self._connection.deadline(timeout)))

    def wait_all(self, ids: Iterable[int], timeout: float | None = None) -> Iterator[JobView]:
        """Yield the jobs in the order given, each as soon as it and those before it have ended."""
        deadline = self._connection.deadline(timeout)
        for job_id in ids:
            yield self._connection.talk(talks.wait(job_id, deadline))

    def wait_group(self, group: str, timeout: float | None = None) -> Iterator[Counts]:
        """Yield the group's counts again and again; ends when every job of it has ended."""
        watch = talks.GroupWatch(group, self._connection.deadline(timeout))
        while True:
            counts = self._ask(watch.call)
            pause = watch.pause(counts)
            yield counts
            if pause is None:
                return
            time.sleep(pause)

    def cancel(self, job_id: int) -> JobView:
        """End a job. Raises ConflictError when it has ended already."""
        return self._ask(calls.cancel(job_id))

    def retry(self, job_id: int) -> JobView:
        """Run an ended job again. Raises ConflictError while it is active."""
        return self._ask(calls.retry(job_id))

    def cancel_many(
        self, ids: Iterable[int] = (), *, group: str | None = None, states: Sequence[str] = ()
    ) -> Changed:
        """End the jobs with these ids, or those of a group or in these states."""
        return self._ask(calls.change("cancel", tuple(ids), group, states))

    def retry_many(
        self, ids: Iterable[int] = (), *, group: str | None = None, states: Sequence[str] = ()
    ) -> Changed:
        """Run the jobs with these ids again, or those of a group or in these states."""
        return self._ask(calls.change("retry", tuple(ids), group, states))

    def forget(self, job_id: int) -> None:
        """Remove an ended job and its output from the records."""
        self._ask(calls.forget(job_id))

    def read_output(
        self, job_id: int, stream: StreamName = "stdout", **where: Unpack[Where]
    ) -> Output:
        """Read one piece of a stream."""
        return self._ask(calls.output(calls.output_request(job_id, stream, where)))

    def stdout(self, job_id: int) -> bytes:
        """All that the job has written to standard output so far."""
        return b"".join(self.output(job_id))

    def stderr(self, job_id: int) -> bytes:
        """All that the job has written to standard error so far."""
        return b"".join(self.output(job_id, "stderr"))

    def output(
        self,
        job_id: int,
        stream: StreamName = "stdout",
        *,
        follow: bool = False,
        **where: Unpack[Where],
    ) -> Iterator[bytes]:
        """Yield a stream in pieces.

        follow: go on until the job has ended, across lost connections. It is never cut
        short by a limit of its own, so ``limit`` is the size of a piece.
        """
        tail = talks.OutputTail(job_id, stream, where)
        patience = self._connection.patience()
        while True:
            try:
                if follow:
                    with self._connection.open(tail.follow()) as response:
                        patience.reset()
                        for data in response.iter_bytes():
                            tail.took(data)
                            yield data
                piece = self._ask(tail.piece())
                tail.took(piece.data)
                if piece.data:
                    yield piece.data
                elif piece.ended or not follow:
                    return
                else:
                    raise closed_early()
            except UnavailableError as error:
                self._connection.pause(patience, error)

    def events(
        self, *, after: int | None = None, job_id: int | None = None, kind: str | None = None
    ) -> Iterator[Event]:
        """Events as they happen, without end, taken up again after lost connections.

        after: the id of the last event seen, None for only new ones. kind: a prefix such as
        ``job.``.
        """
        last = "" if after is None else str(after)
        decode = msgspec.json.Decoder(Event).decode
        patience = self._connection.patience()
        while True:
            try:
                with self._connection.open(calls.events_request(last, job_id, kind)) as response:
                    patience.reset()
                    for message in httpx2.EventSource(response):
                        last = message.id
                        if message.data:
                            yield decode(message.data)
                raise closed_early()
            except UnavailableError as error:
                self._connection.pause(patience, error)

    def metrics(
        self,
        *,
        job_id: int | None = None,
        source: str | None = None,
        name: str | None = None,
        since: str | None = None,
        summarize: int = 0,
        last: int = 0,
    ) -> Series:
        """Return the series of a job or a source.

        since: only points later than this ISO 8601 time. summarize: means, at most so many a
        series. last: the last so many a series.
        """
        return self._ask(
            calls.metrics(job_id, source, name=name, since=since, summarize=summarize, last=last)
        )

    def record(self, *points: NewPoint) -> None:
        """Add points to series, all or none; they are on disk when this returns."""
        self._ask(calls.record(points))

    def metric_sources(self, after: str = "") -> tuple[str, ...]:
        """Return up to 1000 names of sources of metrics, those behind a name."""
        return self._ask(calls.metric_sources(after))

    def agents(self) -> tuple[AgentView, ...]:
        """Every agent the server knows."""
        return self._ask(calls.agents())

    def agent(self, agent_id: int) -> AgentView:
        """One agent."""
        return self._ask(calls.agent(agent_id))

    def drain_agent(self, agent_id: int) -> None:
        """Give the agent no more work; what it holds goes on."""
        self._ask(calls.steer_agent(agent_id, "drain"))

    def resume_agent(self, agent_id: int) -> None:
        """Give a drained agent work again."""
        self._ask(calls.steer_agent(agent_id, "resume"))

    def forget_agent(self, agent_id: int) -> None:
        """Take an agent that is gone off the list."""
        self._ask(calls.forget_agent(agent_id))

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        media_type: str = "application/json",
        wait: float = 0.0,
    ) -> bytes:
        """Send a request of one's own to any path; return the body of the reply.

        path: not quoted. wait: seconds the server may take on top of the client's timeout.
        """
        return self._ask(calls.send(method, path, tuple(params), body, media_type, wait))

    def images(self) -> tuple[ImageView, ...]:
        """Every image that was added."""
        return self._ask(calls.images())

    def add_image(self, name: str, path: str, entrypoint: Sequence[str] | None = None) -> ImageView:
        """Add an image from a folder or archive on the server's machine."""
        return self._ask(calls.add_image(name, path, entrypoint))

    def remove_image(self, name: str) -> None:
        """Remove an image."""
        self._ask(calls.remove_image(name))

    def tokens(self) -> tuple[TokenView, ...]:
        """Every token, without its secret."""
        return self._ask(calls.tokens())

    def create_token(self, user: str, **wish: Unpack[TokenWish]) -> NewToken:
        """Make a token for a user; the secret is in the answer and never shown again."""
        return self._ask(calls.create_token(user, wish))

    def revoke_token(self, token_id: str) -> None:
        """End a token at once."""
        self._ask(calls.revoke_token(token_id))

    def apply(self, declaration: str, *, prune: bool = False, dry_run: bool = False) -> Applied:
        """Declare objects in YAML. prune: remove what an earlier declaration alone made."""
        return self._ask(calls.apply(declaration.encode(), prune=prune, dry_run=dry_run))

    def export(self) -> str:
        """Return the declared objects as YAML, secrets left out."""
        return self._ask(calls.export())

    def objects(self, prefix: str = "", *, group: str | None = None) -> Iterator[ObjectView]:
        """Yield stored objects by name, page by page. group: that group's, else one's own."""
        page = self._ask(calls.objects(prefix, group, None))
        yield from page.objects
        while page.next is not None:
            page = self._ask(calls.objects(prefix, group, page.next))
            yield from page.objects

    def put_object(
        self,
        name: str,
        file: BinaryIO,
        *,
        group: str | None = None,
        sha256: str | None = None,
        size: int | None = None,
    ) -> None:
        """Store a file's bytes under a name, in place of what it had.

        sha256: the hex digest they must have. size: how many there are, when that is known.
        """
        place = self._ask(calls.object_upload(name, group, sha256, size))
        self._connection.send(place.url, pieces_of(file), size)

    def get_object(self, name: str, *, group: str | None = None) -> Iterator[bytes]:
        """Yield an object's bytes in pieces."""
        place = self._ask(calls.object_download(name, group))
        yield from self._connection.fetch(place.url)

    def remove_object(self, name: str, *, group: str | None = None) -> None:
        """Remove an object."""
        self._ask(calls.remove_object(name, group))

    def usage(self, start: str | None = None, end: str | None = None) -> Usage:
        """Return what jobs used that were submitted from start to end, such as ``2026-01-31``."""
        return self._ask(calls.usage(start, end))

    def approve_login(self, code: str) -> None:
        """Let the terminal that shows the code log in as the caller."""
        self._ask(calls.approve_login(code))

    def schedules(
        self, *, project: str | None = None, name: str | None = None
    ) -> Iterator[ScheduleGlance]:
        """Schedules by project, template and name, fetched page by page as they are consumed."""
        offset = 0
        while True:
            page = self._ask(schedule_calls.schedules(project, name, offset))
            yield from page.schedules
            offset += len(page.schedules)
            if not page.schedules or offset >= page.total:
                return

    def schedule(self, schedule_id: int) -> Schedule:
        """Everything about a schedule."""
        return self._ask(schedule_calls.schedule(schedule_id))

    def create_schedule(self, **fields: Any) -> Schedule:
        """Add a schedule; fields as in POST /v1/schedules."""
        return self._ask(schedule_calls.create(fields))

    def change_schedule(self, schedule_id: int, **fields: Any) -> Schedule:
        """Set what is given of a schedule."""
        return self._ask(schedule_calls.change(schedule_id, fields))

    def pause_schedule(self, schedule_id: int) -> Schedule:
        """Let no run of its rhythm begin."""
        return self._ask(schedule_calls.switch(schedule_id, "pause"))

    def resume_schedule(self, schedule_id: int) -> Schedule:
        """Let runs of its rhythm begin again."""
        return self._ask(schedule_calls.switch(schedule_id, "resume"))

    def run_schedule(self, schedule_id: int, *, chains: bool = True) -> Run:
        """Add a run by hand. chains: whether the children follow."""
        return self._ask(schedule_calls.run(schedule_id, chains=chains))

    def start_schedule(self, schedule_id: int, at: datetime | None = None) -> Run:
        """Add the first run by a schedule's rhythm: at that time, else at its next one.

        Raises ConflictError when there is no rhythm, or when it has a run already.
        """
        return self._ask(schedule_calls.start(schedule_id, at))

    def next_times(self, schedule_id: int, count: int = 10) -> Sequence[datetime]:
        """Return when a schedule comes round next."""
        return self._ask(schedule_calls.next_times(schedule_id, count))

    def runs(self, schedule_id: int, *, state: str | None = None, limit: int = 100) -> RunPage:
        """Return the runs of a schedule, those that returned last first."""
        return self._ask(schedule_calls.runs(schedule_id, state, limit))

    def run_log(self, schedule_id: int, run_id: int) -> str:
        """Return what a run wrote."""
        return self._ask(schedule_calls.run_log(schedule_id, run_id))

    def kill_run(self, schedule_id: int, run_id: int) -> int:
        """Ask whoever has a run to end it; return the request's id."""
        return self._ask(schedule_calls.kill(schedule_id, run_id))

    def backfill(
        self, schedule_id: int, first: datetime, last: datetime, *, chains: bool = False
    ) -> Sequence[int]:
        """Add a run for each time of a period that has passed; return their ids."""
        return self._ask(schedule_calls.backfill(schedule_id, first, last, chains=chains))

    def info(self) -> Info:
        """Who the server is and who we are to it."""
        return self._ask(calls.info())
