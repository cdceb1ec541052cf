"""/v1/agents, images, tokens, declarations: what keeps the place running."""

import asyncio
from pathlib import Path
from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, FromQuery, PathParameter

from gristmill import __version__
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import DEFAULT_SCOPES
from gristmill.native import documented, translate, wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_json, read_yaml
from gristmill.native.parameters import LARGEST, AnyRequest
from gristmill.services.house import House
from gristmill.services.tokens import parse_expires

AgentNumber = Annotated[int, PathParameter(ge=1, le=LARGEST, description="the agent's id")]


class AgentRoutes(Controller):
    """Agents, connected or not."""

    path = "/v1/agents"
    tags = ("agents",)

    @get(summary="List agents")
    async def list_agents(self, house: TheHouse, reader: Caller) -> wire.AgentList:
        """Return every agent that ever registered."""
        del reader
        return wire.AgentList(
            [
                translate.agent_view(view.row, view.live, view.held, view.seen)
                for view in await house.agents.overview()
            ]
        )

    @get("/{agent:int}", summary="One agent")
    async def detail(self, house: TheHouse, reader: Caller, agent: AgentNumber) -> wire.AgentView:
        """Return an agent."""
        del reader
        return await _agent(house, agent)

    @post(
        "/{agent:int}/drain",
        status_code=200,
        summary="Give an agent no more work",
        responses=documented.CONFLICT,
    )
    async def drain(self, house: TheHouse, admin: Caller, agent: AgentNumber) -> wire.AgentView:
        """Let what runs there finish; give it nothing new."""
        del admin
        await house.agents.set_draining(agent, draining=True)
        return await _agent(house, agent)

    @post(
        "/{agent:int}/resume",
        status_code=200,
        summary="Give an agent work again",
        responses=documented.CONFLICT,
    )
    async def resume(self, house: TheHouse, admin: Caller, agent: AgentNumber) -> wire.AgentView:
        """End the draining."""
        del admin
        await house.agents.set_draining(agent, draining=False)
        return await _agent(house, agent)

    @delete(
        "/{agent:int}",
        summary="Forget an agent",
        responses=documented.CONFLICT,
    )
    async def forget(self, house: TheHouse, admin: Caller, agent: AgentNumber) -> None:
        """Take an agent that is gone off the list; 409 while it is connected or holds jobs."""
        del admin
        await house.agents.forget(agent)


async def _agent(house: House, number: int) -> wire.AgentView:
    for view in await house.agents.overview():
        if view.row.id == number:
            return translate.agent_view(view.row, view.live, view.held, view.seen)
    raise NotFoundError(f"there is no agent {number}")


class ImageRoutes(Controller):
    """Container images on the server."""

    path = "/v1/images"
    tags = ("images",)

    @get(summary="List images")
    async def list_images(self, house: TheHouse, reader: Caller) -> wire.ImageList:
        """Return the stored images."""
        del reader
        images = await asyncio.to_thread(house.images.list)
        return wire.ImageList([translate.image_view(image) for image in images])

    @post(
        operation_class=documented.IMAGE_BODY,
        summary="Add an image",
    )
    async def add(self, request: AnyRequest, house: TheHouse, admin: Caller) -> wire.ImageView:
        """Add an image from a folder or archive on the server."""
        del admin
        new = await read_json(request, wire.NewImage)
        path = _absolute(new.path)
        image = await asyncio.to_thread(house.images.add, new.name, path, new.entrypoint)
        return translate.image_view(image)

    @delete("/{name:path}", summary="Remove an image")
    async def remove(self, house: TheHouse, admin: Caller, name: FromPath[str]) -> None:
        """Remove an image; jobs that use it now keep it until they end."""
        del admin
        await asyncio.to_thread(house.images.remove, name.removeprefix("/"))


def _absolute(text: str) -> Path:
    path = Path(text)
    if text.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise InvalidInputError(f"{text!r} names nobody's home here", "path") from error
    if not path.is_absolute():
        raise InvalidInputError(f"{text!r} is not an absolute path", "path")
    return path


class TokenRoutes(Controller):
    """Credentials."""

    path = "/v1/tokens"
    tags = ("tokens",)

    @get(summary="List credentials")
    async def list_tokens(self, house: TheHouse, admin: Caller) -> wire.TokenList:
        """Return the credentials in force; never their secrets."""
        del admin
        return wire.TokenList(
            [
                wire.TokenView(
                    record.id,
                    record.kind,
                    record.user,
                    list(record.groups),
                    list(record.scopes),
                    translate.moment(record.created_at),  # type: ignore[arg-type]
                    translate.moment(record.expires_at),
                )
                for record in await house.tokens.list()
            ]
        )

    @post(
        operation_class=documented.TOKEN_BODY,
        summary="Give out a credential",
    )
    async def create(self, request: AnyRequest, house: TheHouse, admin: Caller) -> wire.TokenSecret:
        """Give out a JWT or an API key; its secret is in this reply only."""
        del admin
        data = await read_json(request, wire.NewToken)
        created = await house.tokens.create(
            data.user,
            groups=data.groups,
            scopes=DEFAULT_SCOPES if data.scopes is None else data.scopes,
            expires_in=parse_expires(data.expires),
            email=data.email,
            api_key=data.api_key,
        )
        return wire.TokenSecret(
            created.id, created.secret_text, translate.moment(created.expires_at)
        )

    @delete("/{token:str}", summary="Revoke a credential")
    async def revoke(self, house: TheHouse, admin: Caller, token: FromPath[str]) -> None:
        """End a credential at once."""
        del admin
        await house.tokens.revoke(token)


class DeclarationRoutes(Controller):
    """What is declared with files, and what the server says of itself."""

    path = "/v1"
    tags = ("administration",)

    @post(
        "/apply",
        status_code=200,
        operation_class=documented.YAML_TEXT,
        summary="Apply declarations",
    )
    async def apply(
        self,
        request: AnyRequest,
        house: TheHouse,
        admin: Caller,
        prune: FromQuery[bool] = False,
        dry_run: FromQuery[bool] = False,
    ) -> wire.AppliedView:
        """Make true what the YAML body says, all of it or nothing."""
        del admin
        text = await read_yaml(request)
        applied = await house.declarations.apply(text, prune=prune, dry_run=dry_run)
        return wire.AppliedView(
            list(applied.created), list(applied.updated), applied.unchanged, list(applied.pruned)
        )

    @get("/export", summary="Export declarations", media_type="application/yaml")
    async def export(self, house: TheHouse, admin: Caller) -> Response[str]:
        """Return everything declared, secrets left out."""
        del admin
        return Response(await house.declarations.export(), media_type="application/yaml")

    @get("/info", summary="Server and caller")
    async def info(self, house: TheHouse, reader: Caller) -> wire.Info:
        """Return what the server is, and who the caller is to it."""
        return wire.Info(
            __version__,
            reader.user,
            sorted(reader.scopes),
            house.engine,
            house.chance.monotonic() - house.started,
            str(house.home) if reader.admin else None,
        )
