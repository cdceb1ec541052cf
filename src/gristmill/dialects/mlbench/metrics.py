"""``/api/metrics``: points of pods and runs in, series, summaries and archives out."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import msgspec

from gristmill.dialects.mlbench import dates
from gristmill.dialects.mlbench.bodies import parse_body
from gristmill.dialects.mlbench.errors import bad, refused
from gristmill.dialects.mlbench.exchange import JSON, ZIP, Exchange
from gristmill.dialects.mlbench.pods import PREFIX, source_of
from gristmill.dialects.mlbench.points import (
    Posted,
    read_plain,
    read_point,
    write_grouped,
    write_point,
)
from gristmill.dialects.mlbench.runs import Runs
from gristmill.dialects.mlbench.zips import Archive, file_name
from gristmill.domain.errors import NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import Point, source_of_job
from gristmill.services.house import House
from gristmill.services.metrics.reader import Wanted

MOST_POINTS = 100_000
LARGEST_SUMMARY = 100_000
POD_NOT_FOUND, RUN_NOT_FOUND = "Pod not found", "Run not found"

_encode = msgspec.json.Encoder().encode


class Metrics:
    """The endpoints of metrics."""

    def __init__(self, house: House, runs: Runs) -> None:
        self._house, self._runs = house, runs

    async def handle(self, exchange: Exchange, who: Identity, key: str) -> None:
        """Answer a request below ``/api/metrics``."""
        if exchange.method == "POST":
            exchange.check_format()
            await self._post(exchange, who)
        elif key:
            exchange.check_format(zips=True)
            await self._one(exchange, who, key)
        else:
            exchange.check_format()
            await self._all(exchange, who)

    async def _post(self, exchange: Exchange, who: Identity) -> None:
        kind, raw = await exchange.raw_body()
        now = self._house.chance.now()
        plain = read_plain(raw, now) if kind == JSON else None
        body = None if plain is not None else parse_body(kind, raw)
        bodies = body if isinstance(body, list) else [body]
        if len(bodies) > MOST_POINTS:
            raise bad(f"at most {MOST_POINTS} points at a time")
        posted = [read_point(one, now) for one in bodies] if plain is None else [plain]
        try:
            await self._record(who, posted)
        except NotFoundError:
            await self._record(who, posted, await self._unknown_runs(who, posted))
        replies = [one.reply() for one in posted]
        await exchange.reply(replies if isinstance(body, list) else replies[0], 201)

    async def _record(
        self, who: Identity, posted: Sequence[Posted], unknown: Collection[int] = ()
    ) -> None:
        placed = [new for one in posted for new in one.placed(unknown)]
        await self._house.metrics.recorder.record(who, placed)

    async def _unknown_runs(self, who: Identity, posted: Sequence[Posted]) -> set[int]:
        """Return the runs that are not there: points of theirs stay with their pods.

        Raises RefusedError for a point that has no pod.
        """
        unknown = set()
        for run in {one.run for one in posted if one.run is not None}:
            try:
                await self._house.listing.get(who, run)
            except NotFoundError:
                unknown.add(run)
        if any(one.run in unknown and not one.pod for one in posted):
            raise refused(404, RUN_NOT_FOUND)
        return unknown

    async def _one(self, exchange: Exchange, who: Identity, key: str) -> None:
        wanted = _wanted(exchange)
        if exchange.query.get("metric_type", "pod") == "pod":
            await self._pod(exchange, who, key, wanted)
        else:
            await self._run(exchange, who, key, wanted)

    async def _pod(self, exchange: Exchange, who: Identity, pod: str, wanted: Wanted) -> None:
        series = await self._series_of_pod(who, pod, wanted)
        if not exchange.wants_zip():
            await exchange.reply(_shown(series))
            return
        archive = Archive()
        archive.add_series("result", series)
        await _send(exchange, archive, pod)

    async def _run(self, exchange: Exchange, who: Identity, key: str, wanted: Wanted) -> None:
        run = await self._runs.find(who, key)
        reader = self._house.metrics.reader
        series = await reader.read(who, source_of_job(run.id), wanted)
        if not exchange.wants_zip():
            await exchange.reply(_shown(series))
            return
        archive = Archive()
        archive.add_run(series)
        for pod in run.facts.pods:
            while_it_ran = wanted._replace(since=max(wanted.since or 0, _micros(run.created_at)))
            found = await self._series_of_pod(who, pod, while_it_ran, known=True)
            archive.add_series(pod, _until(found, run.ended_at))
        await _send(exchange, archive, run.facts.name)

    async def _series_of_pod(
        self, who: Identity, pod: str, wanted: Wanted, *, known: bool = False
    ) -> dict[str, list[Point]]:
        try:
            return await self._house.metrics.reader.read(who, source_of(pod), wanted)
        except NotFoundError as error:
            if known or self._runs.is_standing(pod):
                return {}
            raise refused(404, POD_NOT_FOUND) from error

    async def _all(self, exchange: Exchange, who: Identity) -> None:
        layout = exchange.query.get("layout", "")
        if layout not in {"", "flat", "grouped"}:
            raise bad(f"layout must be flat or grouped, not {layout[:40]!r}")
        wanted = _wanted(exchange)
        if layout == "grouped":
            await exchange.stream(self._write_grouped(who, wanted))
        else:
            await exchange.stream(self._write_pods(who, wanted))

    async def _sources(self, who: Identity, prefix: str) -> AsyncIterator[str]:
        after = prefix
        while True:
            names = await self._house.metrics.sources(who, after=after)
            for name in names:
                if not name.startswith(prefix):
                    return
                yield name
            if not names:
                return
            after = names[-1]

    async def _write_pods(
        self, who: Identity, wanted: Wanted, *, grouped: bool = False
    ) -> AsyncIterator[bytes]:
        opening = b"{"
        async for source in self._sources(who, PREFIX):
            pod = source.removeprefix(PREFIX)
            yield opening + _encode(pod) + b":"
            opening = b","
            async for chunk in self._write_series(who, source, wanted, grouped=grouped):
                yield chunk
        yield b"{}" if opening == b"{" else b"}"

    async def _write_series(
        self, who: Identity, source: str, wanted: Wanted, *, grouped: bool
    ) -> AsyncIterator[bytes]:
        current: str | None = None
        async for name, points in self._house.metrics.reader.stream(who, source, wanted):
            shown = (write_grouped(name, p) if grouped else write_point(p) for p in points)
            text = b",".join(map(_encode, shown))
            if name == current:
                yield b"," + text
            else:
                yield (b"{" if current is None else b"],") + _encode(name) + b":[" + text
            current = name
        yield b"{}" if current is None else b"]}"

    async def _write_grouped(self, who: Identity, wanted: Wanted) -> AsyncIterator[bytes]:
        yield b'{"pod_metrics":'
        async for chunk in self._write_pods(who, wanted, grouped=True):
            yield chunk
        yield b',"run_metrics":'
        opening = b"{"
        async for run in self._runs.all(who):
            yield opening + _encode(run.facts.name) + b":"
            opening = b","
            source = source_of_job(run.id)
            async for chunk in self._write_series(who, source, wanted, grouped=True):
                yield chunk
        yield b"{}}" if opening == b"{" else b"}}"


def _wanted(exchange: Exchange) -> Wanted:
    since = exchange.query.get("since")
    after = None
    if since:
        # A plus sign of a zone arrives as a blank unless the client quoted it.
        after = dates.read(since.replace(" +", "+"))
        if after is None and " " in since:
            after = dates.read("+".join(since.rsplit(" ", 1)))
        if after is None:
            raise bad(
                f"since must be a time such as 2018-08-03T09:21:44.331823Z, not {since[:60]!r}"
            )
    summarize = exchange.number("summarize")
    if summarize > LARGEST_SUMMARY:
        raise bad(f"summarize must be at most {LARGEST_SUMMARY}")
    name = exchange.query.get("metric_filter") or None
    return Wanted(after, name, summarize, exchange.number("last_n"))


def _shown(series: dict[str, list[Point]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [write_point(point) for point in points] for name, points in series.items()}


def _until(series: dict[str, list[Point]], ended_at: float | None) -> dict[str, list[Point]]:
    if ended_at is None:
        return series
    last = _micros(ended_at)
    cut = {name: [p for p in points if p.at <= last] for name, points in series.items()}
    return {name: points for name, points in cut.items() if points}


def _micros(at: float) -> int:
    return round(at * dates.MICRO)


async def _send(exchange: Exchange, archive: Archive, of: str) -> None:
    disposition = f"attachment; filename={file_name(of)}".encode()
    await exchange.send_bytes(archive.close(), 200, (b"content-disposition", disposition), kind=ZIP)
