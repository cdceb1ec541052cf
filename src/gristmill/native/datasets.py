"""/v1/datasets: tables as JSON."""

from typing import Annotated

from litestar import Controller, Response, delete, get, put
from litestar.params import QueryParameter

from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.native import data_wire as wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.data_shared import (
    NO_LIMIT,
    Bucket,
    Key,
    Limit,
    Offset,
    listing,
    moment,
    place_of,
    split_key,
    written,
)
from gristmill.native.parameters import AnyRequest
from gristmill.services.data.datasets import TABLE, Query
from gristmill.services.data.place import DATASET, Stored, split_projection

ROWS = "rows"


class DatasetRoutes(Controller):
    """Tables of the caller."""

    path = "/v1/datasets"
    tags = ("data",)

    @get(summary="List tables")
    async def list_datasets(
        self,
        house: TheHouse,
        reader: Caller,
        bucket: Bucket = "",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> wire.DataList:
        """Return a page by name."""
        return await listing(house, reader, DATASET, bucket, limit, offset)

    @get("/{key:path}", summary="A table, or with /rows behind its name its rows")
    async def read(
        self,
        house: TheHouse,
        reader: Caller,
        key: Key,
        bucket: Bucket = "",
        orient: Annotated[str, QueryParameter(max_length=40, description="as in pandas")] = "dict",
        columns: Annotated[
            str | None, QueryParameter(max_length=4096, description="x,y or a:b or ^y")
        ] = None,
        where: Annotated[
            list[str] | None,
            QueryParameter(description="COLUMN__OP=VALUE, such as x__gt=3; repeat it for several"),
        ] = None,
        skip: Annotated[int, QueryParameter(ge=0, le=(1 << 62))] = 0,
        limit: Annotated[int | None, QueryParameter(ge=0, le=(1 << 62))] = None,
    ) -> Response[bytes] | Response[wire.DatasetView]:
        """Return columns and dtypes, or rows: of these columns, that meet all conditions."""
        place = place_of(reader, bucket)
        name, action = split_key(key, (ROWS,))
        if not action:
            return Response(_view(await house.data.datasets.get(place, name)))
        reference = name if columns is None else f"{split_projection(name)[0]}[{columns}]"
        query = Query(orient, skip, limit, [_condition(text) for text in where or ()])
        return written(await house.data.datasets.read(place, reference, query, {"name": name}))

    @put("/{key:path}", summary="Write a table", request_max_body_size=NO_LIMIT)
    async def write(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        key: Key,
        bucket: Bucket = "",
        append: Annotated[
            bool | None, QueryParameter(description="false: in the place of what is there")
        ] = None,
        orient: Annotated[str | None, QueryParameter(max_length=40)] = None,
    ) -> wire.DatasetView:
        """Create a table, add rows to it, or with append=false replace it.

        The body: data in an orient of pandas, and optionally dtypes, orient, index and append;
        or kind python.data and as data any JSON value, which is added as a document.
        """
        place = place_of(writer, bucket)
        body = await request.body()
        name = key.removeprefix("/")
        return _view(
            await house.data.datasets.write(place, name, body, append=append, orient=orient)
        )

    @delete("/{key:path}", summary="Delete a table")
    async def remove(self, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = "") -> None:
        """Forget a table."""
        await house.data.datasets.delete(place_of(writer, bucket), key.removeprefix("/"))


def _condition(text: str) -> tuple[str, str, str]:
    left, equals, value = text.partition("=")
    if not equals:
        raise InvalidInputError(f"{text[:80]!r} is not COLUMN__OP=VALUE", "where")
    column, separator, op = left.rpartition("__")
    return (column, op, value) if separator and column else (left, "eq", value)


def _view(stored: Stored) -> wire.DatasetView:
    manifest = stored.manifest
    if "parts" not in manifest:
        raise NotFoundError(f"{stored.name!r} is no table")
    return wire.DatasetView(
        stored.name,
        stored.bucket,
        stored.format,
        manifest["rows"],
        sum(size for _, _, size in manifest["parts"]),
        [wire.ColumnView(*column[1:]) for column in manifest["columns"] if stored.format == TABLE],
        stored.version,
        moment(stored.created),
        moment(stored.modified),
    )
