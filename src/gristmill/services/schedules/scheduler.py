"""The loops behind schedules. Each sleeps until there is something to do."""

import structlog

from gristmill.domain.errors import UnavailableError
from gristmill.services.schedules.board import Standing
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.dispatch import dispatch
from gristmill.services.schedules.killing import call_for_kills
from gristmill.services.schedules.turn import Turn
from gristmill.services.schedules.workers import Workers
from gristmill.services.waiting import PAUSE_AFTER_FAILURE, pause
from gristmill.store.database import Transaction
from gristmill.store.runs import all_open_runs

MOST_AT_ONCE = 100
"""Schedules looked at in one transaction, so that others get their turn at the writer."""


log = structlog.get_logger()


class Scheduler:
    """Lets runs out when it is their turn, and calls on external workers."""

    def __init__(self, core: ScheduleCore, workers: Workers) -> None:
        self._core, self._workers = core, workers
        self._database = core.queue.database

    async def run(self) -> None:
        """Look at schedules that were nudged, until cancelled."""
        nudges = self._core.nudges
        while True:
            await nudges.came.wait()
            try:
                await self.round()
            except UnavailableError:
                await pause(PAUSE_AFTER_FAILURE)

    async def round(self) -> None:
        """Look at everything that was nudged. Raises UnavailableError."""
        nudges = self._core.nudges
        while nudges.came.is_set():
            if nudges.everything:
                await self._look_around()
            schedules = nudges.take(MOST_AT_ONCE)
            if schedules:
                await self._dispatch(schedules)

    async def _look_around(self) -> None:
        """Learn which pools our agents serve, and look at every schedule that has open runs."""
        nudges = self._core.nudges
        nudges.everything = False
        try:
            pools, schedules = await self._database.read(_survey)
        except UnavailableError:
            nudges.everything = True
            raise
        self._core.registry.open_pools(pools)
        self._core.queue.signals.work.set()
        nudges.add(schedules)

    async def _dispatch(self, schedules: list[int]) -> None:
        def work(tx: Transaction) -> None:
            turn = Turn(self._core, tx)
            turn.load_schedules(schedules)
            for number in schedules:
                dispatch(turn, number)
            turn.close()

        try:
            await self._database.write(work)
        except UnavailableError:
            self._core.nudges.add(schedules)
            raise
        except Exception:
            # One bad schedule must not hold up the others.
            log.exception("schedules.dispatch_failed", schedules=schedules[:10])
            if len(schedules) > 1:
                for number in schedules:
                    await self._dispatch([number])

    async def load(self) -> None:
        """Remember which kills were called for before a restart."""

        def work(tx: Transaction) -> None:
            turn = Turn(self._core, tx)
            for run in turn.runs(row[0] for row in tx.all("list_open_kills")):
                call_for_kills(turn, run)
            turn.close()

        await self._database.write(work)
        self._core.nudges.all()

    async def repeat(self) -> None:
        """Say offers and kills again that nobody took, until cancelled."""
        board, rules = self._core.board, self._core.rules
        while True:
            await board.something.wait()
            await pause(rules.offer_repeat)
            try:
                await self.say_again()
            except UnavailableError:
                continue

    async def say_again(self) -> None:
        """Repeat every open call; an offer that stood for long goes to another worker."""
        board, rules = self._core.board, self._core.rules
        called = {run: one for run, one in board.standing.items() if one.worker_id is not None}
        if not called and not board.kills:
            board.something.clear()
            return
        now = self._core.queue.chance.monotonic()
        stale = {
            run: standing
            for run, standing in called.items()
            if not standing.fixed and now - standing.since >= rules.offer_patience
        }
        if stale:
            await self._offer_elsewhere(stale, now)
        board.greet()

    async def _offer_elsewhere(self, stale: dict[int, Standing], now: float) -> None:
        def work(tx: Transaction) -> dict[int, tuple[int, str]]:
            turn, chosen = Turn(self._core, tx), {}
            for run, standing in stale.items():
                workers = [one.id for one in turn.workers(standing.pool_id) if one.enabled]
                others = [one for one in workers if one != standing.worker_id] or workers
                best = turn.staff.rank(others)
                if best:
                    choice = self._core.queue.chance.random.choice(best)
                    turn.staff.offered(choice.id)
                    chosen[run] = (choice.id, choice.api_key)
            return chosen

        for run, (worker, api_key) in (await self._database.read(work)).items():
            standing = stale[run]
            standing.worker_id, standing.api_key, standing.since = worker, api_key, now

    async def ping(self) -> None:
        """Call on all workers to answer, until cancelled."""
        await pause(self._core.rules.first_ping)
        while True:
            try:
                await self._workers.ping()
            except UnavailableError as error:
                log.warning("workers.ping_failed", error=str(error))
            await pause(self._core.rules.ping_interval)

    async def watch_health(self) -> None:
        """Look for silent workers, until cancelled."""
        while True:
            await pause(self._core.rules.health_interval)
            try:
                await self._workers.check_health()
            except UnavailableError as error:
                log.warning("workers.health_failed", error=str(error))


def _survey(tx: Transaction) -> tuple[list[str], list[int]]:
    pools = [row[0] for row in tx.all("list_agent_pools")]
    schedules = {run.schedule_id for run in all_open_runs(tx).values() if not run.ended}
    return pools, sorted(schedules)
