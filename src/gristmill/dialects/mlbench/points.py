"""Metric points on the wire."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from gristmill.dialects.mlbench import dates
from gristmill.dialects.mlbench.bodies import boolean, mapping, text
from gristmill.dialects.mlbench.errors import bad, refused
from gristmill.dialects.mlbench.pods import source_of
from gristmill.domain.metrics import NewPoint, Point, source_of_job

NEITHER = "Pod Name or run id have to be supplied"
LONGEST_POD, LONGEST_NAME = 500, 1024
LARGEST_RUN = (1 << 63) - 1


class Posted(NamedTuple):
    """A point that was posted, and where it goes. pod empty, run None: not there."""

    pod: str
    run: int | None
    name: str
    point: Point

    def placed(self, unknown: Collection[int] = ()) -> list[NewPoint]:
        """Return the point for each series it belongs to, but for runs that are unknown."""
        sources = [source_of(self.pod)] if self.pod else []
        if self.run is not None and self.run not in unknown:
            sources.append(source_of_job(self.run))
        return [NewPoint(source, self.name, self.point) for source in sources]

    def reply(self) -> dict[str, Any]:
        """Return what the client is told."""
        owner = {"pod_name": self.pod} if self.pod else {}
        point = self.point
        return {
            **owner,
            "name": self.name,
            "date": dates.write(point.at),
            "value": point.value,
            "cumulative": point.cumulative,
            "metadata": point.metadata,
        }


class _Plain(msgspec.Struct, gc=False):
    """A point as clients post it by the thousand: all in the types that the document gives."""

    name: str
    value: str
    pod_name: str = ""
    run_id: int | None = None
    date: str = ""
    metadata: str = ""
    cumulative: bool = False


_decode_plain = msgspec.json.Decoder(_Plain).decode


def read_plain(body: bytes, now: float) -> Posted | None:
    """Return the point of a usual body at small cost; None where read_point must look at it."""
    try:
        plain = _decode_plain(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    pod, run, at = plain.pod_name, plain.run_id, dates.read_usual(plain.date, now)
    usual = (
        at is not None
        and b"\\u0000" not in body
        and 0 < len(plain.name) <= LONGEST_NAME
        and (pod or run is not None)
        and (run is None or 0 < run <= LARGEST_RUN)
        and len(pod) <= LONGEST_POD
        and pod.isprintable()
        and pod.strip() == pod
    )
    if at is None or not usual:
        return None
    return Posted(pod, run, plain.name, Point(at, plain.value, plain.metadata, plain.cumulative))


def read_point(body: Any, now: float) -> Posted:
    """Return the point of a request. Raises RefusedError."""
    fields = mapping(body)
    pod, run = text(fields, "pod_name").strip(), text(fields, "run_id").strip()
    if not pod and not run:
        raise refused(400, NEITHER, data=body)
    if len(pod) > LONGEST_POD or not pod.isprintable():
        raise bad("pod_name must be a printable name of at most 500 characters")
    name = text(fields, "name")
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        raise bad("name must be a text of 1 to 1024 characters")
    if fields.get("value") is None:
        raise bad("value is missing")
    value, metadata = _stored(fields, "value"), _stored(fields, "metadata")
    point = Point(_date(fields, now), value, metadata, boolean(fields, "cumulative"))
    return Posted(pod, _run(run), name, point)


def _stored(fields: Mapping[str, Any], name: str) -> str:
    found = text(fields, name)
    if "\0" in found:
        raise bad(f"{name} holds a zero character")
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise bad(f"{name} is not valid text") from error
    return found


def _run(written: str) -> int | None:
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and len(written) <= 19):
        raise refused(404, "Run not found")
    number = int(written)
    if not 0 < number <= LARGEST_RUN:
        raise refused(404, "Run not found")
    return number


def _date(fields: Mapping[str, Any], now: float) -> int:
    written = text(fields, "date")
    if not written:
        return round(now * dates.MICRO)
    found = dates.read(written)
    if found is None:
        raise bad(f"date must be a time such as 2018-08-03T09:21:44.331823Z, not {written[:60]!r}")
    return found


def write_point(point: Point) -> dict[str, Any]:
    """Return a point of a series."""
    return {"date": dates.write(point.at), "value": point.value, "cumulative": point.cumulative}


def write_grouped(name: str, point: Point) -> dict[str, Any]:
    """Return a point as the later generation lists it."""
    return {
        "name": name,
        "value": point.value,
        "date": dates.write(point.at),
        "metadata": point.metadata,
        "cumulative": point.cumulative,
    }
