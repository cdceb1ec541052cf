"""Times as clients know them: ISO 8601 of UTC, without a zone, with microseconds."""

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """Return epoch seconds as ``2016-02-06T21:33:49.833000``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def spaced(seconds: float) -> str:
    """Return epoch seconds as ``2016-01-16 22:05:06.192000``."""
    return iso(seconds).replace("T", " ")
