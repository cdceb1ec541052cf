"""The folder of a task: the question that the server put there, and the answer."""

import os
from pathlib import Path

from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import Frame, Header, pack_head, unpack

QUESTION, ANSWER = "question", "answer"


def read_question(folder: Path) -> Frame:
    """Return what is to be done."""
    return unpack((folder / QUESTION).read_bytes())


def write_answer(folder: Path, header: Header, body: bytes) -> None:
    """Keep the answer; it is durable when this returns."""
    fresh = folder / f"{ANSWER}.new"
    with fresh.open("wb") as file:
        file.write(pack_head(header, len(body)) + body)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / ANSWER)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_refusal(folder: Path, error: RefusedError) -> None:
    """Keep why it was not done."""
    header = {"refused": error.kind, "message": str(error), "field": error.field, **error.told}
    write_answer(folder, header, str(error).encode())
