"""Image folders in the two common layouts, OCI and ``docker save``: layers and config."""

import hashlib
import os
import platform
from typing import TypeVar

import msgspec

from gristmill.containers.paths import resolve_inside
from gristmill.domain.errors import InvalidInputError

LARGEST_DOCUMENT = 16 << 20
MOST_LAYERS = 1000
DEEPEST_INDEX = 4
BLOBS = "blobs/sha256/"

T = TypeVar("T")

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class ImageConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What an image says about how it is run."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    working_dir: str | None = None


class Layer(msgspec.Struct, frozen=True):
    """One layer: its file on the host and, where the layout tells it, its sha256."""

    path: str
    sha256: str | None = None


class Layout(msgspec.Struct, frozen=True):
    """An image to be put together: layers in order, config, digest, ``oci`` or ``docker``."""

    layers: tuple[Layer, ...]
    config: ImageConfig
    digest: str
    kind: str


class _Platform(msgspec.Struct, frozen=True):
    architecture: str = ""
    os: str = ""


class _Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    media_type: str = ""
    platform: _Platform | None = None


class _Index(msgspec.Struct, frozen=True):
    manifests: tuple[_Descriptor, ...]


class _Manifest(msgspec.Struct, frozen=True):
    config: _Descriptor
    layers: tuple[_Descriptor, ...]


class _Saved(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: tuple[str, ...]


class _Document(msgspec.Struct, frozen=True):
    config: ImageConfig | None = None


def read_layout(folder: str) -> Layout | None:
    """Return the image that a folder describes, or None when it is in neither layout.

    Raises InvalidInputError when it begins like one and is broken.
    """
    if _is_file(folder, "oci-layout") and _is_file(folder, "index.json"):
        return _oci(folder)
    if _is_file(folder, "manifest.json"):
        return _docker(folder)
    return None


def _oci(folder: str) -> Layout:
    descriptor = _image_of(folder, "index.json", DEEPEST_INDEX)
    manifest = _read(folder, _blob(descriptor.digest), _Manifest)
    document = _read(folder, _blob(manifest.config.digest), _Document)
    layers = tuple(
        Layer(_existing(folder, _blob(each.digest)), each.digest.partition(":")[2])
        for each in manifest.layers
    )
    return _layout(layers, document, descriptor.digest, "oci")


def _image_of(folder: str, path: str, depth: int) -> _Descriptor:
    """Follow an index to the manifest made for this machine, or else its first one."""
    found = _read(folder, path, _Index).manifests
    if not found:
        raise InvalidInputError(f"the image index {path!r} lists no image", field="path")
    machine = platform.machine()
    wanted = _ARCHITECTURES.get(machine, machine)
    chosen = next(
        (
            each
            for each in found
            if each.platform and (each.platform.os, each.platform.architecture) == ("linux", wanted)
        ),
        found[0],
    )
    if not chosen.media_type.endswith(("image.index.v1+json", "manifest.list.v2+json")):
        return chosen
    if depth == 0:
        raise InvalidInputError("the image index is nested too deep", field="path")
    return _image_of(folder, _blob(chosen.digest), depth - 1)


def _docker(folder: str) -> Layout | None:
    try:
        saved = _read(folder, "manifest.json", tuple[_Saved, ...])
    except InvalidInputError:
        # A root file system may hold a manifest.json of its own.
        return None
    if not saved:
        return None
    if len(saved) > 1:
        raise InvalidInputError(
            f"the archive holds {len(saved)} images; save one image to an archive", field="path"
        )
    document = _read(folder, saved[0].config, _Document)
    layers = tuple(Layer(_existing(folder, each)) for each in saved[0].layers)
    name = os.path.basename(saved[0].config).removesuffix(".json")
    return _layout(layers, document, f"sha256:{name}", "docker")


def _layout(layers: tuple[Layer, ...], document: _Document, digest: str, kind: str) -> Layout:
    if not layers or len(layers) > MOST_LAYERS:
        raise InvalidInputError(
            f"the image has {len(layers)} layers; 1 to {MOST_LAYERS} are taken", field="path"
        )
    return Layout(layers, document.config or ImageConfig(), digest, kind)


def _blob(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise InvalidInputError(f"{digest[:100]!r} is not a sha256 digest", field="path")
    return BLOBS + value


def _check_blob(path: str, text: bytes) -> None:
    if path.startswith(BLOBS) and hashlib.sha256(text).hexdigest() != path.removeprefix(BLOBS):
        raise InvalidInputError(f"{path!r} of the image does not match its digest", field="path")


def _is_file(folder: str, path: str) -> bool:
    return os.path.isfile(resolve_inside(folder, path))


def _existing(folder: str, path: str) -> str:
    found = resolve_inside(folder, path)
    if not os.path.isfile(found):
        raise InvalidInputError(f"the image names {path!r}, which it does not hold", field="path")
    return found


def _read(folder: str, path: str, shape: type[T]) -> T:
    found = _existing(folder, path)
    if os.path.getsize(found) > LARGEST_DOCUMENT:
        raise InvalidInputError(f"{path!r} of the image is too large for JSON", field="path")
    try:
        with open(found, "rb") as file:
            text = file.read()
        _check_blob(path, text)
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(
            f"{path!r} of the image is broken: {error}", field="path"
        ) from error
