"""The native interface as functions that build calls; nothing here sends anything."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec

from gristmill.client.exchange import Call, Reply, Request, T
from gristmill.client.models import (
    AgentView,
    Applied,
    Changed,
    Counts,
    ImageView,
    Info,
    JobDetail,
    JobFilters,
    JobView,
    NewPoint,
    NewToken,
    ObjectPage,
    ObjectPlace,
    Output,
    Page,
    Series,
    StreamName,
    Submitted,
    TokenView,
    TokenWish,
    Usage,
    Where,
)
from gristmill.domain.job import JobSpec

LONGEST_POLL = 60.0
"""Seconds the server holds a wait request at most."""

SLOWEST_INTAKE = 1000
"""Jobs a second that even a slow server takes in; a large batch is given that much time."""

Params = tuple[tuple[str, str], ...]


def job_of(work: JobSpec | str) -> JobSpec:
    """Let a plain command stand for a job."""
    return JobSpec(command=work) if isinstance(work, str) else work


def submit(spec: JobSpec, key: str) -> Call[JobView]:
    """Add one job. key: sent again with the same one, nothing is added."""
    return Call(_post("/v1/jobs", spec, key), _json(JobView))


def submit_many(specs: Sequence[JobSpec], key: str) -> Call[Submitted]:
    """Add all of the jobs or none."""
    request = _post("/v1/jobs", specs, key)
    return Call(replace(request, wait=len(specs) / SLOWEST_INTAKE), _json(Submitted))


def get(job_id: int) -> Call[JobDetail]:
    """Ask for everything about a job."""
    return Call(_get(f"/v1/jobs/{job_id}"), _json(JobDetail))


def jobs(filters: JobFilters, cursor: str | None = None) -> Call[Page]:
    """One page of jobs."""
    params: list[tuple[str, str]] = []
    for name, value in filters.items():
        if isinstance(value, Mapping):
            params.extend((name, f"{key}={word}") for key, word in value.items())
        elif value not in (None, (), []):
            params.append((name, _text(value)))
    if cursor is not None:
        params.append(("cursor", cursor))
    return Call(_get("/v1/jobs", tuple(params)), _json(Page))


def counts(group: str | None = None, owner: str | None = None) -> Call[Counts]:
    """Ask how many jobs are in each state."""
    return Call(_get("/v1/jobs/counts", _params(group=group, owner=owner)), _json(Counts))


def wait(job_id: int, timeout: float) -> Call[JobView]:
    """Ask for the job once it has ended, or as it is after timeout (at most a minute)."""
    seconds = max(0.0, min(timeout, LONGEST_POLL))
    request = Request(
        method="GET",
        path=f"/v1/jobs/{job_id}/wait",
        params=(("timeout", f"{seconds:.3f}"),),
        repeatable=True,
        wait=seconds,
    )
    return Call(request, _json(JobView))


def cancel(job_id: int) -> Call[JobView]:
    """End a job."""
    return Call(_post(f"/v1/jobs/{job_id}/cancel"), _json(JobView))


def retry(job_id: int) -> Call[JobView]:
    """Make an ended job ready again."""
    return Call(_post(f"/v1/jobs/{job_id}/retry"), _json(JobView))


def change(
    verb: str,
    ids: Iterable[int] = (),
    group: str | None = None,
    states: Sequence[str] = (),
) -> Call[Changed]:
    """Cancel or retry many jobs at once: those with these ids, or of a group or in states."""
    body: dict[str, Any] = {"ids": list(ids)} if ids else {}
    if group is not None:
        body["group"] = group
    if states:
        body["states"] = list(states)
    return Call(_post(f"/v1/jobs/{verb}", body), _json(Changed))


def forget(job_id: int) -> Call[None]:
    """Remove an ended job from the records."""
    return Call(Request(method="DELETE", path=f"/v1/jobs/{job_id}"), _nothing)


def output_request(
    job_id: int, stream: StreamName, where: Where, *, follow: bool = False
) -> Request:
    """Ask for a stream's bytes. follow: the reply lasts until the job has ended."""
    params = _params(**where)
    if follow:
        params += (("follow", "true"),)
    return _get(f"/v1/jobs/{job_id}/{stream}", params)


