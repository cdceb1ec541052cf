"""Secrets inside job specs: sealed before they are stored, opened for the agent that needs them."""

import base64
import binascii

from msgspec.structs import replace

from gristmill.domain.errors import UnavailableError
from gristmill.domain.job import JobSpec, Task
from gristmill.services.keyring import SecretBox


def sealed(spec: JobSpec, box: SecretBox, owner: str) -> JobSpec:
    """Return the spec with its secrets readable only for the same owner's jobs."""
    if not spec.storage and not any(task.credential for task in spec.tasks):
        return spec
    return replace(
        spec,
        tasks=tuple(_sealed_task(task, box, owner) for task in spec.tasks),
        storage=tuple(
            replace(each, secret=_seal(each.secret, box, owner)) for each in spec.storage
        ),
    )


def opened(text: str, box: SecretBox, owner: str) -> str:
    """Return a secret in clear. Raises UnavailableError when it is not one of this owner's."""
    try:
        return box.open(base64.b64decode(text, validate=True), _purpose(owner))
    except binascii.Error as error:
        raise UnavailableError("a secret of the job was not sealed here") from error


def _sealed_task(task: Task, box: SecretBox, owner: str) -> Task:
    if task.credential is None:
        return task
    token = _seal(task.credential.token, box, owner)
    return replace(task, credential=replace(task.credential, token=token))


def _seal(text: str, box: SecretBox, owner: str) -> str:
    return base64.b64encode(box.seal(text, _purpose(owner))).decode()


def _purpose(owner: str) -> str:
    return f"a job of {owner}"
