"""Is it alive, is it ready, and how is it doing: /healthz, /readyz, /metrics."""

from litestar import Response, get
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from gristmill.domain.state import JobState
from gristmill.native.access import Caller, TheHouse
from gristmill.services.readiness import check_ready

EXPOSITION = "text/plain; version=0.0.4"


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
    await check_ready(house.database, house.home)
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
