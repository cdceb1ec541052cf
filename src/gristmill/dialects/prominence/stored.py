"""A description as it is kept with its job: as submitted, secrets sealed."""

import base64
import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gristmill.dialects.prominence.validation.storage import SECRETS
from gristmill.services.keyring import SecretBox

HIDDEN = "***"
CREDENTIAL = "imagePullCredential"
NAMES = frozenset({"username", "app-username"})
"""Not secret, but hidden too: they are part of a login."""

_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode


def keep(job: dict[str, Any], box: SecretBox, owner: str) -> bytes:
    """Return what is kept of a checked description, with the default number of nodes."""
    kept = _with_nodes(copy.deepcopy(job))
    for holder, key in _logins(kept):
        holder[key] = base64.b64encode(box.seal(holder[key], _purpose(owner))).decode()
    return _encode(kept)


def submitted(data: bytes, box: SecretBox, owner: str) -> dict[str, Any]:
    """Return a description so that it can be submitted again."""
    job = _decode(data)
    for holder, key in _logins(job):
        holder[key] = box.open(base64.b64decode(holder[key]), _purpose(owner))
    return job


def shown(data: bytes) -> dict[str, Any]:
    """Return a description as its owner may see it."""
    job = _decode(data)
    for holder, key in _logins(job):
        holder[key] = HIDDEN
    return job


def _with_nodes(job: dict[str, Any]) -> dict[str, Any]:
    if "totalCpusRange" not in job["resources"]:
        job["resources"].setdefault("nodes", 1)
    return job


def _logins(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield where the parts of logins stand: the object and the key."""
    holders = [task[CREDENTIAL] for task in job["tasks"] if CREDENTIAL in task]
    storage = job.get("storage")
    if storage is not None:
        holders.append(storage[storage["type"]])
    for holder in holders:
        for key in holder:
            if key in SECRETS or key in NAMES:
                yield holder, key


def _purpose(owner: str) -> str:
    return f"a description of {owner}"
