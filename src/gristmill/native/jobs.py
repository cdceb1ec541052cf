"""/v1/jobs: submit, look, wait, cancel, retry, forget."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.params import Parameter

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec
from gristmill.native import translate, wire
from gristmill.native.documented import JOB_OR_JOBS
from gristmill.native.errors import decode_body
from gristmill.services.house import House
from gristmill.services.queue.control import Changed
from gristmill.services.queue.listing import MOST_A_PAGE, JobFilter, Listed
from gristmill.services.queue.submit import Submission

LONGEST_KEY = 255
DEFAULT_PAGE = 100

_decode_spec = msgspec.json.Decoder(JobSpec).decode
_decode_specs = msgspec.json.Decoder(list[JobSpec]).decode
_encode = msgspec.json.Encoder().encode

JobNumber = Annotated[int, Parameter(ge=1, le=(1 << 63) - 1, description="the job's id")]
AnyRequest = Request[Any, Any, Any]


class JobRoutes(Controller):
    """Jobs of the caller; an administrator's reach is everybody's."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(operation_class=JOB_OR_JOBS, summary="Submit one job or many")
    async def submit(
        self,
        request: AnyRequest,
        house: House,
        writer: Identity,
        idempotency_key: Annotated[
            str | None, Parameter(header="Idempotency-Key", max_length=LONGEST_KEY, min_length=1)
        ] = None,
    ) -> Response[bytes]:
        """Add a job (an object) or many (an array), all or none; 201 once they are on disk."""
        body = await request.body()
        many = body.lstrip()[:1] == b"["
        specs = decode_body(body, _decode_specs if many else _decode_spec)
        submission = Submission(
            specs if many else [specs], writer.user, idempotency_key=idempotency_key
        )
        result = await house.submitter.submit(submission)
        if many:
            return _json(201, wire.SubmittedMany(result.ids, result.added))
        listed = await house.listing.get(writer, result.ids[0])
        return _json(201, translate.job_view(listed, await house.agents.hostnames()))

    @get(summary="List jobs")
    async def list_jobs(
        self,
        house: House,
        reader: Identity,
        states: Annotated[list[str] | None, Parameter(query="state")] = None,
        group: str | None = None,
        owner: str | None = None,
        name: str | None = None,
        key: str | None = None,
        label: list[str] | None = None,
        dialect: str | None = None,
        limit: Annotated[int, Parameter(ge=1, le=MOST_A_PAGE)] = DEFAULT_PAGE,
        cursor: str | None = None,
        order: str = "newest",
    ) -> wire.JobPage:
        """Return a page of jobs by id; repeat label to ask for several."""
        if order not in {"newest", "oldest"}:
            raise InvalidInputError(f"{order!r} is neither newest nor oldest", "order")
        wanted = JobFilter(
            translate.parse_states(states or ()),
            group,
            owner,
            name,
            key,
            translate.parse_labels(label or ()),
            translate.parse_dialect(dialect),
        )
        page = await house.listing.page(
            reader, wanted, limit=limit, cursor=_cursor(cursor), newest=order == "newest"
        )
        hosts = await house.agents.hostnames()
        return wire.JobPage(
            [translate.job_view(listed, hosts) for listed in page.jobs],
            None if page.cursor is None else str(page.cursor),
        )

    @get("/counts", summary="Count jobs by state")
    async def counts(
        self, house: House, reader: Identity, group: str | None = None, owner: str | None = None
    ) -> wire.Counts:
        """Return counts from counters, however many jobs there are."""
        counts = await house.listing.counts(reader, group, owner)
        return wire.Counts({state.word: n for state, n in counts.items()}, sum(counts.values()))

    @get("/{job:int}", summary="One job with all that is known of it")
    async def detail(self, house: House, reader: Identity, job: JobNumber) -> wire.JobDetail:
        """Return the job, its spec, its attempts, and why it is in its state."""
        return await _detail(house, reader, job)

    @get("/{job:int}/wait", summary="Wait for a job to end")
    async def wait(
        self,
        house: House,
        reader: Identity,
        job: JobNumber,
        timeout: Annotated[float, Parameter(ge=0, le=60)] = 30.0,  # noqa: ASYNC109 - a wire name
    ) -> wire.JobView:
        """Return as soon as the job has ended, or after timeout seconds."""
        listed = await house.waits.until_ended(reader, job, timeout)
        return await _view(house, listed)

    @post("/{job:int}/cancel", status_code=200, summary="Cancel a job")
    async def cancel(self, house: House, writer: Identity, job: JobNumber) -> wire.JobView:
        """End the job; 409 when it has ended already."""
        changed = await house.control.cancel(writer, [job])
        _expect(changed, job, "cancelled")
        return await _view(house, await house.listing.get(writer, job))

    @post("/{job:int}/retry", status_code=200, summary="Run an ended job again")
    async def retry(self, house: House, writer: Identity, job: JobNumber) -> wire.JobView:
        """Put the job back with a fresh retry budget; 409 while it is active."""
        changed = await house.control.retry(writer, [job])
        _expect(changed, job, "retried")
        return await _view(house, await house.listing.get(writer, job))

    @post("/cancel", status_code=200, summary="Cancel many jobs")
    async def cancel_many(
        self, house: House, writer: Identity, data: wire.JobChoice
    ) -> wire.ChangedJobs:
        """End jobs chosen by id, or by group and states."""
        ids = await _chosen(house, writer, data)
        return _changed(await house.control.cancel(writer, ids))

    @post("/retry", status_code=200, summary="Run many ended jobs again")
    async def retry_many(
        self, house: House, writer: Identity, data: wire.JobChoice
    ) -> wire.ChangedJobs:
        """Put jobs back, chosen by id, or by group and states."""
        ids = await _chosen(house, writer, data)
        return _changed(await house.control.retry(writer, ids))

    @delete("/{job:int}", summary="Forget an ended job")
    async def forget(self, house: House, writer: Identity, job: JobNumber) -> None:
        """Delete the job with its history and output; 409 while it is active."""
        await house.control.forget(writer, job)


