"""The resource ``dataset``."""

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.calls import RESERVED, Call, uri
from gristmill.dialects.omega_ml.errors import bad
from gristmill.dialects.omega_ml.exchange import decode
from gristmill.dialects.omega_ml.paging import page
from gristmill.dialects.omega_ml.table import ROWS
from gristmill.services.data.datasets import Query
from gristmill.services.data.place import DATASET, Stored, split_projection
from gristmill.services.house import House

OPERATIONS = frozenset(
    {"eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "between", "contains", "startswith",
     "endswith", "regex", "isnull"}
)  # fmt: skip
_NO_FILTERS = RESERVED | {parameter.name for parameter in ROWS}


class Datasets:
    """Its handlers."""

    def __init__(self, house: House) -> None:
        self._core = house.data.core
        self._datasets = house.data.datasets

    async def list(self, call: Call) -> None:
        """Answer with a page."""
        found = await page(call, self._core, DATASET)
        listed = [_listed(each) for each in found.objects]
        await call.reply(wire.DatasetPage(found.meta, listed))

    async def read(self, call: Call) -> None:
        """Answer with rows."""
        exchange = call.exchange
        skip, limit = _rows(call)
        query = Query(
            orient=exchange.parameter("orient") or "dict",
            skip=skip,
            limit=limit,
            filters=[condition(*pair) for pair in exchange.query if pair[0] not in _NO_FILTERS],
        )
        name = split_projection(call.key)[0]
        extra = {"name": name, "resource_uri": call.uri(name)}
        await call.reply_bytes(await self._datasets.read(call.place, call.key, query, extra))

    async def write(self, call: Call) -> None:
        """Store rows under the name of the path."""
        await self._write(call, call.key, await call.exchange.body())
        await call.reply("")

    async def create(self, call: Call) -> None:
        """Store rows under the name in the body."""
        body = await call.exchange.body()
        name = (await decode(body, wire.Named)).name
        call.check_rules(name)
        await call.reply(_listed(await self._write(call, name, body)))

    async def _write(self, call: Call, name: str, body: bytes) -> Stored:
        return await self._datasets.write(
            call.place,
            name,
            body,
            append=call.switch("append"),
            orient=call.exchange.parameter("orient"),
        )

    async def delete(self, call: Call) -> None:
        """Forget rows."""
        await self._datasets.delete(call.place, call.key)
        await call.reply({"name": call.key, "resource_uri": call.uri(call.key)})


def condition(parameter: str, text: str) -> tuple[str, str, str]:
    """Return column, operation and value of a filter."""
    column, separator, operation = parameter.rpartition("__")
    if separator and column and operation in OPERATIONS:
        return column, operation, text
    return parameter, "eq", text


def _rows(call: Call) -> tuple[int, int | None]:
    """Return how many rows to leave out and how many to show at most."""
    limit, skip, number = call.number("limit"), call.number("skip"), call.number("page")
    if number is None:
        return skip or 0, limit
    if limit is None:
        raise bad("page", "needs limit, the number of rows on a page")
    if number < 1:
        raise bad("page", "is counted from 1")
    return (number - 1) * limit, limit


def _listed(stored: Stored) -> wire.DatasetListed:
    kind = wire.DatasetKind(stored.format, stored.name)
    return wire.DatasetListed(kind, uri("dataset", stored.name))
