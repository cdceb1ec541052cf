"""/v1/schedules as functions that build calls; nothing here sends anything."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from gristmill.client.calls import Params, _get, _json, _params, _post
from gristmill.client.exchange import Call, Reply, Request
from gristmill.client.models import Run, RunPage, Schedule, SchedulePage

A_PAGE = 100


def schedules(project: str | None, name: str | None, offset: int) -> Call[SchedulePage]:
    """One page of schedules."""
    params: Params = _params(project=project, name=name, offset=offset, limit=A_PAGE)
    return Call(_get("/v1/schedules", params), _json(SchedulePage))


def schedule(number: int) -> Call[Schedule]:
    """Ask for everything about a schedule."""
    return Call(_get(f"/v1/schedules/{number}"), _json(Schedule))


def create(fields: Mapping[str, Any]) -> Call[Schedule]:
    """Add a schedule."""
    return Call(_post("/v1/schedules", dict(fields)), _json(Schedule))


def change(number: int, fields: Mapping[str, Any]) -> Call[Schedule]:
    """Set what is given of a schedule."""
    request = Request(
        method="PATCH",
        path=f"/v1/schedules/{number}",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(dict(fields)),
        repeatable=True,
    )
    return Call(request, _json(Schedule))


def switch(number: int, verb: str) -> Call[Schedule]:
    """``pause`` or ``resume`` a schedule."""
    return Call(_post(f"/v1/schedules/{number}/{verb}"), _json(Schedule))


def run(number: int, *, chains: bool) -> Call[Run]:
    """Add a run by hand."""
    return Call(_post(f"/v1/schedules/{number}/run", {"chains": chains}), _json(Run))


def start(number: int, at: datetime | None) -> Call[Run]:
    """Add the first run by a schedule's rhythm."""
    return Call(_post(f"/v1/schedules/{number}/start", {"at": at}), _json(Run))


def next_times(number: int, count: int) -> Call[tuple[datetime, ...]]:
    """Ask when a schedule comes round next."""
    decode = msgspec.json.Decoder(dict[str, tuple[datetime, ...]]).decode
    request = _get(f"/v1/schedules/{number}/next", _params(count=count))
    return Call(request, lambda reply: decode(reply.body)["times"])


def runs(number: int, state: str | None, limit: int) -> Call[RunPage]:
    """Ask for runs of a schedule."""
    params = _params(state=state, limit=limit)
    return Call(_get(f"/v1/schedules/{number}/runs", params), _json(RunPage))


def run_log(number: int, run_id: int) -> Call[str]:
    """Ask what a run wrote."""
    return Call(_get(f"/v1/schedules/{number}/runs/{run_id}/log"), _text)


def kill(number: int, run_id: int) -> Call[int]:
    """Ask for the end of a run."""
    decode = msgspec.json.Decoder(dict[str, int]).decode
    request = _post(f"/v1/schedules/{number}/runs/{run_id}/kill")
    return Call(request, lambda reply: decode(reply.body)["kill_request"])


def backfill(
    number: int, first: datetime, last: datetime, *, chains: bool
) -> Call[tuple[int, ...]]:
    """Add a run for each time of a period."""
    body = {"from": first, "to": last, "chains": chains}
    decode = msgspec.json.Decoder(dict[str, tuple[int, ...]]).decode
    request = _post(f"/v1/schedules/{number}/backfill", body)
    return Call(request, lambda reply: decode(reply.body)["runs"])


def _text(reply: Reply) -> str:
    return reply.body.decode("utf-8", "replace")
