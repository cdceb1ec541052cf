import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from gristmill.containers.images import ImageStore
from gristmill.containers.trees import Limits
from gristmill.domain.errors import InvalidInputError, NotFoundError
from tests.containers.conftest import needs_root
from tests.containers.nobody import NOBODY, as_nobody
from tests.containers.rootfs import tar_bytes, tar_of


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "bin").mkdir(parents=True)
    tool = root / "bin" / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (root / "bin" / "alias").symlink_to("tool")
    (root / "absolute").symlink_to("/bin/tool")
    os.link(tool, root / "bin" / "same")
    return root


def trees(store: ImageStore) -> list[str]:
    return os.listdir(os.path.join(store.root, "trees"))


def test_a_folder_is_copied_with_links_and_modes(store: ImageStore, folder: Path) -> None:
    image = store.add("localhost/bb:1", folder, ["tool", "-x"])
    root = Path(image.rootfs)
    assert (root / "bin" / "tool").read_text() == "#!/bin/sh\n"
    assert (root / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert (root / "bin" / "alias").readlink() == Path("tool")
    assert (root / "absolute").readlink() == Path("/bin/tool")
    assert (root / "bin" / "same").stat().st_ino == (root / "bin" / "tool").stat().st_ino
    assert (root / "etc" / "resolv.conf").is_file()
    assert (root / "proc").is_dir()
    assert (image.source, image.entrypoint, image.workdir) == ("folder", ("tool", "-x"), "/")
    assert image.digest.startswith("sha256:")
    assert store.get("localhost/bb:1") == image
    assert store.list() == [image]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_of_every_packing(
    store: ImageStore, folder: Path, tmp_path: Path, mode: str
) -> None:
    image = store.add("eoscprominence/testpi", tar_of(folder, tmp_path / "no-suffix", mode))
    assert image.source == "archive"
    assert (Path(image.rootfs) / "bin" / "alias").read_text() == "#!/bin/sh\n"


def test_the_digest_of_a_folder_tells_content_apart(store: ImageStore, folder: Path) -> None:
    first = store.add("a", folder).digest
    assert store.add("b", folder).digest == first
    (folder / "bin" / "tool").write_text("#!/bin/xx\n")
    assert store.add("c", folder).digest != first


def test_unknown_images(store: ImageStore) -> None:
    assert store.get("nothing") is None
    assert store.get("\0") is None
    assert store.lease("nothing") is None
    assert store.list() == []
    with pytest.raises(NotFoundError):
        store.remove("nothing")


def test_a_leased_image_survives_replacement_and_removal(store: ImageStore, folder: Path) -> None:
    store.add("a", folder)
    lease = store.lease("a")
    assert lease is not None
    old = lease.image
    assert not isinstance(old, str)
    (folder / "new").touch()
    new = store.add("a", folder)
    assert os.path.exists(os.path.join(old.rootfs, "bin", "tool"))
    assert os.path.exists(os.path.join(new.rootfs, "new"))
    assert store.get("a") == new
    store.remove("a")
    assert not os.path.exists(new.rootfs)
    assert os.path.exists(old.rootfs)
    lease.release()
    lease.release()
    store.add("b", folder)
    assert not os.path.exists(old.rootfs)
    assert len(trees(store)) == 1


def test_a_lease_held_by_another_process_counts(store: ImageStore, folder: Path) -> None:
    image = store.add("a", folder)
    script = (
        "import sys; from pathlib import Path; from gristmill.containers.images import ImageStore\n"
        "with ImageStore(Path(sys.argv[1])).lease('a') as lease:\n"
        "    print(lease.image.rootfs, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, store.root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == image.rootfs
        store.remove("a")
        assert os.path.exists(image.rootfs)
        holder.kill()
        holder.wait()
    store.add("b", folder)
    assert not os.path.exists(image.rootfs)


def test_many_threads_replace_and_lease_at_once(store: ImageStore, folder: Path) -> None:
    store.add("a", folder)
    problems: list[BaseException] = []

    def replace() -> None:
        try:
            for _ in range(10):
                store.add("a", folder)
        except BaseException as error:
            problems.append(error)

    def use() -> None:
        try:
            for _ in range(100):
                lease = store.lease("a")
                assert lease is not None
                with lease as held:
                    assert not isinstance(held.image, str)
                    assert os.path.exists(os.path.join(held.image.rootfs, "bin", "tool"))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for work in (replace, replace, use, use)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    store.add("last", folder)
    assert len(trees(store)) == 2


def test_what_a_killed_add_left_is_cleared_away(store: ImageStore, folder: Path) -> None:
    store.add("a", folder)
    left = Path(store.root) / "trees" / "tleft"
    (left / "rootfs").mkdir(parents=True)
    store.add("b", folder)
    assert not left.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive at all" * 100, b"\x1f\x8bbroken", b"BZhbroken", b"\xfd7zXZ\0broken",
     b"\x28\xb5\x2f\xfdzstd"],
)  # fmt: skip
def test_files_that_are_no_image(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "x"
    source.write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        store.add("a", source)
    assert caught.value.field == "path"
    assert store.list() == []
    assert trees(store) == []


def test_sources_that_cannot_be(store: ImageStore, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "missing", empty, tmp_path / "pipe", tmp_path, Path("a\0b")):
        with pytest.raises(InvalidInputError):
            store.add("a", source)
    assert store.list() == []


@pytest.mark.parametrize("entrypoint", [[], [""], ["a\0"]])
def test_entrypoints_that_cannot_be(store: ImageStore, folder: Path, entrypoint: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        store.add("a", folder, entrypoint)
    assert caught.value.field == "entrypoint"


def test_limits_on_size_and_entries(tmp_path: Path, folder: Path) -> None:
    (folder / "large").write_bytes(b"\0" * (2 << 20))
    packed = tar_of(folder, tmp_path / "bomb.tgz", "w:gz")
    assert packed.stat().st_size < 20_000
    for limits in (Limits(size_mb=1), Limits(entries=3)):
        store = ImageStore(tmp_path / "images", limits)
        for source in (packed, folder):
            with pytest.raises(InvalidInputError, match="more than"):
                store.add("a", source)
        assert trees(store) == []


@needs_root
def test_an_ordinary_user_can_keep_and_remove_images(shared: Path) -> None:
    def odd(info: tarfile.TarInfo) -> None:
        info.mode, info.uid = (0o500 if info.name == "d" else 0o4755), 12

    source = shared / "x.tar"
    source.write_bytes(tar_bytes([("folder", "d", ""), ("file", "d/x", b"hello")], odd))
    home = shared / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)

    def work() -> None:
        store = ImageStore(home / "images")
        image = store.add("a", source)
        assert os.stat(f"{image.rootfs}/d/x").st_mode == 0o100755
        store.remove("a")
        assert not os.path.exists(image.rootfs)
        secret = shared / "secret"
        with pytest.raises(InvalidInputError, match="Permission denied"):
            store.add("b", secret)

    (shared / "secret").mkdir(0o700)
    as_nobody(work)


@needs_root
def test_owners_and_modes_are_kept_by_root(store: ImageStore, tmp_path: Path) -> None:
    def owned(info: tarfile.TarInfo) -> None:
        info.mode, info.uid, info.gid = 0o4750, 12, 34

    source = tmp_path / "x.tar"
    source.write_bytes(tar_bytes([("file", "x", b"hello")], owned))
    status = os.stat(os.path.join(store.add("a", source).rootfs, "x"))
    assert (status.st_mode, status.st_uid, status.st_gid) == (0o104750, 12, 34)
