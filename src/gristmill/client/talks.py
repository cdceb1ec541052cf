"""Exchanges of more than one call: generators that yield calls and are sent the answers."""

from collections.abc import Callable, Generator

from gristmill.client import calls
from gristmill.client.errors import WaitTimeoutError
from gristmill.client.exchange import Call, Request
from gristmill.client.models import Counts, JobView, Output, StreamName, Where
from gristmill.domain.errors import NotFoundError

PIECE = 1 << 20
"""Bytes of output asked for at a time."""

SHORTEST_POLL = 0.05
LONGEST_POLL = 0.5


class Deadline:
    """The end of somebody's wait. timeout: seconds from now, None for never."""

    def __init__(self, timeout: float | None, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = None if timeout is None else monotonic() + timeout
        self._timeout = timeout

    def left(self) -> float:
        """Seconds that remain, never negative."""
        return float("inf") if self._end is None else max(0.0, self._end - self._monotonic())

    def check(self, what: str) -> None:
        """Raise WaitTimeoutError when nothing remains."""
        if self.left() <= 0:
            raise WaitTimeoutError(f"{what} not ended after {self._timeout:g} seconds")


def wait(job_id: int, deadline: Deadline) -> Generator[Call[JobView], JobView, JobView]:
    """Ask until the job has ended. Raises WaitTimeoutError."""
    while True:
        view = yield calls.wait(job_id, deadline.left())
        if view.ended:
            return view
        deadline.check(f"job {job_id} is {view.state}, it has")


class GroupWatch:
    """Polls a group, often while it changes and seldom while it does not."""

    def __init__(self, group: str, deadline: Deadline) -> None:
        self._group = group
        self._deadline = deadline
        self._last: Counts | None = None
        self._pause = SHORTEST_POLL
        self.call = calls.counts(group=group)

    def pause(self, counts: Counts) -> float | None:
        """Seconds until the next look, None when every job has ended.

        Raises NotFoundError for a group without jobs, and WaitTimeoutError.
        """
        if counts.total == 0:
            raise NotFoundError(f"no job is in group {self._group!r}")
        if counts.active == 0:
            return None
        self._deadline.check(f"{counts.active} jobs of group {self._group!r} have")
        changed = counts != self._last
        self._pause = SHORTEST_POLL if changed else min(self._pause * 1.5, LONGEST_POLL)
        self._last = counts
        return min(self._pause, self._deadline.left())


class OutputTail:
    """One stream of a job, read from an offset on; knows where it stands.

    A stream that broke is taken up where it stopped, so that no byte comes twice.
    """

    def __init__(self, job_id: int, stream: StreamName, where: Where) -> None:
        self._job_id = job_id
        self._stream: StreamName = stream
        self._where = where
        self.offset = where.get("offset", 0)

    def follow(self) -> Request:
        """Ask for the rest, as it is written."""
        place: Where = {**self._where, "offset": self.offset, "limit": None}
        return calls.output_request(self._job_id, self._stream, place, follow=True)

    def piece(self) -> Call[Output]:
        """Ask for the next piece of what is there now."""
        limit = self._where.get("limit") or PIECE
        place: Where = {**self._where, "offset": self.offset, "limit": limit}
        return calls.output(calls.output_request(self._job_id, self._stream, place))

    def took(self, data: bytes) -> None:
        """Move on by what has been read."""
        self.offset += len(data)
