"""Files a job takes in and gives out."""

import base64
import binascii
import posixpath
from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import check_flag, quoted

_ARTIFACT_KEYS = ("url", "mountpoint", "executable")
_INPUT_KEYS = ("filename", "content", "executable")
_NO_FILE = frozenset({"", ".", ".."})


def check_artifacts(value: object) -> None:
    """Refuse artifacts."""
    for artifact in _objects(value, "artifacts"):
        _check_keys(artifact, _ARTIFACT_KEYS, "artifact")
        url = artifact.get("url")
        if not isinstance(url, str) or not url.strip():
            raise bad("an artifact must contain a URL")
        if "mountpoint" in artifact:
            _check_mountpoint(artifact["mountpoint"])
        if "executable" in artifact:
            check_flag(artifact["executable"], "executable")


def _check_mountpoint(value: object) -> None:
    source, separator, target = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not separator or not target or ":" in target:
        raise bad("invalid mountpoint for artifact")
    if source in _NO_FILE or "/" in source:
        raise bad("invalid source in mountpoint for artifact")
    if not target.startswith("/"):
        raise bad("the mountpoint for an artifact must be an absolute path")


def check_outputs(value: object, key: str) -> None:
    """Refuse output files or folders; key: which."""
    if not isinstance(value, list):
        raise bad(f"an array of {key} must be provided")
    if not all(isinstance(path, str) and path for path in value):
        raise bad(f"{key} must be a list of strings")


def check_inputs(value: object) -> None:
    """Refuse inputs."""
    for item in _objects(value, "inputs"):
        _check_keys(item, _INPUT_KEYS, "input")
        name = item.get("filename")
        if not isinstance(name, str) or posixpath.basename(name) in _NO_FILE:
            raise bad("each input must contain a filename")
        if not _is_base64(item.get("content")):
            raise bad("each input must contain base64 encoded content")
        if "executable" in item:
            check_flag(item["executable"], "executable")


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _objects(value: object, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise bad(f"an array of {what} must be provided")
    return value


def _check_keys(value: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in value:
        if key not in allowed:
            raise bad(f"invalid item {quoted(key)} in {where}")
