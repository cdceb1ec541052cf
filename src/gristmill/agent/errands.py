"""The agent's two conversations with the server: asking for work, and reporting.

Both survive the server: results are kept until they are acknowledged, and after any gap the
agent introduces itself again with everything it holds.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence

import structlog

from gristmill.agent.connection import (
    Address,
    Connection,
    NotRegisteredError,
    RefusedError,
    ServerAwayError,
)
from gristmill.agent.inside import Inside
from gristmill.agent.journal import Journal
from gristmill.agent.runner import Runner
from gristmill.agent.uploads import Uploads
from gristmill.domain.clock import Chance
from gristmill.domain.outcome import STOPPED_WITH_SERVER
from gristmill.protocol.messages import (
    Finished,
    Held,
    Lease,
    LeaseReply,
    LeaseRequest,
    ReadOutput,
    Register,
    Registered,
    Report,
    ReportReply,
    Started,
    Stream,
    UsageSample,
)

LEASE_WAIT = 10.0
"""Seconds the server may hold a request for work; it doubles as the heartbeat."""

REPORT_INTERVAL = 0.1
"""Seconds between two reports while there is a stream of short jobs; otherwise they go at once."""

MOST_RESULTS = 2_000
"""Results in one report."""

MOST_OUTPUT = 32 << 20
"""Bytes of output in one report, well below what any server takes."""

SHORTEST_RETRY, LONGEST_RETRY = 0.1, 2.0

log = structlog.get_logger()


class Errands:
    """Keeps the agent registered, fed and heard."""

    def __init__(
        self,
        *,
        runner: Runner,
        inside: Inside,
        journal: Journal,
        introduce: Callable[[], Register],
        address: Address,
        token: str,
        chance: Chance,
        samples: Callable[[], list[UsageSample]],
    ) -> None:
        self.last_contact = chance.monotonic()
        self.stopping = asyncio.Event()
        self.changed = asyncio.Event()
        self._runner, self._journal, self._introduce = runner, journal, introduce
        self._inside = inside
        self._asking, self._telling = Connection(address, token), Connection(address, token)
        self._uploads: Uploads | None = None
        if not address.socket:
            self._uploads = Uploads(Connection(address, token), self.who)
        self._samples = samples
        self._one_tells = asyncio.Lock()
        self._to_upload = asyncio.Event()
        self._chance = chance
        self._agent = 0
        self._telling_now = False
        self._told = asyncio.Event()
        self._number = 0
        self._introductions = 0
        self._registered = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()

    def who(self) -> tuple[int, str]:
        """Return the agent's number, as the server gave it, and its instance."""
        return self._agent, self._instance()

    async def keep_registered(self) -> None:
        """Register at the start and whenever the server forgot us."""
        pause = SHORTEST_RETRY
        while True:
            await self._lost.wait()
            try:
                await self._register()
                pause = SHORTEST_RETRY
            except (ServerAwayError, NotRegisteredError) as error:
                log.debug("server.away", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY)

    async def _register(self) -> None:
        # A report in flight holds results; left out of the introduction, they would count as lost.
        async with self._one_tells:
            message = self._introduce()
            self._introductions += 1
            reply = await self._telling.call("/agent/register", message, Registered)
        self._agent = reply.agent
        self._runner.server_url = reply.url
        self.last_contact = self._chance.monotonic()
        self._drop(reply.drop)
        self._lost.clear()
        self._registered.set()
        self.changed.set()
        log.info("agent.registered", agent=reply.agent, held=len(message.held))

    def _forgotten(self) -> None:
        self._registered.clear()
        self._lost.set()

    async def ask(self) -> None:
        """Ask for work and orders, for ever: who leaves still obeys for what it holds."""
        while True:
            await self._registered.wait()
            self._number += 1
            await self._ask_once()

    async def _ask_once(self) -> None:
        runner, number = self._runner, self._number
        pause = SHORTEST_RETRY
        introduction = self._introductions
        while self._registered.is_set() and introduction == self._introductions:
            request = LeaseRequest(
                self._agent,
                self._instance(),
                number,
                runner.free,
                self._wishes(),
                LEASE_WAIT,
            )
            try:
                reply = await self._asking.call("/agent/lease", request, LeaseReply, LEASE_WAIT)
            except NotRegisteredError:
                self._forgotten()
                return
            except ServerAwayError as error:
                log.debug("server.away", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY)
                continue
            self.last_contact = self._chance.monotonic()
            # What was leased before the last introduction is no longer ours: we did not name it.
            if introduction == self._introductions:
                await self._obey(reply)
            return

    async def _obey(self, reply: LeaseReply) -> None:
        for held in reply.kill:
            self._runner.kill((held.job, held.attempt, held.rank))
        for held in reply.wind_down:
            self._runner.wind_down((held.job, held.attempt, held.rank))
        for wish in reply.read:
            await self._send_output(wish)
        for held in reply.release:
            self._runner.release((held.job, held.attempt, held.rank))
        for order in reply.orders:
            self._inside.obey(order)
        if reply.stop:
            self.stopping.set()
        if self.stopping.is_set():
            self._refuse(reply.leases)
        else:
            self._runner.accept(reply.leases)
        if reply.end_all:
            self._runner.give_back()
            self._runner.kill_all(STOPPED_WITH_SERVER)

    def _refuse(self, leases: Sequence[Lease]) -> None:
        """Give back what was leased before the server heard that we leave."""
        if leases:
            returned = (Held(lease.job, lease.attempt, lease.rank) for lease in leases)
            self._runner.returned.extend(returned)
            self.changed.set()

    def _wishes(self) -> dict[int, int]:
        runner = self._runner
        return {} if self.stopping.is_set() else runner.waitlist.wishes(runner.capacity)

    async def until_told(self, seconds: float) -> None:
        """Return when the server has acknowledged everything, or after that many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._all_told():
                    self._told.clear()
                    await self._told.wait()

    def _all_told(self) -> bool:
        runner = self._runner
        waiting = runner.finished or runner.untold or runner.returned or runner.goals
        return not (waiting or self._telling_now)

    async def _send_output(self, wish: ReadOutput) -> None:
        data = self._runner.read(
            (wish.job, wish.attempt, wish.rank), Stream(wish.stream), wish.offset, wish.limit
        )
        path = f"/agent/output/{wish.request}?ended={int(data is None)}"
        try:
            await self._asking.post(path, data or b"")
        except (ServerAwayError, RefusedError, NotRegisteredError) as error:
            log.debug("output.not_sent", error=str(error))

    async def tell(self) -> None:
        """Report what happened, for ever: at once when it was quiet, else in batches."""
        while True:
            await self.changed.wait()
            await self._registered.wait()
            self.changed.clear()
            await self._tell_once()
            if len(self._runner.waitlist) or len(self._runner.finished) > 1:
                await asyncio.sleep(REPORT_INTERVAL)

    async def _tell_once(self) -> None:
        self._telling_now = True
        try:
            async with self._one_tells:
                await self._report()
        finally:
            self._telling_now = False
            self._told.set()

    async def _report(self) -> None:
        started, results = self._take()
        runner = self._runner
        report = Report(
            self._agent,
            self._instance(),
            started,
            results,
            self._number,
            runner.free,
            self._wishes(),
            list(runner.returned),
            list(runner.goals),
            self._samples(),
            self.stopping.is_set(),
        )
        try:
            reply = await self._telling.call("/agent/report", report, ReportReply)
        except (ServerAwayError, NotRegisteredError) as error:
            self._put_back(started, results)
            if isinstance(error, NotRegisteredError):
                self._forgotten()
            else:
                log.debug("server.away", error=str(error))
                await asyncio.sleep(SHORTEST_RETRY)
            return
        self.last_contact = self._chance.monotonic()
        del runner.returned[: len(report.returned)]
        del runner.goals[: len(report.goals)]
        if results:
            self._journal.acknowledged(results)
            self._journal.compact(
                [member.begun for member in runner.running.values() if member.begun],
                runner.finished,
            )
            if self._uploads is not None:
                for result in results:
                    self._uploads.told(result)
        self._drop(reply.drop)
        if any(map(self._can_tell, runner.finished)):
            self.changed.set()

    async def upload(self) -> None:
        """Send large outputs ahead of their reports, for ever, where the server needs that."""
        uploads = self._uploads
        while uploads is not None:
            waiting = [end for end in self._runner.finished if not uploads.has_sent(end)]
            if waiting:
                await uploads.send(waiting[0])
                self.changed.set()
            else:
                self._to_upload.clear()
                await self._to_upload.wait()
        await asyncio.Event().wait()

    def _can_tell(self, end: Finished) -> bool:
        return self._uploads is None or self._uploads.has_sent(end)

    def _take(self) -> tuple[list[Started], list[Finished]]:
        """Take what is to be told; a start that has ended already is told by its result."""
        runner = self._runner
        results = list(self._batch())
        if len(results) == len(runner.finished):
            runner.finished.clear()
        else:
            told = {id(end) for end in results}
            runner.finished[:] = [end for end in runner.finished if id(end) not in told]
        started = [
            Started(*key, member.started_at, member.first_pid, member.cwd)
            for key in runner.untold
            if (member := runner.running.get(key)) is not None and member.started_at is not None
        ]
        runner.untold.clear()
        return started, results

    def _batch(self) -> Iterator[Finished]:
        """Choose results for one report, which the server must not find too large."""
        size = 0
        for end in self._runner.finished[:MOST_RESULTS]:
            if not self._can_tell(end):
                self._to_upload.set()
                continue
            more = sum(len(output.data) for output in (end.stdout, end.stderr) if output)
            if size and size + more > MOST_OUTPUT:
                return
            size += more
            yield end

    def _put_back(self, started: list[Started], results: list[Finished]) -> None:
        runner = self._runner
        runner.finished[:0] = results
        runner.untold.update((start.job, start.attempt, start.rank) for start in started)
        self.changed.set()

    def _drop(self, members: list[Held]) -> None:
        for held in members:
            self._runner.drop((held.job, held.attempt, held.rank))

    def _instance(self) -> str:
        return self._runner.instance
