"""Structured logs: one pipeline for our own lines and for those of libraries."""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from gristmill.agent.log import ForgivingStream

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The request that the current task works for; a part of each of its log lines."""


def configure_logging(style: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Write logs to stream from now on.

    style: ``console``, ``json``, or ``auto`` (console on a terminal). level: the least to log,
    as in ``info``.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final = _renderers(style, stream)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(ForgivingStream(stream)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    _route_libraries(shared, final, number, stream)


def _renderers(style: str, stream: TextIO) -> list[Processor]:
    if style == "console" or (style == "auto" and stream.isatty()):
        plain = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            # Rich tracebacks print local variables, and those can hold secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
        return [plain]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _route_libraries(
    shared: list[Processor], final: list[Processor], level: int, stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries speak of each connection and request at info; ours say that in their own words.
    root.setLevel(max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL + 1)


def _add_request_id(
    logger: object,  # noqa: ARG001 - the shape structlog calls
    method: str,  # noqa: ARG001
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    identifier = request_id.get()
    if identifier:
        event["request_id"] = identifier
    return event
