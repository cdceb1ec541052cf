"""After the tasks: outputs are found, packed and sent. The job has left links of its own making."""

import glob
import os
import tarfile

from gristmill.agent.helper.plans import Answer, Find, Sent, Snapshot, StageOut, WantedOutput
from gristmill.agent.helper.transfer import TransferError, send
from gristmill.containers.paths import resolve_inside
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.outcome import (
    STAGE_OUT_MISSING,
    STAGE_OUT_PACK_FAILED,
    STAGE_OUT_UPLOAD_FAILED,
)

HOME_INSIDE = "/home/user"
"""Where a container sees the job's folder; links made in there begin with it."""

_WORST_FIRST = (STAGE_OUT_MISSING, STAGE_OUT_UPLOAD_FAILED, STAGE_OUT_PACK_FAILED)


def find(plan: Find) -> Answer:
    """Return for each output the path it means: of a pattern the first match in order."""
    found = []
    for output in plan.outputs:
        path = output.path
        if not output.folder and not os.path.lexists(os.path.join(plan.folder, path)):
            path = min(glob.iglob(path, root_dir=plan.folder, include_hidden=True), default=path)
        found.append(path)
    return Answer(found=found)


def stage_out(plan: StageOut) -> Answer:
    """Send every output that is there; the reason is that of the first kind that failed."""
    answer = Answer()
    reasons: dict[str, str] = {}
    for output in plan.outputs:
        size = -1
        try:
            size = _send(plan, output)
        except _StageOutError as error:
            reasons.setdefault(error.reason, f"{output.path}: {error}")
        answer.sent.append(Sent(output.path, size))
    for reason in _WORST_FIRST:
        if reason in reasons:
            answer.reason, answer.message = reason, reasons[reason]
            break
    return answer


def snapshot(plan: Snapshot) -> Answer:
    """Pack one file or folder and send it."""
    try:
        path = locate(plan.folder, plan.path)
        if not os.path.lexists(path):
            return Answer(reason=STAGE_OUT_MISSING, message=f"{plan.path!r} does not exist")
        packed = pack(path, os.path.basename(path.rstrip("/")) or "snapshot", plan.work)
        send(packed, plan.url, plan.authority)
    except _StageOutError as error:
        return Answer(reason=error.reason, message=str(error))
    except TransferError as error:
        return Answer(reason=STAGE_OUT_UPLOAD_FAILED, message=str(error))
    return Answer()


class _StageOutError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _send(plan: StageOut, output: WantedOutput) -> int:
    path = locate(plan.folder, output.path)
    if not (os.path.isdir(path) if output.folder else os.path.isfile(path)):
        kind = "folder" if output.folder else "file"
        raise _StageOutError(STAGE_OUT_MISSING, f"there is no such {kind}")
    packed = ""
    if output.folder:
        name = os.path.basename(os.path.normpath(output.path))
        packed = path = pack(path, name, plan.work)
    try:
        return send(path, output.url, plan.authority)
    except TransferError as error:
        raise _StageOutError(STAGE_OUT_UPLOAD_FAILED, str(error)) from error
    finally:
        if packed:
            os.unlink(packed)


def locate(folder: str, path: str) -> str:
    """Return where a path of the job leads, which is never out of its folder."""
    try:
        found = resolve_inside(folder, path)
        for home in (HOME_INSIDE, folder.rstrip("/")):
            inner = found[len(folder.rstrip("/")) :]
            if not os.path.lexists(found) and inner.startswith(home + "/"):
                found = resolve_inside(folder, inner[len(home) :])
    except InvalidInputError as error:
        raise _StageOutError(STAGE_OUT_MISSING, str(error)) from error
    return found


def pack(path: str, name: str, work: str) -> str:
    """Pack a file or folder under name into a new archive; links stay links."""
    packed = os.path.join(work, "packed.tgz")
    try:
        with tarfile.open(packed, "w:gz", compresslevel=6) as archive:
            archive.add(path, arcname=name, filter=_packable)
    except (OSError, tarfile.TarError, ValueError) as error:
        raise _StageOutError(STAGE_OUT_PACK_FAILED, str(error)) from error
    return packed


def _packable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None
