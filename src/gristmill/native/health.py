"""Is it alive, is it ready, and how is it doing: /healthz, /readyz, /metrics."""

import asyncio
import os

from litestar import Response, get
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from gristmill.domain.errors import UnavailableError
from gristmill.domain.state import JobState
from gristmill.native.access import Caller, TheHouse

EXPOSITION = "text/plain; version=0.0.4"
READY_LIMIT = 5.0
"""Seconds the database has to answer."""

LEAST_ROOM = 1 << 20
"""Bytes free below which the home counts as full; the smallest writes may fit even then."""


@get("/healthz", tags=["health"], summary="Whether the process lives")
async def healthz() -> dict[str, str]:
    """Answer as long as the event loop turns."""
    return {"status": "ok"}


@get(
    "/readyz",
    tags=["health"],
    summary="Whether work can be taken",
)
async def readyz(house: TheHouse) -> dict[str, str]:
    """Answer 200 when a durable write goes through and the disk has room, else 503."""
    try:
        async with asyncio.timeout(READY_LIMIT):
            await house.database.write(lambda tx: tx.run("prove_writable"))
    except TimeoutError as error:
        raise UnavailableError("the database does not answer") from error
    room = os.statvfs(house.home)
    if room.f_bavail * room.f_frsize < LEAST_ROOM:
        raise UnavailableError("the disk is full")
    return {"status": "ready"}


@get(
    "/metrics",
    tags=["health"],
    summary="Prometheus metrics",
    media_type="text/plain",
)
async def metrics(house: TheHouse, reader: Caller) -> Response[bytes]:
    """Return gauges in Prometheus' text format; counts come from counters."""
    counts = await house.listing.counts(reader, None, None)
    agents = await house.agents.overview()
    registry = CollectorRegistry()
    jobs = Gauge("gristmill_jobs", "Jobs by state", ["state"], registry=registry)
    for state in JobState:
        jobs.labels(state.word).set(counts[state])
    online = Gauge("gristmill_agents_connected", "Agents connected now", registry=registry)
    online.set(sum(view.live is not None for view in agents))
    last = Gauge("gristmill_last_event_id", "Events recorded so far", registry=registry)
    last.set(await house.events.last())
    uptime = Gauge("gristmill_uptime_seconds", "Seconds since the start", registry=registry)
    uptime.set(house.chance.monotonic() - house.started)
    return Response(generate_latest(registry), media_type=EXPOSITION)
