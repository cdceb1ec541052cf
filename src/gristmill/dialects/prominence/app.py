"""Putting the interface together."""

import msgspec

from gristmill.dialects.prominence.access import Access
from gristmill.dialects.prominence.exchange import App
from gristmill.dialects.prominence.routes import Endpoint, OpenEndpoint, Routes
from gristmill.services.house import House


class ProminenceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may change. exec, snapshots: whether these are offered."""

    exec: bool = True
    snapshots: bool = True


def create_prominence_app(house: House, settings: ProminenceSettings) -> App:
    """Return an ASGI app for ``/api/v1/…``, ``/prominence/v1/…`` and ``/prominence/api/v1/…``."""
    access = Access(house.tokens.verify_bearer)
    endpoints: list[Endpoint | OpenEndpoint] = []
    return Routes(access, endpoints)
