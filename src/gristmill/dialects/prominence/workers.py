"""``/resources``, ``/health`` and ``/ts``: what there is to run on, and how the server is."""

from gristmill.dialects.prominence.errors import disabled
from gristmill.dialects.prominence.exchange import Exchange
from gristmill.dialects.prominence.routes import Endpoint, OpenEndpoint
from gristmill.domain.errors import UnavailableError
from gristmill.domain.identity import Identity
from gristmill.domain.resources import Capacity
from gristmill.services.agents import AgentOverview
from gristmill.services.house import House
from gristmill.services.readiness import check_ready

SHARES_A_CORE = 1_000
MB_A_GB = 1_024


class WorkerRooms:
    """The endpoints about the place itself."""

    def __init__(self, house: House) -> None:
        self._house = house

    def endpoints(self) -> list[Endpoint | OpenEndpoint]:
        """Return what is to be routed here."""
        return [
            Endpoint("GET", "resources", self._resources),
            OpenEndpoint("GET", "health", self._health),
            Endpoint("GET", "ts/{}", _refuse_series),
            Endpoint("POST", "ts", _refuse_series),
        ]

    async def _resources(self, exchange: Exchange, who: Identity) -> None:
        del who
        workers = [
            {
                "capacity": _size(view.row.capacity),
                "free": _size(view.live.free or view.row.capacity),
                "site": view.row.matched_labels["site"],
            }
            for view in await self._house.agents.overview()
            if view.live is not None and _serves_everybody(view)
        ]
        workers.sort(key=lambda worker: -worker["free"]["cpus"])  # type: ignore[index]
        await exchange.reply({"existing": workers})

    async def _health(self, exchange: Exchange) -> None:
        try:
            await check_ready(self._house.database, self._house.home)
        except UnavailableError as error:
            await exchange.reply({"errors": str(error)}, 409)
            return
        await exchange.reply_empty(204)


async def _refuse_series(_: Exchange, __: Identity) -> None:
    raise disabled()


def _serves_everybody(view: AgentOverview) -> bool:
    """Whether jobs of this interface, which name no pool, can run there."""
    return "default" in (view.row.pools or ("default",)) and view.row.state != "draining"


def _size(capacity: Capacity) -> dict[str, int]:
    return {
        "cpus": capacity.cpu_shares // SHARES_A_CORE,
        "memory": capacity.memory // MB_A_GB,
    }
