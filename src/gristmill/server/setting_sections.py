"""The settings of one part of the server each, a section of the TOML file."""

from pathlib import Path
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from gristmill.server.setting_kinds import (
    CORES,
    FILE,
    FOLDER,
    LISTEN,
    PATTERNS,
    STORE,
    SWITCH,
    TEXT,
    TIMEZONE,
    URL,
    WORD,
    Address,
    Kind,
    choice,
    count,
    megabytes,
    number,
    or_word,
    seconds,
    words,
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
    bandwidth: Annotated[
        bool,
        Declared(
            SWITCH,
            "true",
            "limit what ranks send each other where their job asks for it, in a network of their "
            "own; needs root",
        ),
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


class ObjectsSection(msgspec.Struct, frozen=True, kw_only=True):
    """The object store."""

    max_size: Annotated[int, Declared(megabytes(1, 10**8), "5G", "largest object, in megabytes")]


class OidcSection(msgspec.Struct, frozen=True, kw_only=True):
    """An external identity provider whose tokens are taken beside our own."""

    provider: Annotated[
        str, Declared(URL, "", "OpenID Connect issuer, such as https://aai.example/oidc; none: off")
    ]
    username_claim: Annotated[
        str, Declared(WORD, "preferred_username", "claim that holds the user's name, else sub")
    ]
    entitlements: Annotated[
        tuple[str, ...],
        Declared(
            words(" "),
            "",
            "who may come in: for at least one of these words, all of its entitlements, joined "
            "by commas, must be the user's; none: everybody whom the provider knows",
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


class MlbenchSection(msgspec.Struct, frozen=True, kw_only=True):
    """The MLBench interface."""

    user: Annotated[
        str, Declared(WORD, "mlbench", "user of the core that all runs and pods belong to")
    ]
    access: Annotated[
        str,
        Declared(
            choice("loopback", "anyone", "token"),
            "loopback",
            "who is answered: clients on this machine, anybody, or holders of a token",
        ),
    ]
    pods: Annotated[
        int, Declared(count(0, 10_000), "2", "worker pods that are listed while nothing runs")
    ]
    default_command: Annotated[
        str,
        Declared(
            TEXT, "", "what a run without an image does on each rank; otherwise a short check"
        ),
    ]
    max_workers: Annotated[
        int,
        Declared(
            count(1, 100_000),
            "3",
            "workers that may run at once; further runs with an image wait",
            also="MLBENCH_MAX_WORKERS",
        ),
    ]
    worker_max_cpu: Annotated[
        float,
        Declared(
            CORES,
            "8",
            "most cores of a worker that the form offers",
            also="MLBENCH_WORKER_MAX_CPU",
        ),
    ]
    max_gpu_per_worker: Annotated[
        int,
        Declared(
            count(0, 1000),
            "0",
            "how often a host is named in {hosts}; 0: once",
            also="MLBENCH_MAX_GPU_PER_WORKER",
        ),
    ]
    max_bandwidth: Annotated[
        float,
        Declared(
            number(0.001, 1e9),
            "10000",
            "most Mbit/s of a worker that the form offers",
            also="MLBENCH_MAX_BANDWIDTH",
        ),
    ]
    release: Annotated[
        str,
        Declared(
            WORD, "gristmill", "release name in names of pods", also="MLBENCH_KUBE_RELEASENAME"
        ),
    ]
    namespace: Annotated[
        str, Declared(WORD, "default", "namespace of pods", also="MLBENCH_NAMESPACE")
    ]
    hook: Annotated[
        bool,
        Declared(
            SWITCH,
            "false",
            "let mlbench_core in ranks that run on the node post its metrics here",
            also="MLBENCH_HOOK",
        ),
    ]


class ProminenceSection(msgspec.Struct, frozen=True, kw_only=True):
    """The PROMINENCE interface."""

    data: Annotated[bool, Declared(SWITCH, "true", "offer the object store there")]
    kv: Annotated[bool, Declared(SWITCH, "true", "offer the key-value store there")]
    exec: Annotated[bool, Declared(SWITCH, "true", "let owners run commands inside their jobs")]
    snapshots: Annotated[
        bool, Declared(SWITCH, "true", "let owners take files out of their running jobs")
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
    keep_logs_for: Annotated[
        float | None,
        Declared(
            or_word("off", seconds(1, 36_500 * DAY)),
            "off",
            "how long the log of a returned run is kept; off: as long as the run",
        ),
    ]
    keep_logs: Annotated[
        int | None,
        Declared(
            or_word("off", count(0, 10**9)),
            "off",
            "how many logs of returned runs a schedule keeps; off: all",
        ),
    ]


class DataSection(msgspec.Struct, frozen=True, kw_only=True):
    """Tables and models."""

    url: Annotated[
        str,
        Declared(
            STORE,
            "",
            "where tables, models and notebooks are kept; otherwise blobs/data in the home",
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
