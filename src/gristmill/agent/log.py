"""The agent's log: lines on standard error, which a full disk cannot turn into a failure."""

import contextlib
import logging
import sys
from typing import TextIO

import structlog


class ForgivingStream:
    """A stream whose lines are lost where they cannot be written: logging must not fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text if possible."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush if possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure_logging() -> None:
    """Write one JSON object a line from now on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(ForgivingStream(sys.stderr)),  # type: ignore[arg-type]
    )
