"""The settings of one part of the server each, a section of the TOML file."""

from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from gristmill.server.setting_kinds import (
    FILE,
    FOLDER,
    PATTERNS,
    WORD,
    Kind,
    choice,
    count,
    megabytes,
    number,
    or_word,
    seconds,
)

DAY = 86400.0


class Declared(NamedTuple):
    """What is said of a setting where it is declared. default: as a person would write it.

    also: a variable of an older system that operators may have set; ours goes first.
    """

    kind: Kind
    default: str
    help: str
    secret: bool = False
    also: str = ""


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


class DataSection(msgspec.Struct, frozen=True, kw_only=True):
    """Tables and models."""

    url: Annotated[
        str,
        Declared(
            or_word("", WORD),
            "",
            "where they are kept, such as s3://bucket/prefix; otherwise blobs/data in the home",
        ),
    ]
    workers: Annotated[
        int | None,
        Declared(
            or_word("auto", count(1, 256)),
            "auto",
            "calls that are answered at a time; auto: as many as cores, from 2 to 8",
        ),
    ]
    worker_memory: Annotated[
        int, Declared(megabytes(256, 10**7), "4G", "memory of each worker, in megabytes")
    ]
    call_limit: Annotated[
        float, Declared(seconds(1, 30 * DAY), "10m", "longest a call may take; tasks have no limit")
    ]
    idle: Annotated[
        float,
        Declared(seconds(1, 365 * DAY), "15m", "pause after which workers leave until asked again"),
    ]


class OmegaSection(msgspec.Struct, frozen=True, kw_only=True):
    """The omega-ml interface."""

    rules: Annotated[
        Path | None,
        Declared(
            or_word("", FILE),
            "",
            "file of serve rules, one regular expression over resource/name/action a line; it "
            "goes before rules given otherwise",
        ),
    ]
    rule: Annotated[
        tuple[str, ...],
        Declared(
            PATTERNS,
            "",
            "serve rule; repeat it for several. Without any, everything is served",
            also="OMEGA_RESTAPI_FILTER",
        ),
    ]
    profile: Annotated[
        str,
        Declared(
            choice("seed", "flask"), "seed", "status codes: as documented, or those of release 0.18"
        ),
    ]
    bucket: Annotated[str, Declared(WORD, "store", "what the default bucket is called there")]
    access: Annotated[
        str,
        Declared(
            choice("auto", "token"),
            "auto",
            "who is answered without a credential: clients on this machine while nobody has an "
            "API key, or nobody",
        ),
    ]
    user: Annotated[
        str, Declared(WORD, "omega", "user whom clients without a credential stand for")
    ]
