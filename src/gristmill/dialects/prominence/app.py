"""Putting the interface together."""

import msgspec

from gristmill.dialects.prominence.access import Access
from gristmill.dialects.prominence.accounting import AccountingRoom
from gristmill.dialects.prominence.data import Data
from gristmill.dialects.prominence.exchange import App
from gristmill.dialects.prominence.inside import Inside
from gristmill.dialects.prominence.jobs import JobRooms
from gristmill.dialects.prominence.kv import KeyValueRooms
from gristmill.dialects.prominence.login import LoginRooms
from gristmill.dialects.prominence.openapi import document_endpoint
from gristmill.dialects.prominence.output import Output
from gristmill.dialects.prominence.routes import Endpoint, OpenEndpoint, Routes
from gristmill.dialects.prominence.workers import WorkerRooms
from gristmill.dialects.prominence.workflow_rooms import WorkflowRooms
from gristmill.services.house import House


class ProminenceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may change. data, kv, exec, snapshots: whether these are offered."""

    data: bool = True
    kv: bool = True
    exec: bool = True
    snapshots: bool = True


def create_prominence_app(house: House, settings: ProminenceSettings) -> App:
    """Return an ASGI app for ``/api/v1/…``, ``/prominence/v1/…`` and ``/prominence/api/v1/…``."""
    access = Access(house.tokens.verify_bearer)
    inside = Inside(house, commands=settings.exec, snapshots=settings.snapshots)
    endpoints: list[Endpoint | OpenEndpoint] = [
        *JobRooms(house).endpoints(),
        *Output(house).endpoints(),
        *WorkflowRooms(house).endpoints(),
        *inside.endpoints(),
        *Data(house, enabled=settings.data).endpoints(),
        *KeyValueRooms(house, enabled=settings.kv).endpoints(),
        *AccountingRoom(house).endpoints(),
        *WorkerRooms(house).endpoints(),
        *LoginRooms(house, access).endpoints(),
    ]
    return Routes(access, [*endpoints, document_endpoint(endpoints)])
