"""/v2: the Open Inference Protocol for every stored model of the caller."""

from typing import Any

from litestar import Controller, Response, get, post

from gristmill import __version__
from gristmill.domain.errors import GristmillError, NotFoundError
from gristmill.native.access import Caller, TheHouse
from gristmill.native.data_shared import (
    NO_LIMIT,
    Key,
    place_of,
    written,
)
from gristmill.native.errors import status_of
from gristmill.native.parameters import AnyRequest
from gristmill.services.data.models import Version
from gristmill.services.house import House

Json = dict[str, Any]


def _on_error(_: AnyRequest, error: GristmillError) -> Response[Json]:
    return Response(
        {"error": str(error)}, status_code=status_of(error)[0], media_type="application/json"
    )


class InferenceRoutes(Controller):
    """Models by name, in the caller's default bucket."""

    path = "/v2"
    tags = ("inference",)
    exception_handlers = {GristmillError: _on_error}  # noqa: RUF012 - Litestar's own name and type

    @get("/health/live", summary="Whether the server lives")
    async def live(self, reader: Caller) -> Json:
        """Return that it does."""
        del reader
        return {"live": True}

    @get("/health/ready", summary="Whether models can be asked")
    async def ready(self, house: TheHouse, reader: Caller) -> Response[Json]:
        """Ask a worker for a sign of life; 503 when there is none."""
        del reader
        await house.data.core.workers.call({"op": "ping"})
        return Response({"ready": True})

    @get(summary="The server")
    async def server(self, reader: Caller) -> Json:
        """Return name, version and extensions."""
        del reader
        return {"name": "gristmill", "version": __version__, "extensions": []}

    @get("/models/{key:path}", summary="A model, or with /ready behind its name its readiness")
    async def model(self, house: TheHouse, reader: Caller, key: Key) -> Json:
        """Return what is known of a model, or of one of its /versions."""
        reference, action = _parse(key)
        version = await _find(house, place_of(reader, ""), reference)
        if action == "ready":
            return {"name": version.name, "ready": True}
        if action:
            raise NotFoundError("infer is for POST")
        found = await house.data.models.versions(place_of(reader, ""), version.name)
        return {
            "name": version.name,
            "versions": [str(each.number) for each in reversed(found)],
            "platform": "sklearn",
            "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, -1]}],
            "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
        }

    @post(
        "/models/{key:path}",
        summary="Ask a model: /infer behind its name",
        status_code=200,
        request_max_body_size=NO_LIMIT,
    )
    async def infer(
        self, request: AnyRequest, house: TheHouse, writer: Caller, key: Key
    ) -> Response[bytes]:
        """Answer tensors with tensors."""
        reference, action = _parse(key)
        if action != "infer":
            raise NotFoundError(f"say infer behind the name: {key}/infer")
        place = place_of(writer, "")
        version = await _find(house, place, reference)
        extra = {"model_name": version.name, "model_version": str(version.number)}
        name = f"{version.name}@{version.commit}"
        return written(await house.data.models.infer(place, name, await request.body(), extra))


def _parse(key: str) -> tuple[str, str]:
    """Return the model's name with /versions/N behind it, and the action; '' for none."""
    name = key.removeprefix("/").rstrip("/")
    front, _, last = name.rpartition("/")
    return (front, last) if front and last in {"ready", "infer"} else (name, "")


async def _find(house: House, place: Any, reference: str) -> Version:
    front, separator, last = reference.rpartition("/versions/")
    if not separator:
        return await house.data.models.get(place, reference)
    for version in await house.data.models.versions(place, front):
        if last in {str(version.number), version.commit, *version.tags}:
            return version
    raise NotFoundError(f"there is no version {last[:80]!r} of model {front[:200]!r}")
