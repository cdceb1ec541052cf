"""The native app: the routes of /v1, their errors, their documentation."""

from functools import cache
from typing import Any

from litestar import Litestar, Response, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from gristmill import __version__
from gristmill.native import errors, health
from gristmill.native.access import provide_admin, provide_reader, provide_writer
from gristmill.native.administration import (
    AgentRoutes,
    DeclarationRoutes,
    ImageRoutes,
    TokenRoutes,
)
from gristmill.native.datasets import DatasetRoutes
from gristmill.native.inference import InferenceRoutes
from gristmill.native.inside import InsideRoutes
from gristmill.native.jobs import JobRoutes
from gristmill.native.metrics import MetricRoutes
from gristmill.native.models import ModelRoutes
from gristmill.native.notebooks import DataTaskRoutes, NotebookRoutes, ScriptRoutes
from gristmill.native.objects import KeyValueRoutes, LoginRoutes, ObjectRoutes, UsageRoutes
from gristmill.native.openapi import describe
from gristmill.native.schedules import ScheduleRoutes
from gristmill.native.streams import EventRoutes, OutputRoutes
from gristmill.native.workflows import WorkflowRoutes
from gristmill.services.house import House

LARGEST_BODY = 8 << 20
"""Bytes; jobs may be more, up to the server's setting max_body."""

ROUTES = (
    JobRoutes,
    InsideRoutes,
    WorkflowRoutes,
    OutputRoutes,
    EventRoutes,
    MetricRoutes,
    AgentRoutes,
    ImageRoutes,
    TokenRoutes,
    DeclarationRoutes,
    ObjectRoutes,
    KeyValueRoutes,
    UsageRoutes,
    LoginRoutes,
    ScheduleRoutes,
    DatasetRoutes,
    ModelRoutes,
    NotebookRoutes,
    ScriptRoutes,
    DataTaskRoutes,
    InferenceRoutes,
    health.healthz,
    health.readyz,
    health.metrics,
)
CALLERS = {
    "reader": Provide(provide_reader),
    "writer": Provide(provide_writer),
    "admin": Provide(provide_admin),
}


def create_native_app(house: House) -> Litestar:
    """Return the ASGI app of the native interface."""

    async def provide_house() -> House:
        return house

    return Litestar(
        route_handlers=[*ROUTES, openapi_json],
        dependencies={"house": Provide(provide_house), **CALLERS},
        exception_handlers=errors.HANDLERS,
        request_max_body_size=LARGEST_BODY,
        state=State({"house": house}),
        openapi_config=None,
        logging_config=None,
    )


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the native interface; not to be changed."""

    async def provide_house() -> House:
        raise AssertionError("an app that is only looked at serves nothing")

    app = Litestar(
        route_handlers=ROUTES,
        dependencies={"house": Provide(provide_house), **CALLERS},
        openapi_config=OpenAPIConfig(
            title="Gristmill",
            version=__version__,
            components=Components(
                security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}
            ),
            security=[{"token": []}],
        ),
        logging_config=None,
    )
    return describe(app)


@get("/v1/openapi.json", sync_to_thread=True)
def openapi_json() -> Response[dict[str, Any]]:
    """Return the OpenAPI document; anybody may read it."""
    return Response(openapi_document(), media_type="application/json")
