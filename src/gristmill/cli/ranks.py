"""Output of all ranks of a run, each line with the rank it is from."""

import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gristmill.cli import failures
from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import JobView, StreamName

PATIENCE = 5.0
"""Seconds that the rest of the output gets once the job has ended."""


class Ranks:
    """Passes on what ranks write, line by line, so that they do not break into one another."""

    def __init__(self, session: Session, job_id: int, ranks: int) -> None:
        self._session, self._job, self._ranks = session, job_id, ranks
        self._writing = threading.Lock()

    def follow(self) -> "JobView":
        """Pass on both streams of every rank until the job has ended; return it as it is then."""
        streams: tuple[StreamName, ...] = ("stdout", "stderr")
        threads = [
            threading.Thread(target=self._pass_on, args=(rank, stream), daemon=True)
            for rank in range(self._ranks)
            for stream in streams
        ]
        for thread in threads:
            thread.start()
        view = self._session.client.wait(self._job)
        for thread in threads:
            thread.join(PATIENCE)
        return view

    def _pass_on(self, rank: int, stream: "StreamName") -> None:
        from gristmill.domain.errors import GristmillError

        output = sys.stderr.buffer if stream == "stderr" else sys.stdout.buffer
        mark = b"[%d] " % rank if self._ranks > 1 else b""
        data = self._session.client.output(self._job, stream, rank=rank, follow=True)
        try:
            for line in _lines(data):
                with self._writing:
                    output.write(mark + line)
                    output.flush()
        except GristmillError as error:
            self._session.output.note(f"rank {rank} is cut off: {failures.one_line(error)}")


def _lines(chunks: Iterable[bytes]) -> Iterable[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest + b"\n"
