"""/v1/jobs: submit, look, wait, cancel, retry, forget."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.params import PathParameter, QueryParameter

from gristmill.domain.errors import ConflictError, InvalidInputError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec
from gristmill.native import documented, translate, wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_jobs, read_json
from gristmill.native.parameters import (
    DEFAULT_PAGE,
    LARGEST,
    AnyRequest,
    Cursor,
    IdempotencyKey,
    Ids,
    Labels,
    Order,
    PageSize,
    QueryText,
    States,
    WaitSeconds,
    check_wait,
)
from gristmill.services.house import House
from gristmill.services.queue.control import Changed
from gristmill.services.queue.submit import Submission
from gristmill.services.queue.views import MOST_A_PAGE, JobFilter, Listed

NO_LIMIT = 1 << 40
"""Bytes of a body; the server's setting max_body comes first."""

JobNumber = Annotated[int, PathParameter(ge=1, le=LARGEST, description="the job's id")]


class JobRoutes(Controller):
    """Jobs of the caller; an administrator's reach is everybody's."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(
        operation_class=documented.JOB_OR_JOBS,
        summary="Submit one job or many",
        responses=documented.CONFLICT,
        request_max_body_size=NO_LIMIT,
    )
    async def submit(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[wire.JobView | wire.SubmittedMany]:
        """Add a job (an object) or many (an array), all or none; 201 once they are on disk."""
        sent = await read_jobs(request)
        many = not isinstance(sent, JobSpec)
        specs = [sent] if isinstance(sent, JobSpec) else sent
        result = await house.submitter.submit(
            Submission(
                specs,
                writer.user,
                idempotency_key=idempotency_key,
                admin=writer.admin,
                caller=writer if any(spec.notify or spec.facts for spec in specs) else None,
            )
        )
        if many:
            return Response(wire.SubmittedMany(result.ids, result.added))
        return Response(await _submitted(house, writer, result.ids))

    @get(summary="List jobs")
    async def list_jobs(
        self,
        house: TheHouse,
        reader: Caller,
        states: States = None,
        ids: Ids = None,
        group: QueryText = None,
        owner: QueryText = None,
        name: QueryText = None,
        key: QueryText = None,
        label: Labels = None,
        dialect: QueryText = None,
        workflow: Annotated[
            int | None, QueryParameter(ge=1, le=LARGEST, description="only jobs of this workflow")
        ] = None,
        limit: PageSize = DEFAULT_PAGE,
        cursor: Cursor = None,
        order: Order = "newest",
    ) -> wire.JobPage:
        """Return a page of the jobs that meet every condition, by id."""
        wanted = JobFilter(
            translate.parse_states(states or ()),
            group,
            owner,
            name,
            key,
            translate.parse_labels(label or ()),
            translate.parse_dialect(dialect),
            translate.parse_ids(ids) if ids is not None else None,
            workflow=workflow,
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
        self,
        house: TheHouse,
        reader: Caller,
        group: QueryText = None,
        owner: QueryText = None,
    ) -> wire.Counts:
        """Return counts from counters, however many jobs there are."""
        counts = await house.listing.counts(reader, group, owner)
        return wire.Counts({state.word: n for state, n in counts.items()}, sum(counts.values()))

    @get(
        "/{job:int}",
        summary="One job with all that is known of it",
    )
    async def detail(self, house: TheHouse, reader: Caller, job: JobNumber) -> wire.JobDetail:
        """Return the job, its spec, its attempts, and why it is in its state."""
        return await _detail(house, reader, job)

    @get("/{job:int}/wait", summary="Wait for a job to end")
    async def wait(
        self,
        house: TheHouse,
        reader: Caller,
        job: JobNumber,
        timeout: WaitSeconds = 30.0,  # noqa: ASYNC109 - a wire name
    ) -> wire.JobView:
        """Return as soon as the job has ended, or after timeout seconds."""
        check_wait(timeout)
        listed = await house.waits.until_ended(reader, job, timeout)
        return await _view(house, listed)

    @post(
        "/{job:int}/cancel",
        status_code=200,
        summary="Cancel a job",
        responses=documented.CONFLICT,
    )
    async def cancel(self, house: TheHouse, writer: Caller, job: JobNumber) -> wire.JobView:
        """End the job; 409 when it has ended already."""
        changed = await house.control.cancel(writer, [job])
        _expect(changed, job, "cancelled")
        return await _view(house, await house.listing.get(writer, job))

    @post(
        "/{job:int}/retry",
        status_code=200,
        summary="Run an ended job again",
        responses=documented.CONFLICT,
    )
    async def retry(self, house: TheHouse, writer: Caller, job: JobNumber) -> wire.JobView:
        """Put the job back with a fresh retry budget; 409 while it is active."""
        changed = await house.control.retry(writer, [job])
        _expect(changed, job, "retried")
        return await _view(house, await house.listing.get(writer, job))

    @post(
        "/cancel",
        status_code=200,
        operation_class=documented.CHOICE,
        summary="Cancel many jobs",
    )
    async def cancel_many(
        self, request: AnyRequest, house: TheHouse, writer: Caller
    ) -> wire.ChangedJobs:
        """End jobs chosen by id, or by group and states."""
        ids = await _chosen(house, writer, await read_json(request, wire.JobChoice))
        return _changed(await house.control.cancel(writer, ids))

    @post(
        "/retry",
        status_code=200,
        operation_class=documented.CHOICE,
        summary="Run many ended jobs again",
    )
    async def retry_many(
        self, request: AnyRequest, house: TheHouse, writer: Caller
    ) -> wire.ChangedJobs:
        """Put jobs back, chosen by id, or by group and states."""
        ids = await _chosen(house, writer, await read_json(request, wire.JobChoice))
        return _changed(await house.control.retry(writer, ids))

    @delete(
        "/{job:int}",
        summary="Forget an ended job",
        responses=documented.CONFLICT,
    )
    async def forget(self, house: TheHouse, writer: Caller, job: JobNumber) -> None:
        """Delete the job with its history and output; 409 while it is active."""
        await house.control.forget(writer, job)


async def _submitted(house: House, who: Identity, ids: list[int]) -> wire.JobView:
    """Return the one job; ids may be of an earlier request with the same Idempotency-Key."""
    if len(ids) != 1:
        raise ConflictError(f"this Idempotency-Key stands for an array of {len(ids)} jobs")
    try:
        return await _view(house, await house.listing.get(who, ids[0]))
    except NotFoundError as error:
        raise ConflictError(
            f"job {ids[0]} of this Idempotency-Key was forgotten: use another key"
        ) from error


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidInputError(f"{text[:40]!r} is not a cursor from an earlier page", "cursor")
    return min(int(text), LARGEST)


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
    if (choice.ids is None) == (choice.group is None and choice.states is None):
        raise InvalidInputError("give either ids, or a group, states or both", "ids")
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