def _json(status: int, value: object) -> Response[bytes]:
    return Response(_encode(value), status_code=status, media_type="application/json")


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidInputError(f"{text[:40]!r} is not a cursor from an earlier page", "cursor")
    return min(int(text), (1 << 63) - 1)


async def _detail(house: House, who: Identity, job: int) -> wire.JobDetail:
    listed = await house.listing.get(who, job)
    return translate.job_detail(
        listed,
        await house.listing.attempts(job),
        await house.listing.output_sizes(job),
        await house.agents.hostnames(),
        await house.listing.why(listed),
    )


async def _view(house: House, listed: Listed) -> wire.JobView:
    return translate.job_view(listed, await house.agents.hostnames())


def _expect(changed: Changed, job: int, deed: str) -> None:
    if job in changed.unchanged:
        raise ConflictError(f"job {job} is {changed.unchanged[job].word} and cannot be {deed}")


def _changed(changed: Changed) -> wire.ChangedJobs:
    return wire.ChangedJobs(
        changed.ids,
        [wire.UnchangedJob(job, state.word) for job, state in changed.unchanged.items()],
    )


async def _chosen(house: House, who: Identity, choice: wire.JobChoice) -> list[int]:
    if (choice.ids is None) == (choice.group is None):
        raise InvalidInputError("give either ids, or a group", "ids")
    if choice.ids is not None:
        return list(dict.fromkeys(choice.ids))
    states = translate.parse_states(choice.states or ())
    wanted = JobFilter(states=states, group=choice.group)
    ids: list[int] = []
    cursor: int | None = None
    while True:
        page = await house.listing.page(who, wanted, limit=MOST_A_PAGE, cursor=cursor, newest=False)
        ids += [listed.row.head.id for listed in page.jobs]
        cursor = page.cursor
        if cursor is None:
            return ids
