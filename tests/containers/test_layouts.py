import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from gristmill.containers.images import Image, ImageStore
from gristmill.domain.errors import InvalidInputError
from tests.containers.rootfs import Entry, tar_bytes, tar_of

CONFIG = {
    "config": {
        "Entrypoint": ["/bin/tool"],
        "Cmd": ["--help"],
        "Env": ["PATH=/bin", "A=b=c", "EMPTY="],
        "WorkingDir": "/work",
    }
}
LOWER: list[Entry] = [
    ("folder", "etc", ""), ("file", "etc/gone", b"1"), ("file", "etc/kept", b"1"),
    ("file", "etc/changed", b"1"), ("folder", "var/cache", ""), ("file", "var/cache/old", b"1"),
    ("folder", "usr/bin", ""), ("link", "bin", "usr/bin"), ("file", "swap/x", b"1"),
]  # fmt: skip
UPPER: list[Entry] = [
    ("file", "etc/.wh.gone", b""), ("file", "etc/changed", b"2"), ("file", "var/cache/new", b"2"),
    ("file", "var/cache/.wh..wh..opq", b""), ("file", "bin/tool", b"2"), ("file", "swap", b"2"),
]  # fmt: skip


def oci_layout(folder: Path, layers: Sequence[bytes], *, nested: bool = False) -> Path:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "config": put(json.dumps(CONFIG).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [put(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers],
    }
    kind = "application/vnd.oci.image.manifest.v1+json"
    entry = put(json.dumps(manifest).encode(), kind)
    index: dict[str, object] = {"schemaVersion": 2, "manifests": [entry]}
    if nested:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "none")
        other = put(b"{}", kind) | {"platform": {"os": "plan9", "architecture": machine}}
        ours = entry | {"platform": {"os": "linux", "architecture": machine}}
        inner = json.dumps({"manifests": [other, ours]}).encode()
        index["manifests"] = [put(inner, "application/vnd.oci.image.index.v1+json")]
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def docker_layout(folder: Path, layers: Sequence[bytes]) -> Path:
    folder.mkdir()
    names = []
    for number, layer in enumerate(layers):
        (folder / str(number)).mkdir()
        (folder / str(number) / "layer.tar").write_bytes(layer)
        names.append(f"{number}/layer.tar")
    text = json.dumps(CONFIG)
    name = hashlib.sha256(text.encode()).hexdigest() + ".json"
    (folder / name).write_text(text)
    (folder / "manifest.json").write_text(
        json.dumps([{"Config": name, "RepoTags": ["a:1"], "Layers": names}])
    )
    return folder


def check(image: Image, kind: str) -> None:
    root = Path(image.rootfs)
    assert not (root / "etc" / "gone").exists()
    assert (root / "etc" / "kept").read_text() == "1"
    assert (root / "etc" / "changed").read_text() == "2"
    assert os.listdir(root / "var" / "cache") == ["new"]
    assert (root / "usr" / "bin" / "tool").read_text() == "2"
    assert (root / "bin").is_symlink()
    assert (root / "swap").read_text() == "2"
    assert image.source == kind
    assert (image.entrypoint, image.cmd) == (("/bin/tool",), ("--help",))
    assert image.env == {"PATH": "/bin", "A": "b=c", "EMPTY": ""}
    assert image.workdir == "/work"


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


LAYERS = (tar_bytes(LOWER), tar_bytes(UPPER))


@pytest.mark.parametrize("nested", [False, True])
def test_an_oci_layout_as_folder_and_as_archive(
    store: ImageStore, tmp_path: Path, nested: bool
) -> None:
    layout = oci_layout(tmp_path / "oci", LAYERS, nested=nested)
    folder = store.add("folder", layout)
    archive = store.add("archive", tar_of(layout, tmp_path / "oci.tar"))
    check(folder, "oci")
    check(archive, "oci")
    assert folder.digest == archive.digest


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_saved_docker_image(store: ImageStore, tmp_path: Path, mode: str) -> None:
    layout = docker_layout(tmp_path / "docker", LAYERS)
    check(store.add("archive", tar_of(layout, tmp_path / "docker.tar", mode)), "docker")


