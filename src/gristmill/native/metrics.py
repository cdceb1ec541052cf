"""/v1/metrics: points in, series and summaries out, live or for Prometheus to scrape."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import QueryParameter
from litestar.response import Stream

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.metrics import NewPoint, Point, source_of_job
from gristmill.native import metric_wire as wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_json
from gristmill.native.documented import POINTS_BODY
from gristmill.native.parameters import LARGEST, AnyRequest
from gristmill.native.streams import KEEP_ALIVE, while_welcome
from gristmill.services.metrics.reader import Wanted

MOST_POINTS = 1_000_000
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

_encode = msgspec.json.Encoder().encode
_MICRO = 1_000_000

Job = Annotated[
    int | None, QueryParameter(ge=1, le=LARGEST, description="the job whose metrics are meant")
]
Owner = Annotated[
    str | None, QueryParameter(max_length=512, description="or the source of this name")
]


class MetricRoutes(Controller):
    """Measurements that jobs post about themselves, and those taken of them."""

    path = "/v1/metrics"
    tags = ("metrics",)

    @post(summary="Record points", operation_class=POINTS_BODY, request_max_body_size=64 << 20)
    async def record(
        self, request: AnyRequest, house: TheHouse, writer: Caller
    ) -> Response[wire.Recorded]:
        """Add one point (an object) or many (an array), all or none; 201 once on disk."""
        sent = await read_json(request, wire.PointBody | list[wire.PointBody])  # type: ignore[arg-type]
        bodies: list[wire.PointBody] = sent if isinstance(sent, list) else [sent]
        if len(bodies) > MOST_POINTS:
            raise InvalidInputError(f"at most {MOST_POINTS} points at a time", "body")
        now = house.chance.now()
        points = [_point(body, now, f"[{number}].") for number, body in enumerate(bodies)]
        await house.metrics.recorder.record(writer, points)
        return Response(wire.Recorded(len(points)))

    @get(summary="Read series")
    async def read(
        self,
        house: TheHouse,
        reader: Caller,
        job: Job = None,
        source: Owner = None,
        name: Annotated[str | None, QueryParameter(max_length=1024)] = None,
        since: Annotated[
            datetime | None, QueryParameter(description="only points later than this")
        ] = None,
        summarize: Annotated[
            int, QueryParameter(ge=0, le=100_000, description="means, at most so many a series")
        ] = 0,
        last: Annotated[
            int, QueryParameter(ge=0, le=LARGEST, description="the last so many a series")
        ] = 0,
    ) -> Response[wire.SeriesView]:
        """Return points by series, oldest first; a long reply is written as it is read."""
        chosen = _source(job, source)
        await house.metrics.reader.find(reader, chosen)
        wanted = Wanted(None if since is None else _micros(since), name, summarize, last)
        batches = house.metrics.reader.stream(reader, chosen, wanted)
        return Stream(  # type: ignore[return-value]
            _write_series(chosen, batches), media_type="application/json"
        )

    @delete(summary="Delete the points of a source")
    async def remove(
        self, house: TheHouse, writer: Caller, job: Job = None, source: Owner = None
    ) -> None:
        """Remove all points of a job or a source."""
        await house.metrics.delete(writer, _source(job, source))

    @get("/sources", summary="List sources")
    async def sources(
        self,
        house: TheHouse,
        reader: Caller,
        after: Annotated[str, QueryParameter(max_length=512)] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 1000,
    ) -> Response[wire.SourcesView]:
        """Return the caller's sources by name, those behind a name."""
        return Response(
            wire.SourcesView(await house.metrics.sources(reader, after=after, limit=limit))
        )

    @get("/names", summary="List the series of a source")
    async def names(
        self, house: TheHouse, reader: Caller, job: Job = None, source: Owner = None
    ) -> Response[wire.NamesView]:
        """Return the names of the series of a job or a source."""
        chosen = _source(job, source)
        return Response(wire.NamesView(chosen, await house.metrics.reader.names(reader, chosen)))

    @get("/stream", summary="Follow points", media_type="text/event-stream")
    async def stream(
        self,
        request: AnyRequest,
        house: TheHouse,
        reader: Caller,
        job: Job = None,
        source: Owner = None,
    ) -> Response[bytes]:
        """Stream points as they are recorded, from now on, as server-sent events."""
        chosen = _source(job, source)
        await house.metrics.reader.find(reader, chosen)
        points = house.metrics.feed.watch(reader, chosen, KEEP_ALIVE)
        return Stream(  # type: ignore[return-value]
            _write_events(while_welcome(request, points)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )

    @get("/prometheus", summary="Latest values, for Prometheus", media_type=PROMETHEUS)
    async def prometheus(
        self, house: TheHouse, reader: Caller, job: Job = None, source: Owner = None
    ) -> Response[str]:
        """Return the last value of each numeric series of a job or a source."""
        chosen = _source(job, source)
        latest = await house.metrics.reader.latest(reader, chosen)
        return Response(_exposition(chosen, latest), media_type=PROMETHEUS)


def _source(job: int | None, source: str | None) -> str:
    if (job is None) == (source is None):
        raise InvalidInputError("give either job or source", "job")
    if job is not None:
        return source_of_job(job)
    assert source is not None
    return source


def _point(body: wire.PointBody, now: float, field: str) -> NewPoint:
    if (body.job is None) == (body.source is None):
        raise InvalidInputError("give either job or source", f"{field}job")
    source = body.source if body.job is None else source_of_job(body.job)
    assert source is not None
    value = body.value if isinstance(body.value, str) else repr(body.value)
    at = _moment(body.at, now, f"{field}at")
    return NewPoint(source, body.name, Point(at, value, body.metadata, body.cumulative))


def _moment(at: datetime | float | None, now: float, field: str) -> int:
    if at is None:
        return int(now * _MICRO)
    if isinstance(at, datetime):
        return _micros(at)
    if not abs(at) < 1e12:
        raise InvalidInputError(f"must be seconds since 1970, not {at!r}", field)
    return round(at * _MICRO)


def _micros(at: datetime) -> int:
    """Return microseconds since 1970; a time without a zone is UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _MICRO + since.microseconds


def _view(point: Point) -> wire.PointView:
    try:
        at = datetime.fromtimestamp(point.at / _MICRO, UTC)
    except (OverflowError, ValueError, OSError):
        at = datetime.max.replace(tzinfo=UTC) if point.at > 0 else datetime.min.replace(tzinfo=UTC)
    return wire.PointView(at, point.value, point.metadata, point.cumulative)


async def _write_series(source: str, batches: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    yield b'{"source":%b,"series":{' % _encode(source)
    current: str | None = None
    async for name, points in batches:
        views = b",".join(_encode(_view(point)) for point in points)
        if name == current:
            yield b"," + views
        else:
            opening = b"" if current is None else b"],"
            yield opening + _encode(name) + b":[" + views
            current = name
    yield b"}}" if current is None else b"]}}"


async def _write_events(batches: AsyncIterator[Sequence[NewPoint]]) -> AsyncGenerator[bytes, None]:
    yield b": hello\n\n"
    async for points in batches:
        if not points:
            yield b": still here\n\n"
        for new in points:
            data = {"name": new.name, **msgspec.to_builtins(_view(new.point))}
            yield b"event: point\ndata: %b\n\n" % _encode(data)


def _exposition(source: str, latest: dict[str, Point]) -> str:
    lines = ["# TYPE gristmill_metric gauge"]
    for name, point in latest.items():
        try:
            value = float(point.value)
        except ValueError:
            continue
        labels = f'source="{_escape(source)}",name="{_escape(name)}"'
        lines.append(f"gristmill_metric{{{labels}}} {value!r} {point.at // 1000}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
