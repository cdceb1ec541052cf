"""Images that come as files: fetched, and made into a root file system of the job's own."""

import os
import shutil
import subprocess
from pathlib import Path

from gristmill.agent.helper.plans import Answer, Pull
from gristmill.agent.helper.stage_out import locate
from gristmill.agent.helper.transfer import TransferError, fetch, file_name
from gristmill.containers.images import Image, ImageStore
from gristmill.containers.trees import Limits
from gristmill.domain.errors import GristmillError
from gristmill.domain.outcome import IMAGE_UNAVAILABLE

SQUASHED = (".sif", ".simg", ".sqsh", ".squashfs")
RUNSCRIPT = "/.singularity.d/runscript"
_MAGIC = b"hsqs"
_SCRIPT_HEADER = 31
_ALIGNMENT, _MOST_HEADER = 4096, 64 << 20


def pull(plan: Pull) -> Answer:
    """Fetch or find the file, and store its image."""
    work = os.path.join(plan.store, "incoming")
    os.makedirs(work, 0o700, exist_ok=True)
    try:
        source = _source(plan, work)
        store = ImageStore(Path(plan.store) / "images", Limits(size_mb=plan.most))
        if source.lower().endswith(SQUASHED):
            image = _add_squashed(store, plan.name, source, work)
        else:
            image = store.add(plan.name, Path(source))
    except (TransferError, GristmillError, OSError, ValueError) as error:
        return Answer(reason=IMAGE_UNAVAILABLE, message=str(error))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Answer(digest=image.digest)


def _source(plan: Pull, work: str) -> str:
    if plan.url:
        target = os.path.join(work, file_name(plan.url) or "image.tar")
        fetch(plan.url, target, plan.most, plan.authority)
        return target
    path = locate(plan.folder, plan.path)
    if not os.path.isfile(path):
        raise ValueError(f"there is no file {plan.path!r}")
    return path


def _add_squashed(store: ImageStore, name: str, source: str, work: str) -> Image:
    program = shutil.which("unsquashfs", path="/usr/bin:/usr/sbin:/usr/local/bin")
    if program is None:
        raise ValueError("neither apptainer nor unsquashfs (squashfs-tools) is on the node")
    folder = os.path.join(work, "rootfs")
    done = subprocess.run(
        [program, "-no-progress", "-no-xattrs", "-o", str(_offset(source)), "-d", folder, source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not os.path.isdir(folder):
        raise ValueError(f"the image is damaged: {done.stderr.strip()[-300:]}")
    script = os.path.isfile(folder + RUNSCRIPT)
    return store.add(name, Path(folder), ["/bin/sh", RUNSCRIPT] if script else None)


def _offset(source: str) -> int:
    """Return where the file system begins in the file. Raises ValueError."""
    with open(source, "rb") as file:
        offsets: list[int] = [0, _SCRIPT_HEADER, *range(_ALIGNMENT, _MOST_HEADER, _ALIGNMENT)]
        for offset in offsets:
            file.seek(offset)
            start = file.read(len(_MAGIC))
            if start == _MAGIC:
                return offset
            if not start:
                break
    raise ValueError("there is no file system in the image")
