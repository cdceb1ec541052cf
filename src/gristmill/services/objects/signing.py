"""URLs that carry their own permission: one act on one object until a time."""

import base64
import binascii
import hashlib
import hmac
from typing import Literal
from urllib.parse import quote

import msgspec

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.domain.objects import Space

PATH = "/v1/blobs"
LONGEST_LIFETIME = 366 * 86400.0
_DIGEST_BYTES = 32
_PURPOSE = b"gristmill object url 1"

Act = Literal["get", "put"]


class Permit(msgspec.Struct, frozen=True, array_like=True):
    """What a URL allows. expires_at: epoch seconds. size: most bytes of an upload, if limited."""

    act: Act
    space: Space
    name: str
    expires_at: float
    sha256: str | None = None
    size: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Permit).decode


class Signer:
    """Makes and reads the signed part of URLs. key: the server's own secret."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, _PURPOSE, hashlib.sha256)

    def path(self, permit: Permit) -> str:
        """Return the path of a URL that permits this; it ends in the object's last part."""
        payload = _encode(permit)
        signed = base64.urlsafe_b64encode(self._digest(payload) + payload).rstrip(b"=").decode()
        return f"{PATH}/{signed}/{quote(permit.name.rpartition('/')[2])}"

    def read(self, signed: str, now: float) -> Permit:
        """Return what the signed part of a path permits. Raises NotAuthenticatedError."""
        try:
            raw = base64.b64decode(signed + "=" * (-len(signed) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise NotAuthenticatedError(WRONG) from error
        digest, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if not hmac.compare_digest(digest, self._digest(payload)):
            raise NotAuthenticatedError(WRONG)
        permit = _decode(payload)
        if permit.expires_at <= now:
            raise NotAuthenticatedError("this URL has expired: ask for a new one")
        return permit

    def _digest(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)


WRONG = "this URL was not given out by this server, or was changed: ask for a new one"
