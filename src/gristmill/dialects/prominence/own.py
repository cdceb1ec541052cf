"""Finding the job a request is about, among the caller's own."""

from gristmill.dialects.prominence.errors import RefusedError, bad
from gristmill.dialects.prominence.exchange import whole
from gristmill.dialects.prominence.states import never_submitted
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import NotFoundError
from gristmill.domain.identity import Identity
from gristmill.services.house import House
from gristmill.services.queue.views import Listed

NO_JOB = "Job does not exist"
NOT_YOURS = "Not authorized to access this job"
LARGEST_ID = (1 << 63) - 1


async def find_own(house: House, who: Identity, job: int) -> Listed | None:
    """Return the caller's job if it came in through this interface."""
    if not 0 < job <= LARGEST_ID:
        return None
    try:
        found = await house.listing.get(who, job)
    except NotFoundError:
        return None
    known = found.row.head.dialect == Dialect.PROMINENCE and not never_submitted(found.row.head)
    return found if known else None


async def get_own(house: House, who: Identity, part: str) -> Listed:
    """Return the caller's job; part: its id in the path. Raises RefusedError."""
    job = whole(part, "id")
    found = await find_own(house, who, job)
    if found is not None:
        return found
    if 0 < job <= LARGEST_ID and await house.listing.exists(job, Dialect.PROMINENCE):
        raise RefusedError(403, NOT_YOURS)
    raise bad(NO_JOB)