def output(request: Request) -> Call[Output]:
    """Read the piece of a stream that output_request asked for."""
    return Call(request, _output)


def events_request(after: str, job_id: int | None, kind: str | None) -> Request:
    """Ask for the events after the given id, as they happen."""
    headers = {"Accept": "text/event-stream"}
    if after:
        headers["Last-Event-ID"] = after
    return Request(
        method="GET",
        path="/v1/events",
        params=_params(job=job_id, kind=kind),
        headers=headers,
        repeatable=True,
    )


def agents() -> Call[tuple[AgentView, ...]]:
    """Every agent the server knows."""
    return Call(_get("/v1/agents"), _listed("agents", AgentView))


def agent(agent_id: int) -> Call[AgentView]:
    """One agent."""
    return Call(_get(f"/v1/agents/{agent_id}"), _json(AgentView))


def steer_agent(agent_id: int, verb: str) -> Call[None]:
    """``drain`` an agent (no new work) or let it ``resume``."""
    return Call(_post(f"/v1/agents/{agent_id}/{verb}"), _nothing)


def forget_agent(agent_id: int) -> Call[None]:
    """Take an agent that is gone off the list."""
    return Call(Request(method="DELETE", path=f"/v1/agents/{agent_id}"), _nothing)


def metrics(
    job: int | None,
    source: str | None,
    *,
    name: str | None = None,
    since: str | None = None,
    summarize: int = 0,
    last: int = 0,
) -> Call[Series]:
    """Ask for the series of a job or a source. summarize: means, at most so many a series."""
    params = _params(
        job=job,
        source=source,
        name=name,
        since=since,
        summarize=summarize or None,
        last=last or None,
    )
    return Call(_get("/v1/metrics", params), _json(Series))


def record(points: Sequence[NewPoint]) -> Call[None]:
    """Add points, all or none; sent again after a lost reply, they are there twice."""
    return Call(_post("/v1/metrics", points), _nothing)


def metric_sources(after: str) -> Call[tuple[str, ...]]:
    """Ask for names of sources behind a name."""
    return Call(_get("/v1/metrics/sources", _params(after=after)), _listed("sources", str))


def images() -> Call[tuple[ImageView, ...]]:
    """Every image that was added."""
    return Call(_get("/v1/images"), _listed("images", ImageView))


def add_image(name: str, path: str, entrypoint: Sequence[str] | None) -> Call[ImageView]:
    """Add an image from a path on the server's machine."""
    body = {
        "name": name,
        "path": path,
        "entrypoint": list(entrypoint) if entrypoint is not None else None,
    }
    return Call(_post("/v1/images", body), _json(ImageView))


def remove_image(name: str) -> Call[None]:
    """Remove an image."""
    return Call(Request(method="DELETE", path=f"/v1/images/{_quoted(name)}"), _nothing)


def tokens() -> Call[tuple[TokenView, ...]]:
    """Every token, without secrets."""
    return Call(_get("/v1/tokens"), _listed("tokens", TokenView))


def create_token(user: str, wish: TokenWish) -> Call[NewToken]:
    """Make a token; what is left out takes the server's default."""
    body = {"user": user, **{name: value for name, value in wish.items() if value is not None}}
    return Call(_post("/v1/tokens", body), _json(NewToken))


def revoke_token(token_id: str) -> Call[None]:
    """End a token."""
    return Call(Request(method="DELETE", path=f"/v1/tokens/{_quoted(token_id)}"), _nothing)