def test_an_entrypoint_replaces_the_command_too(store: ImageStore, tmp_path: Path) -> None:
    image = store.add("a", oci_layout(tmp_path / "oci", LAYERS), ["sh", "-c", "true"])
    assert (image.entrypoint, image.cmd) == (("sh", "-c", "true"), ())


def test_a_whiteout_spares_what_its_own_layer_brings(store: ImageStore, tmp_path: Path) -> None:
    lower = tar_bytes([("file", "d/old", b"1"), ("file", "d/sub/old", b"1")])
    upper = tar_bytes([("file", "d/sub/new", b"2"), ("file", ".wh.d", b"")])
    image = store.add("a", oci_layout(tmp_path / "oci", [lower, upper]))
    assert os.listdir(os.path.join(image.rootfs, "d")) == ["sub"]
    assert os.listdir(os.path.join(image.rootfs, "d", "sub")) == ["new"]


def test_damaged_layers_are_noticed(store: ImageStore, tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "oci", LAYERS)
    largest = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[600] ^= 1
    largest.write_bytes(bytes(data))
    with pytest.raises(InvalidInputError, match="damaged"):
        store.add("a", layout)


@pytest.mark.parametrize(
    "index",
    ["{", "[]", '{"manifests": []}', '{"manifests": [{"digest": "sha256:../../../x"}]}',
     '{"manifests": [{"digest": "md5:0"}]}', "[" * 100_000,
     '{"manifests": [{"digest": "sha256:' + "0" * 64 + '"}]}'],
)  # fmt: skip
def test_broken_indexes_are_refused(store: ImageStore, tmp_path: Path, index: str) -> None:
    layout = oci_layout(tmp_path / "oci", LAYERS)
    (layout / "index.json").write_text(index)
    with pytest.raises(InvalidInputError) as caught:
        store.add("a", layout)
    assert caught.value.field == "path"


def test_whiteouts_cannot_leave_the_tree(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    for name in (".wh...", "../.wh.kept", "up/.wh.kept"):
        layer = tar_bytes([("link", "up", str(tmp_path)), ("file", name, b"")])
        layout = oci_layout(tmp_path / "oci", [layer])
        with contextlib.suppress(InvalidInputError):
            store.add("a", layout)
        shutil.rmtree(layout)
        assert (tmp_path / "kept").exists()


def test_a_root_may_hold_a_manifest_of_its_own(store: ImageStore, tmp_path: Path) -> None:
    source = tmp_path / "root"
    source.mkdir()
    (source / "manifest.json").write_text('{"name": "a web page"}')
    assert store.add("a", source).source == "folder"


def test_what_the_common_tools_write(store: ImageStore, tmp_path: Path, rootfs: Path) -> None:
    if shutil.which("skopeo") is None or shutil.which("umoci") is None:
        pytest.skip("skopeo and umoci are not installed")
    layout, bundle = tmp_path / "oci", tmp_path / "bundle"
    for words in (
        ["umoci", "init", "--layout", layout],
        ["umoci", "new", "--image", f"{layout}:1"],
        ["umoci", "unpack", "--rootless", "--image", f"{layout}:1", bundle],
    ):
        subprocess.run(list(map(str, words)), check=True, capture_output=True)
    shutil.copytree(rootfs, bundle / "rootfs", symlinks=True, dirs_exist_ok=True)
    for words in (
        ["umoci", "repack", "--image", f"{layout}:1", bundle],
        ["umoci", "config", "--image", f"{layout}:1", "--config.entrypoint", "/bin/echo"],
        ["skopeo", "copy", f"oci:{layout}:1", f"oci-archive:{tmp_path / 'oci.tar'}:a"],
        ["skopeo", "copy", f"oci:{layout}:1", f"docker-archive:{tmp_path / 'docker.tar'}:a:1"],
    ):
        subprocess.run(list(map(str, words)), check=True, capture_output=True)
    for source, kind in ((layout, "oci"), (tmp_path / "oci.tar", "oci"),
                         (tmp_path / "docker.tar", "docker")):  # fmt: skip
        image = store.add(f"made/with:{kind}", source)
        assert (image.source, image.entrypoint) == (kind, ("/bin/echo",))
        assert os.access(os.path.join(image.rootfs, "bin", "busybox"), os.X_OK)
