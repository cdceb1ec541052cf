"""What a worker can be asked, and how its answers and refusals go back."""

import contextlib
import signal
import socket
import sys
import traceback
from collections.abc import Callable

import msgspec

from gristmill.workers import datasets, inference, models, notebooks, scripts
from gristmill.workers.blobs import blobs_at
from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import INTERNAL, TOO_LARGE, BrokenWireError, Frame, receive, send

Call = Callable[[Frame], Frame]

LONGEST_CALL = 600
"""Seconds; a call that takes longer ends its worker, and another takes its place."""


def delete(question: Frame) -> Frame:
    """Remove blobs."""
    blobs = blobs_at(question.header["root"])
    for path in question.header["paths"]:
        blobs.delete(path)
    return Frame({}, b"")


def ping(question: Frame) -> Frame:
    """Say that there is a worker."""
    return Frame({}, question.body)


CALLS: dict[str, Call] = {
    "ping": ping,
    "delete": delete,
    "dataset.write": datasets.write,
    "dataset.read": datasets.read,
    "model.create": models.create,
    "model.ask": models.ask,
    "model.change": models.change,
    "model.infer": inference.infer,
    "notebook.put": notebooks.put,
    "notebook.get": notebooks.get,
    "notebook.export": notebooks.export,
    "script.put": scripts.put,
}


def serve(connection: socket.socket, limit: float | None) -> bool:
    """Answer the one question of a connection; return whether the worker is as good as before.

    limit: seconds after which the kernel ends this process; None for none. A question may say
    ``seconds`` of its own.
    """
    with connection:
        try:
            question = receive(connection)
        except (BrokenWireError, OSError, msgspec.DecodeError):
            return True
        signal.setitimer(signal.ITIMER_REAL, question.header.get("seconds") or limit or 0)
        good = True
        try:
            answer = _answer(question)
        except RefusedError as error:
            answer = _refusal(error.kind, str(error), error.field)
        except (MemoryError, RecursionError) as error:
            good = False
            what = "memory" if isinstance(error, MemoryError) else "depth"
            answer = _refusal(TOO_LARGE, f"this needs more {what} than a worker may use", "data")
        except Exception:
            traceback.print_exc(file=sys.stderr)
            answer = _refusal(INTERNAL, "the worker failed; its log says why", "")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(OSError):
            send(connection, answer.header, answer.body, answer.more)
        return good


def _answer(question: Frame) -> Frame:
    call = CALLS.get(question.header.get("op", ""))
    if call is None:
        return _refusal(INTERNAL, f"workers cannot {question.header.get('op')!r}", "")
    return call(question)


def _refusal(kind: str, message: str, field: str) -> Frame:
    return Frame({"refused": kind, "message": message, "field": field}, message.encode())
