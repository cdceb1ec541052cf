"""What every handler is given about one request, and what lists and finds return."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.exchange import Request
from gristmill.dialects.job_runner.filters import Filters
from gristmill.dialects.job_runner.paging import Window
from gristmill.dialects.job_runner.reach import Reach
from gristmill.services.directory import Snapshot
from gristmill.services.schedules.staff import Contact

Document = dict[str, Any]


class Context(NamedTuple):
    """One caller's request. zone: of the moments in it. contacts: what workers said last."""

    request: Request
    snapshot: Snapshot
    reach: Reach
    zone: ZoneInfo
    contacts: Mapping[int, Contact] = {}

    @property
    def mount(self) -> str:
        """What URIs begin with."""
        return self.request.mount


class Page(NamedTuple):
    """A part of a list, and how long the whole is."""

    total: int
    documents: list[Document]


class Found(NamedTuple):
    """Objects by id. hidden: ids that exist outside the caller's scope."""

    documents: Mapping[int, Document]
    hidden: frozenset[int] = frozenset()


class Shelf(Protocol):
    """The objects of one resource."""

    async def page(self, context: Context, filters: Filters, window: Window) -> Page:
        """Return a part of the list. Raises RefusedError."""

    async def find(self, context: Context, ids: Sequence[int]) -> Found:
        """Return the objects with these ids."""


class Maker(Protocol):
    """A resource whose objects can be made."""

    async def create(self, context: Context, fields: Fields) -> int:
        """Make an object and return its id. Raises RefusedError, GristmillError."""


class Changer(Protocol):
    """A resource whose objects can be changed."""

    async def change(self, context: Context, number: int, fields: Fields) -> None:
        """Change an object that was found in scope. Raises RefusedError, GristmillError."""
