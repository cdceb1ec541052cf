"""What the ranks of a run wrote, as one growing list of lines.

Clients read the list again and again and show what is new at its end, so lines stay where they
once were: ranks are interleaved as their lines are seen.
"""

from collections import OrderedDict

from gristmill.domain.errors import NotFoundError, UnavailableError
from gristmill.domain.identity import Identity
from gristmill.protocol.messages import Stream
from gristmill.services.outputs import Outputs

MOST_KEPT = 200
"""Runs whose lines are kept between two looks."""

MOST_BYTES = 32 << 20
"""Of one rank's stream; more is left to the native interface, which reads piece by piece."""


class _Source:
    """One rank's stream: how far it was read, and the line that has not ended yet."""

    def __init__(self) -> None:
        self.offset = 0
        self.rest = b""


class _Lines:
    def __init__(self, ranks: int) -> None:
        self.lines: list[str] = []
        self.sources = [_Source() for _ in range(ranks)]
        self.attempt = 0


class Transcripts:
    """The lines of runs, read on from where the last look ended."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._kept: OrderedDict[tuple[int, Stream], _Lines] = OrderedDict()

    def forget(self, job: int) -> None:
        """Drop what is kept of a run."""
        for stream in Stream:
            self._kept.pop((job, stream), None)

    async def lines(
        self, who: Identity, job: int, stream: Stream, *, ranks: int, attempt: int, ended: bool
    ) -> list[str]:
        """Return the lines that are complete, and after the end also those that never will be."""
        kept = self._kept.setdefault((job, stream), _Lines(ranks))
        self._kept.move_to_end((job, stream))
        while len(self._kept) > 2 * MOST_KEPT:
            self._kept.popitem(last=False)
        if kept.attempt != attempt:
            kept.attempt = attempt
            kept.sources = [_Source() for _ in range(ranks)]
        for rank, source in enumerate(kept.sources):
            await self._read_on(who, job, stream, rank, source, kept)
        shown = list(kept.lines)
        if ended:
            shown += [_text(source.rest) for source in kept.sources if source.rest]
        return shown

    async def _read_on(
        self, who: Identity, job: int, stream: Stream, rank: int, source: _Source, kept: _Lines
    ) -> None:
        while source.offset < MOST_BYTES:
            start = source.offset
            try:
                chunk = await self._outputs.read(
                    who, job, stream, offset=start, attempt=kept.attempt, rank=rank
                )
            except (NotFoundError, UnavailableError):
                return
            # Another look may have read the same while this one waited.
            if not chunk.data or source.offset != start:
                return
            source.offset = chunk.next_offset
            *complete, source.rest = (source.rest + chunk.data).split(b"\n")
            kept.lines.extend(map(_text, complete))


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
