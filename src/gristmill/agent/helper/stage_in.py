"""Before the tasks: artifacts are fetched and unpacked, inputs written."""

import base64
import binascii
import os
import time

from gristmill.agent.helper import archives
from gristmill.agent.helper.plans import Answer, StageIn
from gristmill.agent.helper.transfer import TransferError, fetch, file_name
from gristmill.containers.paths import resolve_inside
from gristmill.containers.trees import Limits, Meta, TreeWriter
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.outcome import (
    ARTIFACT_DOWNLOAD_FAILED,
    ARTIFACT_UNPACK_FAILED,
    COULD_NOT_START,
)
from gristmill.domain.staging import Artifact, Input

EXECUTABLE, PLAIN = 0o755, 0o644


def stage_in(plan: StageIn) -> Answer:
    """Bring everything in; the first failure ends it."""
    writer = TreeWriter(plan.folder, Limits(size_mb=plan.most), keep_owners=False)
    for artifact in plan.artifacts:
        try:
            _bring(artifact, plan, writer)
        except TransferError as error:
            return Answer(
                reason=ARTIFACT_DOWNLOAD_FAILED, message=f"{_shown(artifact.url)}: {error}"
            )
        except InvalidInputError as error:
            return Answer(reason=ARTIFACT_UNPACK_FAILED, message=f"{_shown(artifact.url)}: {error}")
    for item in plan.inputs:
        try:
            _write(item, writer)
        except (InvalidInputError, binascii.Error) as error:
            return Answer(reason=COULD_NOT_START, message=f"input {item.name!r}: {error}")
    return Answer()


def _bring(artifact: Artifact, plan: StageIn, writer: TreeWriter) -> None:
    if not artifact.url.lower().startswith(("http://", "https://")):
        raise TransferError("there is no such object")
    name = file_name(artifact.url) or "artifact"
    # A link that an earlier artifact put there must not lead the download out of the folder.
    writer.file(name, Meta(PLAIN, 0, 0, time.time()), ())
    path = resolve_inside(plan.folder, name)
    fetch(artifact.url, path, plan.most, plan.authority)
    if archives.is_archive(name):
        archives.extract(path, writer)
        if os.path.lexists(path):
            os.unlink(path)
    elif artifact.executable:
        os.chmod(path, EXECUTABLE)


def _write(item: Input, writer: TreeWriter) -> None:
    name = item.name.rpartition("/")[2]
    mode = EXECUTABLE if item.executable else PLAIN
    content = base64.b64decode(item.content)
    writer.file(name, Meta(mode, 0, 0, time.time()), (content,))


def _shown(url: str) -> str:
    """Return an address without what signs it or logs in."""
    return url.partition("?")[0].rpartition("@")[2]
