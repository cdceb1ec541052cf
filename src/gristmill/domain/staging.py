"""What a job brings to its node and takes back: files, remote storage, and the secrets for it."""

import re
from typing import Annotated, Literal

import msgspec

from gristmill.domain.errors import InvalidInputError

OBJECT_SCHEME = "object://"
"""``object:///NAME`` is a stored object of the job's owner, ``object://GROUP/NAME`` of a group."""

MOST_INPUT = 16 << 20
"""Characters of one input's content."""

FACTS = (
    "job",
    "workflow",
    "node",
    "task",
    "cpus",
    "memory_gb",
    "nodes",
    "runtime",
    "url",
    "token",
)
"""What a job can be told about itself under names of its own choice."""

_FACT = re.compile(r"\{([^{}]*)\}")

Line = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=8192, pattern=r"^[^\s\x00]+\Z")]
Below = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]+\Z")]


class _Wish(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    pass


class Credential(_Wish, frozen=True):
    """A login at an image registry. token: sealed while it is stored."""

    username: Line
    token: Line


class Artifact(_Wish, frozen=True):
    """A file fetched into the job's folder before its tasks; an archive is unpacked there.

    url: http, https, or ``object://``. directory: what of it is shown at the absolute path
    inside, when that is given. executable: make it so.
    """

    url: Address
    directory: Line = ""
    inside: Line = ""
    executable: bool = False


class Input(_Wish, frozen=True):
    """A small file that travels with the job. content: base64."""

    name: Line
    content: Annotated[str, msgspec.Meta(max_length=MOST_INPUT)]
    executable: bool = False


class Staging(_Wish, frozen=True):
    """Files in and out. output_files: patterns, the first match is taken; output_dirs: packed."""

    artifacts: Annotated[tuple[Artifact, ...], msgspec.Meta(max_length=1000)] = ()
    inputs: Annotated[tuple[Input, ...], msgspec.Meta(max_length=1000)] = ()
    output_files: Annotated[tuple[Below, ...], msgspec.Meta(max_length=1000)] = ()
    output_dirs: Annotated[tuple[Below, ...], msgspec.Meta(max_length=1000)] = ()


class Storage(_Wish, frozen=True):
    """A remote file system shown to the job while it runs.

    url: of the share, or the provider. secret: password or token, sealed while it is stored.
    inside: the absolute path where tasks see it. default: it is the job's folder.
    """

    kind: Literal["onedata", "webdav", "b2drop"]
    url: Line = ""
    username: Line = ""
    secret: Line = ""
    inside: Line | None = None
    default: bool = False


def check_staging(staging: Staging, field: str) -> None:
    """Check paths and addresses. Raises InvalidInputError."""
    for number, artifact in enumerate(staging.artifacts):
        _check_artifact(artifact, f"{field}.artifacts[{number}]")
    for number, item in enumerate(staging.inputs):
        if item.name.rpartition("/")[2] in {"", ".", ".."}:
            raise InvalidInputError(
                f"{item.name!r} names no file", f"{field}.inputs[{number}].name"
            )
    for kind in ("output_files", "output_dirs"):
        for number, path in enumerate(getattr(staging, kind)):
            if path.startswith("/") or ".." in path.split("/"):
                raise InvalidInputError(
                    f"must be a path below the job's folder, not {path!r}",
                    f"{field}.{kind}[{number}]",
                )


def _check_artifact(artifact: Artifact, field: str) -> None:
    if not artifact.url.lower().startswith(("http://", "https://", OBJECT_SCHEME)):
        raise InvalidInputError(
            f"must begin with http://, https:// or {OBJECT_SCHEME}, not {artifact.url!r}",
            f"{field}.url",
        )
    if artifact.inside and not artifact.inside.startswith("/"):
        raise InvalidInputError("must be an absolute path", f"{field}.inside")
    if "/" in artifact.directory or artifact.directory in {".", ".."}:
        raise InvalidInputError("must be one folder's name", f"{field}.directory")
    if artifact.inside.rstrip("/") in {"", "/"} and artifact.directory:
        raise InvalidInputError("give the absolute path to show it at", f"{field}.inside")


def check_facts(facts: dict[str, str], field: str) -> None:
    """Check that templates such as ``{url}/api`` name known facts. Raises InvalidInputError."""
    for variable, template in facts.items():
        for name in _FACT.findall(template):
            if name not in FACTS:
                raise InvalidInputError(
                    f"{{{name}}} is no fact about a job; there are {', '.join(FACTS)}",
                    f"{field}.{variable}",
                )


def wants(facts: dict[str, str], *names: str) -> bool:
    """Whether any template names one of these facts."""
    return any(f"{{{name}}}" in template for template in facts.values() for name in names)


def fill(template: str, facts: dict[str, str]) -> str | None:
    """Return the template filled in; None when a fact it names does not apply."""
    names = _FACT.findall(template)
    if any(name not in facts for name in names):
        return None
    return _FACT.sub(lambda match: facts[match[1]], template)
