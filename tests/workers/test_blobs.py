"""Where bytes are kept: in a folder, or wherever fsspec reaches."""

from pathlib import Path

import pytest

from gristmill.workers.blobs import Blobs, blobs_at
from gristmill.workers.refusals import RefusedError


@pytest.fixture(name="blobs", params=["folder", "memory"])
def _blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return blobs_at(str(tmp_path) if request.param == "folder" else f"memory://{tmp_path}")


def test_what_is_written_is_read_until_it_is_deleted(blobs: Blobs) -> None:
    assert blobs.write("a/b/one", b"12345") == 5
    assert blobs.read("a/b/one") == b"12345"
    with blobs.open("a/b/one") as file:
        file.seek(3)
        assert file.read() == b"45"
    blobs.delete("a/b/one")
    blobs.delete("a/b/one")
    for act in (blobs.read, blobs.open):
        with pytest.raises(RefusedError):
            act("a/b/one")


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../out"])
def test_no_path_leaves_the_folder(tmp_path: Path, path: str) -> None:
    blobs = blobs_at(str(tmp_path / "root"))
    for act in (blobs.read, blobs.open, blobs.delete, lambda p: blobs.write(p, b"x")):
        with pytest.raises(RefusedError):
            act(path)
    assert not (tmp_path / "out").exists()
