"""The native app: the routes of /v1, their errors, their documentation."""

from litestar import Litestar
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
from gristmill.native.jobs import JobRoutes
from gristmill.native.streams import EventRoutes, OutputRoutes
from gristmill.services.house import House

LARGEST_BODY = 1 << 40
"""The server's own limit comes first; see the setting max_body."""


def create_native_app(house: House) -> Litestar:
    """Return the ASGI app of the native interface."""

    async def provide_house() -> House:
        return house

    return Litestar(
        route_handlers=[
            JobRoutes,
            OutputRoutes,
            EventRoutes,
            AgentRoutes,
            ImageRoutes,
            TokenRoutes,
            DeclarationRoutes,
            health.healthz,
            health.readyz,
            health.metrics,
        ],
        dependencies={
            "house": Provide(provide_house),
            "reader": Provide(provide_reader),
            "writer": Provide(provide_writer),
            "admin": Provide(provide_admin),
        },
        exception_handlers=errors.HANDLERS,
        request_max_body_size=LARGEST_BODY,
        state=State({"house": house}),
        openapi_config=OpenAPIConfig(
            title="Gristmill",
            version=__version__,
            path="/docs",
            components=Components(
                security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}
            ),
            security=[{"token": []}],
        ),
        logging_config=None,
    )
