"""How to reach a remote place: keys and address of an S3 store, from the usual files.

A profile is looked for in ``~/.s3cfg``, then the files of the AWS command line, then
``~/.awssecret``; the first that says something about a value decides it. Without a profile, the
variables of the job's own environment come before all files.
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_AMAZON = "s3.amazonaws.com"
_NAMES = {
    "access_key": ("access_key", "aws_access_key_id"),
    "secret_key": ("secret_key", "aws_secret_access_key"),
    "token": ("access_token", "aws_session_token"),
    "region": ("region", "bucket_location"),
    "endpoint": ("endpoint_url", "host_base"),
    "secure": ("use_https",),
}
_VARIABLES = {
    "access_key": ("AWS_ACCESS_KEY_ID",),
    "secret_key": ("AWS_SECRET_ACCESS_KEY",),
    "token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_DEFAULT_REGION", "AWS_REGION"),
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
}


class RemoteError(Exception):
    """A remote place cannot be reached as it is described; tells why."""


class Access(NamedTuple):
    """Keys are empty for a public place. endpoint: a URL, empty for Amazon's own."""

    access_key: str = ""
    secret_key: str = ""
    token: str = ""
    region: str = ""
    endpoint: str = ""


class Place(NamedTuple):
    """A bucket, and a path inside it that is empty or begins with a slash."""

    bucket: str
    path: str


def parse_place(text: str) -> Place:
    """Split ``bucket/sub/folder``. Raises RemoteError."""
    bucket, _, below = text.removeprefix("s3://").strip("/").partition("/")
    parts = [part for part in below.split("/") if part]
    if not _BUCKET.fullmatch(bucket) or ".." in parts or ":" in below:
        raise RemoteError(f"{text!r} is not a bucket, or a bucket and a folder in it")
    return Place(bucket, "".join(f"/{part}" for part in parts))


def find_access(profile: str, variables: Mapping[str, str], home: str) -> Access:
    """Return how to reach a store. Raises RemoteError when a profile that is named is not there.

    variables: the job's own. home: of the user whose files are read.
    """
    name = profile or variables.get("AWS_PROFILE") or variables.get("AWS_DEFAULT_PROFILE")
    found: dict[str, str] = {}
    if not profile:
        _complete(found, _VARIABLES, variables)
    known = False
    for section in _sections(name or "default", variables, home):
        _complete(found, _NAMES, section)
        known = True
    if name and not known:
        raise RemoteError(f"there is no profile {name!r} in ~/.s3cfg or ~/.aws/credentials")
    if not found.get("access_key"):
        found.update(_awssecret(home))
    if bool(found.get("access_key")) != bool(found.get("secret_key")):
        raise RemoteError(f"the profile {name or 'default'!r} has only one of its two keys")
    endpoint = _url(found.pop("endpoint", ""), found.pop("secure", ""))
    return Access(**found, endpoint=endpoint)


def _complete(
    found: dict[str, str], names: Mapping[str, tuple[str, ...]], values: Mapping[str, str]
) -> None:
    # Keys belong together: what one source leaves out is not taken from another.
    keys = {"access_key", "secret_key", "token"} if found.get("access_key") else set()
    for field, spellings in names.items():
        value = next((values[name] for name in spellings if values.get(name)), "")
        if value and field not in keys:
            found.setdefault(field, value)


def _sections(name: str, variables: Mapping[str, str], home: str) -> Iterator[Mapping[str, str]]:
    """Yield what each file says of a profile."""
    aws = os.path.join(home, ".aws")
    credentials = variables.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(aws, "credentials")
    settings = variables.get("AWS_CONFIG_FILE") or os.path.join(aws, "config")
    for path, section in (
        (os.path.join(home, ".s3cfg"), name),
        (credentials, name),
        (settings, name if name == "default" else f"profile {name}"),
        (settings, name),
    ):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            raise RemoteError(f"{path} cannot be read: {error}") from error
        if parser.has_section(section):
            yield dict(parser.items(section))


def _awssecret(home: str) -> dict[str, str]:
    """Return the keys of s3fs's own file, ``ACCESS:SECRET``."""
    try:
        with open(os.path.join(home, ".awssecret"), encoding="utf-8") as file:
            access, _, secret = file.read().strip().partition(":")
    except (OSError, UnicodeDecodeError):
        return {}
    return {"access_key": access, "secret_key": secret} if access and secret else {}


def _url(endpoint: str, secure: str) -> str:
    """Return the address of a store: a host alone gets its scheme, Amazon's own is left out."""
    if endpoint in {"", _AMAZON, f"https://{_AMAZON}"}:
        return ""
    if "://" in endpoint:
        return endpoint.rstrip("/")
    plain = secure.lower() in {"false", "no", "off", "0"}
    return f"{'http' if plain else 'https'}://{endpoint.rstrip('/')}"
