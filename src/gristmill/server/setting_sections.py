"""The settings of one part of the server each, a section of the TOML file."""

from pathlib import Path
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from gristmill.server.setting_kinds import (
    FOLDER,
    LISTEN,
    TIMEZONE,
    Address,
    Kind,
    count,
    megabytes,
    number,
    or_word,
    seconds,
)

DAY = 86400.0


class Declared(NamedTuple):
    """What is said of a setting where it is declared. default: as a person would write it."""

    kind: Kind
    default: str
    help: str
    secret: bool = False


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that the local engine starts beside the server."""

    cpus: Annotated[
        float | None,
        Declared(or_word("auto", number(0.01, 100_000)), "auto", "cores it offers; auto: all"),
    ]
    memory: Annotated[
        int | None,
        Declared(
            or_word("auto", megabytes(1, 10**9)),
            "auto",
            "megabytes it offers; auto: the machine's",
        ),
    ]
    output_head: Annotated[
        int, Declared(count(0, 1 << 40), "0", "bytes kept of the head of each output stream")
    ]
    output_tail: Annotated[
        int,
        Declared(
            count(0, 1 << 40),
            "0",
            "bytes kept of the tail of each output stream; with both 0 all of it is kept",
        ),
    ]
    output_limit: Annotated[
        int,
        Declared(megabytes(1, 10**9), "16G", "output in megabytes after which a job is ended"),
    ]
    grace: Annotated[
        float, Declared(seconds(0, 3600), "5s", "time between asking a job to end and forcing it")
    ]
    linger: Annotated[
        float,
        Declared(
            seconds(1, 365 * DAY),
            "60s",
            "seconds an agent without a job waits for a server that is away, then leaves",
        ),
    ]


class WrSection(msgspec.Struct, frozen=True, kw_only=True):
    """The wr interface."""

    upload_dir: Annotated[
        Path | None,
        Declared(
            or_word("", FOLDER), "", "folder of uploaded files; otherwise uploads in the home"
        ),
    ]
    retry_delay: Annotated[
        float, Declared(seconds(0, 30 * DAY), "30s", "pause before a job's first retry")
    ]
    retry_max_delay: Annotated[
        float, Declared(seconds(0, 30 * DAY), "30m", "longest pause before a retry")
    ]
    retry_jitter: Annotated[
        float, Declared(seconds(0, 30 * DAY), "30s", "random part on top of each pause")
    ]


class JobRunnerSection(msgspec.Struct, frozen=True, kw_only=True):
    """The Job-Runner interface, and the schedules behind it."""

    timezone: Annotated[
        ZoneInfo, Declared(TIMEZONE, "UTC", "time zone of schedules and of moments on the wire")
    ]
    health_interval: Annotated[
        float,
        Declared(seconds(1, DAY), "300s", "how often external workers are pinged and looked after"),
    ]
    broadcast: Annotated[
        Address | None,
        Declared(LISTEN, "off", "where workers subscribe to offers over ZeroMQ; usual port 5556"),
    ]
    events: Annotated[
        Address | None,
        Declared(LISTEN, "off", "where workers publish events over ZeroMQ; usual port 5555"),
    ]
    websocket: Annotated[
        Address | None,
        Declared(LISTEN, "off", "where dashboards follow events; usual port 5000"),
    ]