def apply(declaration: bytes, *, prune: bool, dry_run: bool) -> Call[Applied]:
    """Declare objects in YAML."""
    request = Request(
        method="POST",
        path="/v1/apply",
        params=(("prune", _text(prune)), ("dry_run", _text(dry_run))),
        headers={"Content-Type": "application/yaml"},
        body=declaration,
        repeatable=True,
    )
    return Call(request, _json(Applied))


def export() -> Call[str]:
    """Ask for the declared objects as YAML, secrets left out."""
    return Call(_get("/v1/export"), lambda reply: reply.body.decode())


def objects(prefix: str, group: str | None, after: str | None) -> Call[ObjectPage]:
    """One page of objects."""
    return Call(
        _get("/v1/objects", _params(prefix=prefix or None, group=group, after=after)),
        _json(ObjectPage),
    )


def object_upload(
    name: str, group: str | None, sha256: str | None, size: int | None
) -> Call[ObjectPlace]:
    """Ask where to put an object's bytes."""
    body = {"name": name, "group": group, "sha256": sha256, "size": size}
    return Call(_post("/v1/objects", body), _json(ObjectPlace))


def object_download(name: str, group: str | None) -> Call[ObjectPlace]:
    """Ask where an object's bytes are."""
    return Call(_get(f"/v1/objects/{quote(name)}", _params(group=group)), _json(ObjectPlace))


def remove_object(name: str, group: str | None) -> Call[None]:
    """Remove an object."""
    path = f"/v1/objects/{quote(name)}"
    return Call(Request(method="DELETE", path=path, params=_params(group=group)), _nothing)


def usage(start: str | None, end: str | None) -> Call[Usage]:
    """Ask what was used by jobs submitted on these days."""
    return Call(_get("/v1/usage", _params(start=start, end=end)), _json(Usage))


def approve_login(code: str) -> Call[None]:
    """Let the terminal that shows the code log in as the caller."""
    return Call(_post(f"/v1/logins/{quote(code, safe='')}/approve"), _nothing)


def info() -> Call[Info]:
    """Ask who the server is and who we are to it."""
    return Call(_get("/v1/info"), _json(Info))


def send(
    method: str,
    path: str,
    params: Params,
    body: bytes | None,
    media_type: str,
    wait: float,
) -> Call[bytes]:
    """Send bytes to any path, and take bytes."""
    request = Request(
        method=method,
        path=quote(path, safe="/:@"),
        params=params,
        headers={"Content-Type": media_type} if body is not None else {},
        body=body,
        repeatable=method in {"GET", "DELETE"},
        wait=wait,
    )
    return Call(request, lambda reply: reply.body)


def _get(path: str, params: Params = ()) -> Request:
    return Request(method="GET", path=path, params=params, repeatable=True)


def _post(path: str, body: object = None, key: str | None = None) -> Request:
    headers: dict[str, str] = {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    content = None if body is None else msgspec.json.encode(body)
    return Request(
        method="POST", path=path, headers=headers, body=content, repeatable=key is not None
    )


def _params(**values: object) -> Params:
    return tuple((name, _text(value)) for name, value in values.items() if value is not None)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(word) for word in value)
    return str(value)


def _quoted(name: str) -> str:
    return quote(name, safe="/:@")


def _json(kind: type[T]) -> Callable[[Reply], T]:
    decoder = msgspec.json.Decoder(kind)
    return lambda reply: decoder.decode(reply.body)


def _listed(name: str, kind: type[T]) -> Callable[[Reply], tuple[T, ...]]:
    decoder = msgspec.json.Decoder(dict[str, tuple[kind, ...]])  # type: ignore[valid-type]
    return lambda reply: decoder.decode(reply.body)[name]


def _nothing(_reply: Reply) -> None:
    return None


def _output(reply: Reply) -> Output:
    return Output(
        data=reply.body,
        next_offset=int(reply.headers["Gristmill-Next-Offset"]),
        ended=reply.headers["Gristmill-Ended"] == "true",
    )
