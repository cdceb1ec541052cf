"""``/accounting``: what users and groups have used."""

from collections.abc import Iterable
from datetime import date

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.exchange import Exchange, Query
from gristmill.dialects.prominence.routes import Endpoint
from gristmill.domain.identity import Identity
from gristmill.services.accounting import Usage
from gristmill.services.house import House

HOUR = 3_600.0
EPOCH = date(1970, 1, 1)


class AccountingRoom:
    """The endpoint of usage. A job counts for the first group of whom it was submitted by."""

    def __init__(self, house: House) -> None:
        self._usage = house.usage

    def endpoints(self) -> list[Endpoint]:
        """Return what is to be routed here."""
        return [Endpoint("GET", path, self._show) for path in ("accounting", "usage")]

    async def _show(self, exchange: Exchange, who: Identity) -> None:
        query = exchange.query
        first, last = _day(query, "start", "Start"), _day(query, "end", "End")
        everybody = _is_set(query, "show_all_users")
        used = await self._used(who, first, last, everybody=everybody)
        users: dict[str, dict[str, float]] = {}
        groups: dict[str, dict[str, float]] = {}
        if _is_set(query, "by_group"):
            groups = _sums((each.project, each) for each in used if each.project in who.groups)
        else:
            users = _sums((each.owner, each) for each in used)
        await exchange.reply({"usage": {"users": users, "groups": groups}})

    async def _used(self, who: Identity, first: int, last: int, *, everybody: bool) -> list[Usage]:
        used = await self._usage.of_owner(who.user, first, last)
        if everybody:
            used = [each for each in used if each.project not in who.groups]
            for group in who.groups:
                used += await self._usage.of_project(group, first, last)
        return used


def _sums(used: Iterable[tuple[str, Usage]]) -> dict[str, dict[str, float]]:
    sums: dict[str, dict[str, float]] = {}
    for name, each in used:
        total = sums.setdefault(name, {"numberOfJobs": 0, "cpuTime": 0.0, "wallTime": 0.0})
        total["numberOfJobs"] += each.jobs
        total["cpuTime"] += each.cpu / HOUR
        total["wallTime"] += each.wall / HOUR
    return sums


def _day(query: Query, name: str, title: str) -> int:
    """Return a day as its number since 1970-01-01. Raises RefusedError."""
    text = query.first(name)
    if not text:
        raise bad(f"{title} date must be provided")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise bad("Unable to retrieve usage data") from error
    if text != day.isoformat():
        raise bad("Unable to retrieve usage data")
    return (day - EPOCH).days


def _is_set(query: Query, name: str) -> bool:
    return query.first(name).lower() == "true"
