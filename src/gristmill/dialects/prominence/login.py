"""``/register``, ``/devicecode``, ``/token``: how the clients log a person in from a terminal."""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from gristmill.dialects.prominence.access import Access
from gristmill.dialects.prominence.errors import RefusedError, bad, disabled
from gristmill.dialects.prominence.exchange import Exchange, header
from gristmill.dialects.prominence.routes import OpenEndpoint
from gristmill.domain.errors import NotAuthenticatedError, NotFoundError
from gristmill.services.device_login import TOKEN_LIFETIME, PendingError
from gristmill.services.house import House

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LARGEST_FORM = 16_384
MOST_FIELDS = 50
POLL_INTERVAL = 5
APPROVAL_PAGE = "/ui/device"


class LoginRooms:
    """The endpoints of the login."""

    def __init__(self, house: House, access: Access) -> None:
        self._house, self._access = house, access
        self._logins = house.device_logins

    def endpoints(self) -> list[OpenEndpoint]:
        """Return what is to be routed here."""
        return [
            OpenEndpoint("POST", "register", self._register),
            OpenEndpoint("POST", "devicecode", self._begin),
            OpenEndpoint("POST", "token", self._token),
        ]

    async def _register(self, exchange: Exchange) -> None:
        if not isinstance(await exchange.json(), dict):
            raise bad("the client's metadata must be an object")
        client = self._logins.register()
        await exchange.reply({"client_id": client.id, "client_secret": client.secret}, 201)

    async def _begin(self, exchange: Exchange) -> None:
        self._check_client(exchange)
        await _form(exchange)
        begun = await self._logins.begin()
        host = header(exchange.scope, b"host") or ""
        page = self._house.reach.for_client(exchange.scope["scheme"], host) + APPROVAL_PAGE
        await exchange.reply(
            {
                "verification_uri": page,
                "verification_uri_complete": f"{page}?code={begun.user_code}",
                "user_code": begun.user_code,
                "device_code": begun.device_code,
                "expires_in": int(begun.expires_in),
                "interval": POLL_INTERVAL,
            }
        )

    async def _token(self, exchange: Exchange) -> None:
        """Give the token of a login; without a form a worker's is wanted, which is not offered."""
        form = await _form(exchange)
        if "grant_type" not in form:
            await self._access.identify(exchange.scope)
            raise disabled()
        self._check_client(exchange)
        if form["grant_type"] != GRANT:
            raise bad("unsupported_grant_type")
        try:
            made = await self._logins.collect(form.get("device_code", ""))
        except PendingError as error:
            raise bad("authorization_pending") from error
        except NotFoundError as error:
            raise bad("expired_token") from error
        await exchange.reply(
            {
                "access_token": made.secret_text,
                "token_type": "Bearer",
                "expires_in": int(TOKEN_LIFETIME),
            }
        )

    def _check_client(self, exchange: Exchange) -> None:
        """Check HTTP Basic credentials. Raises RefusedError."""
        scheme, _, encoded = (header(exchange.scope, b"authorization") or "").partition(" ")
        try:
            basic = encoded.strip() if scheme.lower() == "basic" else ""
            text = base64.b64decode(basic, validate=True).decode()
            client, _, secret = text.partition(":")
            self._logins.check_client(unquote_plus(client), unquote_plus(secret))
        except (binascii.Error, UnicodeDecodeError, NotAuthenticatedError) as error:
            raise RefusedError(401, "invalid_client") from error


async def _form(exchange: Exchange) -> dict[str, str]:
    """Return the fields of the body. Raises RefusedError."""
    body = b""
    async for chunk in exchange.chunks():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise bad("the form is too large")
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise bad("the body is not a form") from error
