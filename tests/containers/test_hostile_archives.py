import io
import os
import tarfile
from pathlib import Path

import pytest

from gristmill.containers.images import ImageStore
from gristmill.domain.errors import InvalidInputError
from tests.containers.rootfs import Entry, tar_bytes


def add(tmp_path: Path, data: bytes) -> Path:
    source = tmp_path / "x.tar"
    source.write_bytes(data)
    return Path(ImageStore(tmp_path / "images").add("x", source).rootfs)


def refused(tmp_path: Path, data: bytes, words: str) -> None:
    before = sorted(path for path in tmp_path.iterdir() if path.name not in {"x.tar", "images"})
    with pytest.raises(InvalidInputError, match=words):
        add(tmp_path, data)
    after = sorted(path for path in tmp_path.iterdir() if path.name not in {"x.tar", "images"})
    assert before == after
    assert os.listdir(tmp_path / "images" / "trees") == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (("file", "/etc/evil", b"x"), "absolute"),
        (("file", "../evil", b"x"), "leaves"),
        (("file", "a/../../evil", b"x"), "leaves"),
        (("folder", "..", ""), "leaves"),
        (("hard", "a", "/etc/passwd"), "absolute"),
        (("hard", "a", "../../../etc/passwd"), "leaves"),
        (("hard", "a", "missing"), "no file"),
        (("file", ".", b"x"), "root"),
        (("file", "n" * 300, b"x"), "long"),
        (("link", "a", ""), "impossible"),
    ],
)
def test_entries_that_are_refused(tmp_path: Path, entry: Entry, words: str) -> None:
    refused(tmp_path, tar_bytes([("file", "first", b"x"), entry]), words)


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    root = add(
        tmp_path,
        tar_bytes(
            [
                ("link", "up", "../../../../../../../.."),
                ("link", "direct", str(outside)),
                ("link", "target", str(outside / "kept")),
                ("file", "direct/evil", b"x"),
                ("file", "up/evil", b"x"),
                ("file", "target", b"replaced"),
                ("folder", "direct", ""),
                ("file", "direct/kept", b"x"),
            ]
        ),
    )
    assert os.listdir(outside) == ["kept"]
    assert (outside / "kept").read_text() == "kept"
    assert (root / "evil").exists()
    assert (root / str(outside).lstrip("/") / "evil").exists()
    assert (root / "target").read_text() == "replaced"
    assert not os.path.islink(root / "direct")


def test_relative_links_end_at_the_root(tmp_path: Path) -> None:
    root = add(
        tmp_path,
        tar_bytes(
            [
                ("folder", "a/b", ""),
                ("link", "a/b/out", "../../../../etc/shadow"),
                ("link", "a/b/fine", "../../etc/hosts"),
                ("link", "short", "a/b"),
                ("link", "short/through", "../../x"),
            ]
        ),
    )
    assert os.readlink(root / "a/b/out") == "../../etc/shadow"
    assert os.readlink(root / "a/b/fine") == "../../etc/hosts"
    assert os.readlink(root / "a/b/through") == "../../x"


def test_a_hard_link_to_a_link_does_not_follow_it(tmp_path: Path) -> None:
    root = add(tmp_path, tar_bytes([("link", "a", "/etc/shadow"), ("hard", "b", "a")]))
    assert os.readlink(root / "b") == "/etc/shadow"


def test_loops_of_links_are_refused(tmp_path: Path) -> None:
    entries: list[Entry] = [("link", "a", "b"), ("link", "b", "a"), ("file", "a/x", b"")]
    refused(tmp_path, tar_bytes(entries), "loop")


def test_device_nodes_are_skipped_and_noted(tmp_path: Path) -> None:
    source = tmp_path / "x.tar"
    source.write_bytes(
        tar_bytes([("file", "x", b""), ("device", "dev/mem", ""), ("pipe", "p", "")])
    )
    image = ImageStore(tmp_path / "images").add("x", source)
    assert len(image.notes) == 2
    assert "dev/mem" in image.notes[0]
    assert not os.path.lexists(os.path.join(image.rootfs, "p"))


def test_impossible_owners_are_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("owners count for root only")

    def owner(info: tarfile.TarInfo) -> None:
        info.uid = 1 << 40

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("x")
        owner(info)
        tar.addfile(info)
    refused(tmp_path, buffer.getvalue(), "owner")


def test_a_huge_header_is_not_read_into_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 34
    refused(tmp_path, info.tobuf() + b"\0" * 4096, "header")


@pytest.mark.parametrize("cut", [300, 512 + 3000, 512 + 10240 + 100])
def test_archives_that_are_cut_off_or_damaged(tmp_path: Path, cut: int) -> None:
    whole = tar_bytes([("file", "a", b"x" * 10_000), ("file", "b", b"y" * 10_000)])
    refused(tmp_path, whole[:cut], "damaged")


def test_garbage_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    whole = bytearray(tar_bytes([("file", "a", b"x"), ("file", "b", b"y")]))
    whole[1024:1536] = b"\xff" * 512
    refused(tmp_path, bytes(whole), "damaged")
