"""Archives that escape or explode, and code that is none, are refused unopened."""

import io
import tarfile
from pathlib import Path

import pytest

from gristmill.workers import scripts
from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import Frame


def _archive(*members: tuple[str, bytes], **odd: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in odd.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return sink.getvalue()


SETUP = ("pkg-1.0/setup.py", b"")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no archive",
        _archive(SETUP)[:-20],
        _archive(("pkg/only.txt", b"")),
        _archive(SETUP, ("../evil.py", b"")),
        _archive(SETUP, ("/etc/evil", b"")),
        _archive(SETUP, ("other/setup.py", b"")),
        _archive(SETUP, link="/etc/passwd"),
        _archive(SETUP, ("pkg-1.0/zeros", bytes(40_000_000))),
    ],
    ids=["empty", "text", "cut", "no setup", "escapes", "absolute", "two tops", "link", "explodes"],
)
def test_bad_archives_are_refused(tmp_path: Path, body: bytes) -> None:
    header = {"root": str(tmp_path), "path": "s", "archive": True}
    with pytest.raises(RefusedError):
        scripts.put(Frame(header, body))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"code": 7}', b'{"code": "def run(:"}', b'{"code": "x = 1"}', b'{"code": "\\u0000"}'],
)
def test_bad_code_is_refused(tmp_path: Path, body: bytes) -> None:
    header = {"root": str(tmp_path), "path": "s", "archive": False}
    with pytest.raises(RefusedError) as refused:
        scripts.put(Frame(header, body))
    assert refused.value.field == "code"


def test_a_source_distribution_is_stored(tmp_path: Path) -> None:
    body = _archive(SETUP, ("pkg-1.0/pkg/__init__.py", b"def run(om): pass"))
    done = scripts.put(Frame({"root": str(tmp_path), "path": "s", "archive": True}, body))
    assert done.header["form"] == "sdist"
    assert (tmp_path / "s").read_bytes() == body
