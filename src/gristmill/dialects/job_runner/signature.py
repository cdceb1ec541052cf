"""``ApiKey key:digest``: an HMAC-SHA1 over the method, the target and the body."""

import hashlib
import hmac
import re
from typing import NamedTuple

from gristmill.dialects.job_runner.exchange import Request

HEADERS = (b"authorization", b"authentication")
"""Where a signature may stand; the first one that is there counts."""

SCHEME = "ApiKey "
DIGITS = re.compile(r"[0-9a-f]{40}")
_SIGNED = re.compile(rb"ApiKey [^:]*:[0-9a-fA-F]{40}\s*\Z")


class Signature(NamedTuple):
    """What a header claims."""

    api_key: str
    digest: str


def find_signature(headers: dict[bytes, bytes]) -> Signature | None:
    """Return the signature, None when the request has no ApiKey header at all.

    One that is badly formed has an empty digest, which fits nothing.
    """
    for name in HEADERS:
        value = headers.get(name, b"")
        if value.startswith(SCHEME.encode()):
            api_key, _, digest = value.decode("latin-1").removeprefix(SCHEME).partition(":")
            key = api_key.encode("latin-1").decode("utf-8", "replace")
            return Signature(key, digest if DIGITS.fullmatch(digest) else "")
    return None


def looks_signed(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a header holds an API key with forty hex digits after the colon."""
    return any(name in HEADERS and _SIGNED.match(value) for name, value in headers)


def is_signed(request: Request, digest: str, secret: str) -> bool:
    """Whether the digest is that of this request, whose body must have been loaded."""
    return any(
        hmac.compare_digest(_digest(secret, message).encode(), digest.encode("latin-1"))
        for message in messages(request)
    )


def messages(request: Request) -> list[bytes]:
    """Return what may have been signed.

    The tail is the body. Without one it may also be the target once more, for that is what the
    interface's document says.
    """
    head = request.method.encode("latin-1") + request.target
    if request.body:
        return [head + request.body]
    return [head, head + request.target]


def _digest(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha1).hexdigest()
