"""``/api/runs``: start, look at and delete distributed runs."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from gristmill.dialects.mlbench.errors import RefusedError, bad, detail, refused
from gristmill.dialects.mlbench.exchange import Exchange
from gristmill.dialects.mlbench.pods import standing_pods
from gristmill.dialects.mlbench.requests import SEED, RunFacts, read_run
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.dialects.mlbench.transcript import Transcripts
from gristmill.dialects.mlbench.translate import (
    Run,
    job_of,
    pods_of,
    under_mpirun,
    write_metadata,
    write_run,
)
from gristmill.dialects.mlbench.zips import OFFICIAL
from gristmill.domain.bandwidth import ENFORCED, LABEL, rank_address
from gristmill.domain.clock import Chance
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import source_of_job
from gristmill.domain.state import TERMINAL, JobState
from gristmill.protocol.messages import Stream
from gristmill.services.house import House
from gristmill.services.metrics.reader import Wanted
from gristmill.services.queue.submit import Submission
from gristmill.services.queue.views import MOST_A_PAGE, AttemptView, JobFilter, Listed

RUN_NOT_FOUND = "Run not found"
ACTIVE = "There is already an active run"
LARGEST = (1 << 63) - 1
LONGEST_DELETE = 20.0
"""Seconds a deletion waits for the ranks to be gone."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RunFacts).decode
_PROFILES = {"seed": True, "v3": False}


