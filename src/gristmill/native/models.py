"""/v1/models: make, fit, ask."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import QueryParameter

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
    place_of,
    split_key,
    task_reply,
    version_view,
    view,
    written,
)
from gristmill.native.parameters import AnyRequest
from gristmill.services.data.models import ASKING, CHANGING, Call
from gristmill.services.data.place import MODEL

VERSIONS, TAG = "versions", "tag"
Source = Annotated[
    str | None, QueryParameter(max_length=4096, description="a table, such as sample[x,y]")
]


class _Named(msgspec.Struct):
    name: str


class ModelRoutes(Controller):
    """Models of the caller."""

    path = "/v1/models"
    tags = ("data",)

    @get(summary="List models")
    async def list_models(
        self,
        house: TheHouse,
        reader: Caller,
        bucket: Bucket = "",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> wire.DataList:
        """Return a page by name."""
        return await listing(house, reader, MODEL, bucket, limit, offset)

    @post(summary="Make a model", request_max_body_size=NO_LIMIT)
    async def create(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        bucket: Bucket = "",
        tag: Annotated[str | None, QueryParameter(max_length=128)] = None,
    ) -> wire.DataView:
        """Store an unfitted model: name, and pipeline as steps of [class, arguments]."""
        place = place_of(writer, bucket)
        body = await request.body()
        try:
            name = msgspec.json.decode(body, type=_Named).name
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInputError(f"the body needs a name: {error}", "name") from error
        return view(await house.data.models.create(place, name, body, tag=tag))

    @get("/{key:path}", summary="A model, or with /versions behind its name all its versions")
    async def detail(
        self, house: TheHouse, reader: Caller, key: Key, bucket: Bucket = ""
    ) -> wire.VersionView | wire.VersionList:
        """Return the version meant by NAME, NAME@TAG, NAME@COMMIT or NAME^, or all versions."""
        place = place_of(reader, bucket)
        name, action = split_key(key, (VERSIONS,))
        if action:
            found = await house.data.models.versions(place, name)
            return wire.VersionList([version_view(each) for each in found])
        return version_view(await house.data.models.get(place, name))

    @post(
        "/{key:path}",
        summary="Run an action, whose name stands behind the model's",
        request_max_body_size=NO_LIMIT,
        status_code=200,
    )
    async def act(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        key: Key,
        bucket: Bucket = "",
        datax: Source = None,
        datay: Source = None,
        tag: Annotated[str | None, QueryParameter(max_length=128)] = None,
        classes: Annotated[
            str | None, QueryParameter(max_length=4096, description="JSON list, for partial_fit")
        ] = None,
        parameters: Annotated[
            str | None, QueryParameter(max_length=4096, description="JSON object, for gridsearch")
        ] = None,
        wait: Wait = 600.0,
    ) -> Response[Any]:
        """Answer predict, predict_proba, decision_function, transform and score at once.

        fit, partial_fit, fit_transform and gridsearch are jobs that make a new version. Rows come
        from tables, or from the body. 202 with a task when it takes longer than wait.
        """
        place = place_of(writer, bucket)
        name, action = split_key(key, {*ASKING, *CHANGING, TAG})
        if not action:
            raise NotFoundError(f"say what to do behind the name, such as {key}/predict")
        if action == TAG:
            if tag is None:
                raise InvalidInputError("is missing", "tag")
            return Response(version_view(await house.data.models.tag(place, name, tag)))
        params = _params(classes=classes, parameters=parameters)
        call = Call(action, datax, datay, await request.body(), params)
        if action in ASKING and wait > 0:
            extra = {"model": name, "datax": datax, "datay": datay}
            return written(await house.data.models.call(place, name, call, extra))
        task = await house.data.tasks.model(writer, place, name, call, tag=tag)
        return await task_reply(house, place, task, wait)

    @delete("/{key:path}", summary="Delete a model")
    async def remove(self, house: TheHouse, writer: Caller, key: Key, bucket: Bucket = "") -> None:
        """Forget a model with all versions."""
        await house.data.models.delete(place_of(writer, bucket), key.removeprefix("/"))


def _params(**texts: str | None) -> dict[str, Any]:
    found = {}
    for name, text in texts.items():
        if text is not None:
            try:
                found[name] = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError) as error:
                raise InvalidInputError(f"is not valid JSON: {error}", name) from error
    return found
