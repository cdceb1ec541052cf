"""Logs of runs: text that an external worker sent, or the output of a run of our own agents."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.runs import FIRST_OF_LOG, LAST_OF_LOG, order, shorten
from gristmill.protocol.messages import Stream
from gristmill.services.queue.core import QueueCore
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.ending import write_log
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.pages import MOST_A_PAGE, Page
from gristmill.services.schedules.turn import Turn
from gristmill.store.database import Transaction
from gristmill.store.runs import RunLog, done_logs, get_logs, get_runs, open_runs
from gristmill.store.schedules import sum_completed


class Log(NamedTuple):
    """The log of a run; its id is that of the run. content: None where there is none."""

    id: int
    run_id: int
    schedule_id: int
    content: str | None


class Logs:
    """Every method is one transaction."""

    def __init__(self, core: ScheduleCore, index: ScheduleIndex) -> None:
        self._core, self._index = core, index
        self._database = core.queue.database

    async def get_many(self, ids: Iterable[int]) -> dict[int, Log]:
        """Return the logs that exist, by id."""
        wanted = list(ids)

        def work(tx: Transaction) -> dict[int, Log]:
            return {
                number: _read(self._core.queue, tx, log)
                for number, log in get_logs(tx, wanted).items()
            }

        return await self._database.read(work)

    async def list(
        self,
        project_ids: Collection[int] | None = None,
        pool_ids: Collection[int] | None = None,
        offset: int = 0,
        limit: int = MOST_A_PAGE,
    ) -> Page[Log]:
        """Return a page of logs, in the reversed order of their runs."""
        index = await self._index.get()
        schedules = index.choose(project_ids, pool_ids)

        def work(tx: Transaction) -> Page[Log]:
            found = _page(tx, schedules, offset, limit)
            return Page(found.total, [_read(self._core.queue, tx, log) for log in found.items])

        return await self._database.read(work)

    async def create(self, run_id: int, content: str | None) -> int:
        """Give a run its log; return its id.

        The same log again changes nothing: whoever got no answer asks anew.
        Raises NotFoundError when there is no such run, ConflictError when it has another log.
        """
        stored = _encoded(content)

        def work(tx: Transaction) -> int:
            if not get_runs(tx, [run_id]):
                raise NotFoundError(f"there is no run {run_id}")
            known = get_logs(tx, [run_id]).get(run_id)
            if known is None:
                self._write(tx, run_id, stored)
            elif (known.attempt, known.content) != (None, stored):
                raise ConflictError(f"run {run_id} has a log already")
            return run_id

        return await self._database.write(work)

    async def change(self, number: int, content: str | None) -> None:
        """Replace what a log says. Raises NotFoundError."""
        stored = _encoded(content)

        def work(tx: Transaction) -> None:
            if not get_logs(tx, [number]):
                raise NotFoundError(f"there is no log {number}")
            self._write(tx, number, stored)

        await self._database.write(work)

    def _write(self, tx: Transaction, run_id: int, stored: bytes | None) -> None:
        turn = Turn(self._core, tx)
        (run,) = turn.runs([run_id])
        write_log(turn, run, stored)
        turn.close()


def _encoded(content: str | None) -> bytes | None:
    return None if content is None else content.encode("utf-8", "surrogatepass")


def _page(tx: Transaction, schedules: list[int], offset: int, limit: int) -> Page[RunLog]:
    if not schedules:
        return Page(0, [])
    still = sorted(open_runs(tx, schedules).values(), key=order, reverse=True)
    of_open = get_logs(tx, [run.id for run in still])
    first = [of_open[run.id] for run in still if run.id in of_open]
    page = first[offset : offset + limit]
    if len(page) < limit:
        skip = max(0, offset - len(first))
        page += done_logs(tx, schedules, skip=skip, most=limit - len(page))
    return Page(sum_completed(tx, schedules).logs, page)


def _read(core: QueueCore, tx: Transaction, log: RunLog) -> Log:
    content = log.content
    if log.attempt is not None:
        content = output_of(core, tx, log.run_id, log.attempt)
    # What a script wrote need not be UTF-8; what a worker sent is.
    errors = "replace" if log.attempt is not None else "surrogatepass"
    text = None if content is None else content.decode("utf-8", errors)
    return Log(log.run_id, log.run_id, log.schedule_id, text)


def output_of(core: QueueCore, tx: Transaction, job: int, attempt: int) -> bytes:
    """Return what an attempt wrote, without its middle when that is long."""
    row = tx.one("get_output", job=job, attempt=attempt, rank=0, stream=Stream.STDOUT.value)
    if row is None:
        return b""
    size, data, path = row
    if not path:
        return shorten(bytes(data or b""))
    if size <= FIRST_OF_LOG + LAST_OF_LOG:
        return core.outputs.read(path, 0, size)
    first = core.outputs.read(path, 0, FIRST_OF_LOG + 1)
    return shorten(first + core.outputs.read(path, size - LAST_OF_LOG, LAST_OF_LOG))