class Runs:
    """The endpoints of runs, and what others need to know of them."""

    def __init__(self, house: House, settings: MlbenchSettings, host: str) -> None:
        self._house, self._settings, self._host = house, settings, host
        self._transcripts = Transcripts(house.outputs)

    async def handle(self, exchange: Exchange, who: Identity, key: str) -> None:
        """Answer a request below ``/api/runs``."""
        exchange.check_format()
        if key and exchange.method == "DELETE":
            await self._delete(exchange, who, key)
        elif key:
            await self._show(exchange, who, key)
        elif exchange.method == "POST":
            await self._create(exchange, who)
        else:
            await self._list(exchange, who)

    async def find(self, who: Identity, key: str) -> Run:
        """Return the run of this id. Raises RefusedError."""
        if not (key.isascii() and key.isdigit() and 0 < len(key) < 19):
            raise refused(404, RUN_NOT_FOUND)
        try:
            found = await self._house.listing.get(who, int(key))
        except NotFoundError as error:
            raise refused(404, RUN_NOT_FOUND) from error
        run = _run(found)
        if run is None:
            raise refused(404, RUN_NOT_FOUND)
        return run

    async def all(self, who: Identity, states: tuple[JobState, ...] = ()) -> AsyncIterator[Run]:
        """Yield the runs, oldest first."""
        wanted = JobFilter(states=states, dialect=Dialect.MLBENCH, owner=who.user)
        cursor: int | None = None
        while True:
            page = await self._house.listing.page(
                who, wanted, limit=MOST_A_PAGE, cursor=cursor, newest=False
            )
            for listed in page.jobs:
                run = _run(listed)
                if run is not None:
                    yield run
            cursor = page.cursor
            if cursor is None:
                return

    async def shown(self, who: Identity, run: Run) -> dict[str, Any]:
        """Return the run as lists show it: without its output, in the later spelling."""
        metadata = await self._metadata(who, run, with_output=False)
        return write_run(run, seed=False, metadata=metadata)

    def is_standing(self, pod: str) -> bool:
        """Whether this is a worker of the standing pool."""
        return any(pod == known.name for known in standing_pods(self._settings, self._host))

    async def _create(self, exchange: Exchange, who: Identity) -> None:
        facts = read_run(await exchange.body(), self._settings)
        facts = msgspec.structs.replace(
            facts, uuid=_uuid(self._house.chance), pods=pods_of(facts, self._settings)
        )
        cores, gpus = self._capacity()
        spec = job_of(facts, self._settings, cores=cores, gpus=gpus)
        submission = Submission(
            [spec],
            who.user,
            Dialect.MLBENCH,
            data=[_encode(facts)],
            alone=facts.profile == SEED,
        )
        try:
            submitted = await self._house.submitter.submit(submission)
        except ConflictError as error:
            raise refused(409, ACTIVE) from error
        run = await self.find(who, str(submitted.ids[0]))
        seed = _as_seed(exchange, run)
        metadata = await self._metadata(who, run, with_output=True)
        reply = write_run(run, seed=seed, metadata=metadata, fresh=True)
        await exchange.reply(reply, 200 if facts.profile == SEED else 201)

    def _capacity(self) -> tuple[float, int]:
        """Return the cores and GPUs of the nodes that are there; one core while none is."""
        agents = [agent.row.capacity for agent in self._house.registry.all()]
        cores = sum(capacity.cpu_shares for capacity in agents) / 1000
        return cores or 1.0, sum(capacity.gpus for capacity in agents)

    async def _list(self, exchange: Exchange, who: Identity) -> None:
        shown = []
        async for run in self.all(who):
            metadata = await self._metadata(who, run, with_output=False)
            shown.append(write_run(run, seed=_as_seed(exchange, run), metadata=metadata))
        await exchange.reply(shown)

    async def _show(self, exchange: Exchange, who: Identity, key: str) -> None:
        run = await self.find(who, key)
        metadata = await self._metadata(who, run, with_output=True)
        await exchange.reply(write_run(run, seed=_as_seed(exchange, run), metadata=metadata))

    async def _delete(self, exchange: Exchange, who: Identity, key: str) -> None:
        run = await self.find(who, key)
        if run.state not in TERMINAL:
            await self._house.control.cancel(who, [run.id])
            await self._house.waits.until_ended(who, run.id, LONGEST_DELETE)
        try:
            await self._house.control.forget(who, run.id)
        except NotFoundError as error:
            raise refused(404, RUN_NOT_FOUND) from error
        except ConflictError as error:
            raise refused(409, f"The run's workers have not ended yet: {error}") from error
        self._transcripts.forget(run.id)
        await exchange.send_bytes(b"", 204)

    async def _metadata(self, who: Identity, run: Run, *, with_output: bool) -> dict[str, Any]:
        attempts = await self._house.listing.attempts(run.id) if run.attempt else []
        hosts, limited = await self._hosts(run, attempts)
        output: dict[str, Any] = {}
        if with_output:
            output = {
                "stdout": self._notes(run, len(attempts))
                + await self._lines(who, run, Stream.STDOUT),
                "stderr": await self._lines(who, run, Stream.STDERR),
                "result": await self._result(who, run),
            }
        return output | write_metadata(run, self._settings, attempts, hosts, limited=limited)

    async def _hosts(self, run: Run, attempts: Sequence[AttemptView]) -> tuple[list[str], bool]:
        """Return where each rank is, as the ranks are told, and whether what they send is limited.

        Before they are placed, they are on this host.
        """
        members = run.facts.workers if run.facts.everywhere else 1
        current = [attempt for attempt in attempts if attempt.number == run.attempt]
        nodes = await self._house.agents.hosts() if current else {}
        places = {attempt.agent_id for attempt in current}
        if len(places) == 1 and members > 1 and not under_mpirun(run.facts):
            node = nodes.get(places.pop())
            if node is not None and node.labels.get(LABEL) == ENFORCED:
                return [rank_address(rank) for rank in range(members)], True
        hosts = [self._host] * members
        for attempt in current:
            if attempt.agent_id in nodes:
                hosts[attempt.rank] = nodes[attempt.agent_id].address
        return hosts, False

    async def _result(self, who: Identity, run: Run) -> str | None:
        """Return the sentence that the first rank posts at the end, None before it did."""
        wanted = Wanted(name=OFFICIAL, last=1)
        found = await self._house.metrics.reader.read(who, source_of_job(run.id), wanted)
        points = found.get(OFFICIAL)
        return points[-1].value if points else None

    def _notes(self, run: Run, started: int) -> list[str]:
        """Return the lines about the run's progress, which come before its output."""
        workers = run.facts.workers
        notes = [f"Waiting for {workers} workers"]
        if started:
            notes += [f"Pods ready: {workers}/{workers}", "Started"]
        return notes

    async def _lines(self, who: Identity, run: Run, stream: Stream) -> list[str]:
        if not run.attempt:
            return []
        ranks = run.facts.workers if run.facts.everywhere else 1
        return await self._transcripts.lines(
            who, run.id, stream, ranks=ranks, attempt=run.attempt, ended=run.ended
        )


def _as_seed(exchange: Exchange, run: Run) -> bool:
    """Whether a run is spelled as the older generation did."""
    wanted = exchange.query.get("profile", "")
    if wanted:
        if wanted not in _PROFILES:
            raise bad(f"profile must be seed or v3, not {wanted[:40]!r}")
        return _PROFILES[wanted]
    return exchange.as_javascript() or run.facts.profile == SEED


def _run(listed: Listed) -> Run | None:
    """Return the job as a run, None for one that came in through another door."""
    row = listed.row
    head = row.head
    if head.dialect != Dialect.MLBENCH or row.dialect_data is None:
        return None
    return Run(
        head.id,
        _decode(row.dialect_data),
        head.state,
        head.attempt,
        head.created_at,
        head.ended_at,
    )


def _uuid(chance: Chance) -> str:
    return str(UUID(int=chance.random.getrandbits(128), version=4))


def not_allowed(*methods: str) -> RefusedError:
    """Return the refusal of a method, with those that are there."""
    return detail(405, "Method not allowed.", (b"allow", ", ".join(methods).encode()))
