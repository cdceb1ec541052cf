"""The routes of a job's page."""

import asyncio
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect

from gristmill.domain.errors import ConflictError
from gristmill.domain.identity import Identity
from gristmill.domain.state import JobState
from gristmill.services.house import House
from gristmill.web.job_page import JobFacts, job_content
from gristmill.web.layout import page, respond
from gristmill.web.output import STREAMS, Job, Look, Rank, Source, look_at_end
from gristmill.web.visit import TheHouse, TheVisitor

OfAttempt = Annotated[int | None, QueryParameter(ge=0, le=1 << 31)]


@get("/ui/jobs/{job:int}")
async def job_page(
    house: TheHouse, visitor: TheVisitor, job: Job, attempt: OfAttempt = None, rank: Rank = 0
) -> Response[str]:
    """Show a job. attempt, rank: whose output, by default the current one's."""
    listed = await house.listing.get(visitor.who, job)
    number = listed.row.head.attempt if attempt is None else attempt
    facts = JobFacts(
        listed,
        await house.listing.attempts(job),
        await house.agents.hostnames(),
        await house.listing.why(listed),
        await _panes(house, visitor.who, job, number, rank),
    )
    return respond(
        page(
            f"Job {job}",
            *job_content(facts, visitor),
            visitor=visitor,
            place="overview",
            events=f"/ui/events?job={job}",
            now=house.chance.now(),
        )
    )


async def _panes(
    house: House, who: Identity, job: int, attempt: int, rank: int
) -> list[tuple[Source, Look]]:
    sources = [Source(job, name, attempt, rank) for name in STREAMS]
    looks = await asyncio.gather(*(look_at_end(house, who, source) for source in sources))
    return list(zip(sources, looks, strict=True))


@post("/ui/jobs/{job:int}/cancel")
async def cancel(house: TheHouse, author: TheVisitor, job: Job) -> Response[Any]:
    """End the job, and show it."""
    changed = await house.control.cancel(author.who, [job])
    return _shown(job, changed.unchanged, "cancelled")


@post("/ui/jobs/{job:int}/retry")
async def retry(house: TheHouse, author: TheVisitor, job: Job) -> Response[Any]:
    """Run the job again, and show it."""
    changed = await house.control.retry(author.who, [job])
    return _shown(job, changed.unchanged, "run again")


def _shown(job: int, unchanged: dict[int, JobState], deed: str) -> Response[Any]:
    if job in unchanged:
        raise ConflictError(f"job {job} is {unchanged[job].word} and cannot be {deed}")
    return Redirect(f"/ui/jobs/{job}", status_code=303)
