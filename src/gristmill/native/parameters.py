"""Parameters that several routes of /v1 take, with what their documentation says of them."""

import math
from typing import Annotated, Any, Literal

from litestar import Request
from litestar.params import FromQuery, HeaderParameter, QueryParameter

from gristmill.domain.errors import InvalidInputError
from gristmill.services.queue.views import MOST_A_PAGE

DEFAULT_PAGE = 100
LARGEST = (1 << 63) - 1
LONGEST_WAIT = 60
"""Seconds one request waits for an end at most."""

AnyRequest = Request[Any, Any, Any]
QueryText = Annotated[str | None, QueryParameter(max_length=512)]
States = Annotated[
    list[str] | None,
    QueryParameter(name="state", description="states, repeated or separated by commas"),
]
Ids = Annotated[
    list[str] | None, QueryParameter(description="ids, repeated or separated by commas")
]
Labels = Annotated[
    list[str] | None, QueryParameter(description="KEY=VALUE; repeat it to ask for several")
]
PageSize = Annotated[int, QueryParameter(ge=1, le=MOST_A_PAGE)]
Cursor = Annotated[str | None, QueryParameter(description="next of the page before")]
Order = FromQuery[Literal["newest", "oldest"]]
WaitSeconds = Annotated[float, QueryParameter(ge=0, le=LONGEST_WAIT)]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=r"^[ -~]{1,255}$",
        description="sent again with the same key, nothing is added, and the first ids come back",
    ),
]


def check_wait(timeout: float) -> None:
    """Raise InvalidInputError for what is no number of seconds, though it is a float."""
    if math.isnan(timeout):
        raise InvalidInputError("is not a number of seconds", "timeout")
