"""/v1/notebooks, /v1/scripts and /v1/tasks: work of which the result comes later."""

from typing import Annotated, Any

from litestar import Controller, Response, delete, get, post, put
from litestar.params import PathParameter, QueryParameter

from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.native import data_wire as wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.data_shared import (
    NO_LIMIT,
    Bucket,
    Key,
    Limit,
    Offset,
    Wait,
    listing,
    moment,
    place_of,
    split_key,
    task_reply,
    task_view,
    view,
    written,
)
from gristmill.native.parameters import AnyRequest
from gristmill.services.data.place import NOTEBOOK, SCRIPT

ARCHIVES = (
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/octet-stream",
)
TaskId = Annotated[str, PathParameter(max_length=64, description="the task's id")]
Run = Annotated[int | None, QueryParameter(ge=0, description="which run; else the notebook itself")]


class NotebookRoutes(Controller):
    """Notebooks of the caller."""

    path = "/v1/notebooks"
    tags = ("data",)

    @get(summary="List notebooks")
    async def list_notebooks(
        self,
        house: TheHouse,
        reader: Caller,
        bucket: Bucket = "",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> wire.DataList:
        """Return a page by name."""
        return await listing(house, reader, NOTEBOOK, bucket, limit, offset)

    @put("/{key:path}", summary="Store a notebook", request_max_body_size=NO_LIMIT)
    async def store(
        self, request: AnyRequest, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = ""
    ) -> wire.DataView:
        """Store code for one cell, or content of nbformat 4."""
        place = place_of(writer, bucket)
        body = await request.body()
        return view(await house.data.notebooks.put(place, key.removeprefix("/"), body))

    @get("/{key:path}", summary="A notebook; behind its name /content, /runs or /html")
    async def read(
        self, house: TheHouse, reader: Caller, key: Key, bucket: Bucket = "", run: Run = None
    ) -> Response[Any]:
        """Return what is known of it; its JSON; its runs; or it as a page of HTML."""
        place, notebooks = place_of(reader, bucket), house.data.notebooks
        name, action = split_key(key, ("content", "runs", "html"))
        if action == "html":
            return written(await notebooks.export(place, name, run), "text/html")
        if action == "content":
            if run is not None:
                return written(await notebooks.result(place, name, run))
            return written(await notebooks.content(place, name))
        if action == "runs":
            found = [
                wire.RunView(each.stamp, each.status, each.message, each.job,
                             moment(each.started), moment(each.ended))
                for each in await notebooks.runs(place, name)
            ]  # fmt: skip
            return Response(wire.RunList(found))
        return Response(view(await notebooks.get(place, name)))

    @post("/{key:path}", summary="Run a notebook: /run behind its name", status_code=200)
    async def act(
        self, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = "", wait: Wait = 600.0
    ) -> Response[wire.DataTaskView]:
        """Run all cells of a copy in a fresh kernel; a cell that fails makes the run an ERROR."""
        place = place_of(writer, bucket)
        name, action = split_key(key, ("run",))
        if not action:
            raise NotFoundError(f"say what to do behind the name: {key}/run")
        task = await house.data.tasks.notebook(writer, place, name)
        return await task_reply(house, place, task, wait)

    @delete("/{key:path}", summary="Delete a notebook")
    async def remove(self, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = "") -> None:
        """Forget a notebook with its runs."""
        await house.data.notebooks.delete(place_of(writer, bucket), key.removeprefix("/"))


class ScriptRoutes(Controller):
    """Scripts of the caller."""

    path = "/v1/scripts"
    tags = ("data",)

    @get(summary="List scripts")
    async def list_scripts(
        self,
        house: TheHouse,
        reader: Caller,
        bucket: Bucket = "",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> wire.DataList:
        """Return a page by name."""
        return await listing(house, reader, SCRIPT, bucket, limit, offset)

    @put("/{key:path}", summary="Store a script", request_max_body_size=NO_LIMIT)
    async def store(
        self, request: AnyRequest, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = ""
    ) -> wire.DataView:
        """Store code that defines run(om, *args, **kwargs), or a source distribution."""
        place = place_of(writer, bucket)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        name = key.removeprefix("/")
        return view(await house.data.scripts.put(place, name, body, archive=kind in ARCHIVES))

    @get("/{key:path}", summary="A script")
    async def detail(
        self, house: TheHouse, reader: Caller, key: Key, bucket: Bucket = ""
    ) -> wire.DataView:
        """Return what is known of it."""
        place = place_of(reader, bucket)
        return view(await house.data.scripts.get(place, key.removeprefix("/")))

    @post(
        "/{key:path}",
        summary="Run a script: /run behind its name",
        status_code=200,
        request_max_body_size=NO_LIMIT,
    )
    async def act(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        key: Key,
        bucket: Bucket = "",
        argument: Annotated[
            list[str] | None, QueryParameter(description="NAME=VALUE for run; repeat it")
        ] = None,
        wait: Wait = 600.0,
    ) -> Response[wire.DataTaskView]:
        """Call run with the JSON of the body; the result comes with its times."""
        place = place_of(writer, bucket)
        name, action = split_key(key, ("run",))
        if not action:
            raise NotFoundError(f"say what to do behind the name: {key}/run")
        body, keywords = await request.body(), dict(map(_pair, argument or ()))
        task = await house.data.tasks.script(writer, place, name, body, keywords)
        return await task_reply(house, place, task, wait)

    @delete("/{key:path}", summary="Delete a script")
    async def remove(self, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = "") -> None:
        """Forget a script."""
        await house.data.scripts.delete(place_of(writer, bucket), key.removeprefix("/"))


class DataTaskRoutes(Controller):
    """Tasks of the caller."""

    path = "/v1/tasks"
    tags = ("data",)

    @get("/{task:str}", summary="A task")
    async def detail(
        self,
        house: TheHouse,
        reader: Caller,
        task: TaskId,
        bucket: Bucket = "",
        wait: Wait = 0.0,
    ) -> wire.DataTaskView:
        """Return a task once it has ended, or as it is after wait seconds."""
        return task_view(await house.data.tasks.wait(place_of(reader, bucket), task, wait))

    @delete("/{task:str}", summary="End a task", status_code=200)
    async def revoke(
        self, house: TheHouse, writer: Caller, task: TaskId, bucket: Bucket = ""
    ) -> wire.DataTaskView:
        """End the job of a task that goes on."""
        return task_view(await house.data.tasks.revoke(writer, place_of(writer, bucket), task))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InvalidInputError(f"{text[:80]!r} is not NAME=VALUE", "argument")
    return name, value
