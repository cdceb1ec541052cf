"""The API document and its two readers, Swagger UI and ReDoc; nothing comes from elsewhere."""

import asyncio
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

from gristmill.dialects.omega_ml.errors import RefusedError, nothing_at, refused
from gristmill.dialects.omega_ml.exchange import JSON, Exchange
from gristmill.dialects.omega_ml.swagger import swagger

UI, REDOC = "/api/doc/v1", "/api/redoc"
DOCUMENT = f"{UI}/specs/swagger.json"
DOCUMENTS = frozenset({DOCUMENT, "/swagger.json", f"{UI}/swagger/specs/swagger.json"})
TO_UI = frozenset({"", "/api/doc", "/api/docs"})
ASSETS = "/api/doc/assets/"
_POLICY = b"; ".join(
    (
        b"default-src 'none'",
        b"script-src 'self'",
        b"style-src 'self' 'unsafe-inline'",
        b"img-src 'self' data:",
        b"font-src 'self' data:",
        b"connect-src 'self'",
        b"worker-src blob:",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    )
)
_CSP = b"content-security-policy"
_HTML = "text/html; charset=utf-8"
_KEPT = (b"cache-control", b"public, max-age=86400")

_START_UI = """\
SwaggerUIBundle({
  url: document.currentScript.dataset.url,
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_START_REDOC = """\
Redoc.init(document.currentScript.dataset.url, {}, document.getElementById("page"));
"""
_TEXTS = {"start-swagger.js": _START_UI, "start-redoc.js": _START_REDOC}
_FILES = {
    "swagger-ui.css": ("swagger_ui_bundle", "vendor/swagger-ui-*/swagger-ui.css"),
    "swagger-ui-bundle.js": ("swagger_ui_bundle", "vendor/swagger-ui-*/swagger-ui-bundle.js"),
    "redoc.js": ("flask_openapi3_redoc", "templates/redoc/js/redoc.standalone.js"),
}
"""Packages that hold the files, and where; of the packages nothing else is used."""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>omega-ml REST API</title>
{style}<style>body {{ margin: 0; }}</style>
</head>
<body>
<div id="page"></div>
<script src="{assets}{script}"></script>
<script src="{assets}{start}" data-url="{document}"></script>
</body>
</html>
"""


class Pages:
    """Answers what is asked outside of ``/api/v1/``. profile: whose status codes are spoken."""

    def __init__(self, profile: str) -> None:
        self._profile = profile

    async def answer(self, exchange: Exchange) -> None:
        """Answer with a page, a file or the document. Raises RefusedError."""
        path = exchange.path.removesuffix("/")
        if not (path in {*TO_UI, *DOCUMENTS, UI, REDOC} or path.startswith(ASSETS)):
            raise nothing_at(exchange.path)
        if exchange.method != "GET":
            message = {"message": f"{exchange.method[:20]} is not for this path: use GET"}
            raise RefusedError(405, message, ((b"allow", b"GET"),))
        if path in TO_UI:
            place = f"{exchange.mount}{UI}".encode()
            await exchange.send_bytes(b"", 302, JSON, (b"location", place))
        elif path in DOCUMENTS:
            body = _document(f"{exchange.mount}/api/v1", self._profile)
            await exchange.send_bytes(body, 200, JSON)
        elif path.startswith(ASSETS):
            await _asset(exchange, path.removeprefix(ASSETS))
        else:
            body = _page(exchange.mount, redoc=path == REDOC)
            await exchange.send_bytes(body, 200, _HTML, (_CSP, _POLICY))


@cache
def _document(base: str, profile: str) -> bytes:
    return msgspec.json.encode(swagger(base, profile))


@cache
def _page(mount: str, *, redoc: bool) -> bytes:
    assets = f"{mount}{ASSETS}"
    text = _PAGE.format(
        style="" if redoc else f'<link rel="stylesheet" href="{assets}swagger-ui.css">\n',
        assets=assets,
        script="redoc.js" if redoc else "swagger-ui-bundle.js",
        start="start-redoc.js" if redoc else "start-swagger.js",
        document=f"{mount}{DOCUMENT}",
    )
    return text.encode()


async def _asset(exchange: Exchange, name: str) -> None:
    if name not in _TEXTS and name not in _FILES:
        raise nothing_at(exchange.path)
    body = await asyncio.to_thread(_read, name)
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    kind = "text/css" if name.endswith(".css") else "text/javascript; charset=utf-8"
    if exchange.header("if-none-match") == tag:
        await exchange.send_bytes(b"", 304, kind, (b"etag", tag.encode()))
        return
    await exchange.send_bytes(body, 200, kind, _KEPT, (b"etag", tag.encode()))


def _read(name: str) -> bytes:
    """Return a file. Raises RefusedError when the package that holds it is not installed."""
    if name in _TEXTS:
        return _TEXTS[name].encode()
    package, pattern = _FILES[name]
    # To import the package would drag in what it needs besides; its place is enough.
    found = find_spec(package)
    if found is None or found.origin is None:
        raise refused(404, f"install {package.replace('_', '-')} to read this page")
    return next(Path(found.origin).parent.glob(pattern)).read_bytes()
