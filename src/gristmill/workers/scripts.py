"""Scripts: checked and stored; they run in processes of their own."""

import ast
import gzip
import io
import tarfile
import zlib

import msgspec

from gristmill.workers.blobs import blobs_at
from gristmill.workers.refusals import RefusedError, too_large
from gristmill.workers.signatures import signature_of
from gristmill.workers.wire import Frame

LARGEST_UNPACKED = 256 << 20
MOST_MEMBERS = 10_000
MOST_RATIO = 200


class Given(msgspec.Struct):
    """What a client sends when it is no archive."""

    code: str


def put(question: Frame) -> Frame:
    """Store a script: source text, or a source distribution."""
    if question.header["archive"]:
        data, form, signature = _checked_archive(question.body), "sdist", None
    else:
        data, form = _checked_code(question.body), "code"
        signature = signature_of(question.body)
    blobs_at(question.header["root"]).write(question.header["path"], data)
    return Frame({"form": form, "size": len(data), "signature": signature}, b"")


def _checked_code(body: bytes) -> bytes:
    try:
        code = msgspec.json.decode(body, type=Given).code
    except msgspec.ValidationError as error:
        raise RefusedError(str(error), "code") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"the body is not valid JSON: {error}", "body") from error
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RefusedError(f"is no Python: {error}", "code") from error
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    names += [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    if "run" not in names:
        raise RefusedError("must define run(om, *args, **kwargs)", "code")
    return code.encode()


def _checked_archive(body: bytes) -> bytes:
    """Look through a source distribution without unpacking it."""
    names: set[str] = set()
    try:
        _check_size(body)
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
            for count, member in enumerate(archive):
                if count >= MOST_MEMBERS:
                    raise too_large(f"holds more than {MOST_MEMBERS} files", "body")
                _check_member(member)
                names.add(member.name)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise RefusedError(f"is no gzipped tar archive: {error}", "body") from error
    tops = {name.lstrip("./").split("/")[0] for name in names if name.strip("./")}
    if len(tops) != 1:
        raise RefusedError("a source distribution has one folder at its top", "body")
    top = tops.pop()
    if not any(
        name.removeprefix("./") in {f"{top}/setup.py", f"{top}/pyproject.toml"} for name in names
    ):
        raise RefusedError("has neither setup.py nor pyproject.toml", "body")
    return body


def _check_size(body: bytes) -> None:
    """Unpack into nothing: a sum that is wrong and an end that is missing show only so."""
    most = min(LARGEST_UNPACKED, MOST_RATIO * max(len(body), 1 << 16))
    total = 0
    with gzip.open(io.BytesIO(body)) as stream:
        while piece := stream.read(1 << 20):
            total += len(piece)
            if total > most:
                raise too_large("would be too large unpacked", "body")


def _check_member(member: tarfile.TarInfo) -> None:
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise RefusedError(f"{member.name[:80]!r} would leave its folder", "body")
    if not (member.isfile() or member.isdir()):
        raise RefusedError(f"{member.name[:80]!r} is neither a file nor a folder", "body")
