"""Doing things inside a running job: commands and snapshots."""

from collections.abc import Iterator
from contextlib import contextmanager

from gristmill.dialects.prominence.errors import bad, disabled
from gristmill.dialects.prominence.exchange import Exchange
from gristmill.dialects.prominence.own import get_own
from gristmill.dialects.prominence.routes import Endpoint
from gristmill.dialects.prominence.states import RUNNING, standing
from gristmill.domain.errors import ConflictError, InvalidInputError, UnavailableError
from gristmill.domain.identity import Identity
from gristmill.domain.objects import Space
from gristmill.services.house import House
from gristmill.services.queue.views import Listed

SNAPSHOT = "snapshot.tgz"
UPLOAD_LIFETIME, SNAPSHOT_LIFETIME = 3_600.0, 3_600.0
NOT_RUNNING = "Job is not running"
CANNOT_EXECUTE = "Unable to execute command"


class Inside:
    """Serves ``/jobs/<id>/exec`` and ``/snapshot``, as far as they are switched on."""

    def __init__(self, house: House, *, commands: bool, snapshots: bool) -> None:
        self._house, self._commands, self._snapshots = house, commands, snapshots

    def endpoints(self) -> list[Endpoint]:
        """Return what this room serves."""
        return [
            Endpoint("POST", "jobs/{}/exec", self.execute),
            Endpoint("PUT", "jobs/{}/snapshot", self.take_snapshot),
            Endpoint("GET", "jobs/{}/snapshot", self.show_snapshot),
        ]

    async def execute(self, exchange: Exchange, who: Identity) -> None:
        """Run a command on a job's first node."""
        if not self._commands:
            raise disabled()
        job = await self._running(exchange, who)
        words = exchange.query.first("command").split(",")
        with _refusals(CANNOT_EXECUTE):
            result = await self._house.orders.execute(who, job, words)
        if result.exit_code != 0:
            raise bad(CANNOT_EXECUTE)
        await exchange.reply_text(result.output)

    async def take_snapshot(self, exchange: Exchange, who: Identity) -> None:
        """Pack a path of a job's first node; the last snapshot is the one there is."""
        if not self._snapshots:
            raise disabled()
        job = await self._running(exchange, who)
        path = exchange.query.first("path")
        if not path:
            raise bad("A path to snapshot must be specified")
        url = self._house.objects.put_url(
            Space.job(job), SNAPSHOT, self._house.job_base, UPLOAD_LIFETIME
        )
        with _refusals("Invalid path"):
            await self._house.orders.snapshot(who, job, path, url)
        await exchange.reply({})

    async def show_snapshot(self, exchange: Exchange, who: Identity) -> None:
        """Tell where the last snapshot can be fetched."""
        if not self._snapshots:
            raise disabled()
        job = await get_own(self._house, who, exchange.parts[0])
        space = Space.job(job.row.head.id)
        if await self._house.objects.find(space, SNAPSHOT) is None:
            _check_running(job)
        base = self._house.reach.for_client(exchange.scope["scheme"], exchange.host)
        url = self._house.objects.get_url(space, SNAPSHOT, base, SNAPSHOT_LIFETIME)
        await exchange.reply({"url": url})

    async def _running(self, exchange: Exchange, who: Identity) -> int:
        job = await get_own(self._house, who, exchange.parts[0])
        _check_running(job)
        return job.row.head.id


def _check_running(job: Listed) -> None:
    if standing(job.row.head).status != RUNNING:
        raise bad(NOT_RUNNING)


@contextmanager
def _refusals(invalid: str) -> Iterator[None]:
    """Word what may go wrong on the node; invalid: for what makes no sense there."""
    try:
        yield
    except ConflictError as error:
        raise bad(NOT_RUNNING) from error
    except InvalidInputError as error:
        raise bad(invalid) from error
    except UnavailableError as error:
        raise bad(f"{invalid}: {error}") from error
