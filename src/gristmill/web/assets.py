"""Style, script and icon: files of this package, served with their digest in the address."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Annotated

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from gristmill.domain.errors import NotFoundError

Version = Annotated[str, QueryParameter(name="v")]

FOREVER = "public, max-age=31536000, immutable"
_TYPES = {
    "gristmill.css": "text/css",
    "gristmill.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@cache
def _read(name: str) -> bytes:
    return files(__package__).joinpath("static", name).read_bytes()


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_read(name)).hexdigest()[:12]


def asset_url(name: str) -> str:
    """Return where a browser finds the file as it is now."""
    return f"/ui/static/{name}?v={_digest(name)}"


@get("/ui/static/{name:str}")
async def asset(name: FromPath[str], version: Version = "") -> Response[bytes]:
    """Serve a file; one asked for by its digest may be kept for ever."""
    if name not in _TYPES:
        raise NotFoundError(f"there is no file {name!r}")
    kept = FOREVER if version == _digest(name) else "no-cache"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(_read(name), media_type=_TYPES[name], headers=headers)
