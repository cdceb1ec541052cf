"""Every setting of the server, declared once.

A setting has one name in three places: the flag ``--agent-cpus``, the variable
``GRISTMILL_AGENT_CPUS`` and ``[agent] cpus`` in the TOML file. All three, the help and the table
in docs/operations.md derive from the annotations below.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.server.setting_kinds import (
    DATABASE,
    FILE,
    FOLDER,
    LISTEN,
    MAIL_ADDRESS,
    SWITCH,
    URL,
    WORD,
    Address,
    Kind,
    choice,
    count,
    megabytes,
    or_word,
    seconds,
)
from gristmill.server.setting_sections import (
    DAY,
    AgentSettings,
    DataSection,
    Declared,
    JobRunnerSection,
    MlbenchSection,
    ObjectsSection,
    OidcSection,
    OmegaSection,
    ProminenceSection,
    WrSection,
)

_PASSWORD = re.compile(r"(?<=://)([^:/@]*):\S*@|(?<=password=)[^&\s]*", re.IGNORECASE)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server was told. Durations are seconds, sizes megabytes unless said otherwise."""

    home: Annotated[
        Path,
        Declared(FOLDER, "~/.gristmill", "folder of the database, jobs, keys, images and sockets"),
    ]
    config: Annotated[
        Path | None,
        Declared(
            or_word("", FILE), "", "TOML file to read; otherwise gristmill.toml in the home, if any"
        ),
    ]
    http: Annotated[Address | None, Declared(LISTEN, "127.0.0.1:7070", "where to speak HTTP")]
    https: Annotated[Address | None, Declared(LISTEN, "127.0.0.1:7071", "where to speak HTTPS")]
    insecure: Annotated[
        bool, Declared(SWITCH, "false", "let plain HTTP be reached from other machines")
    ]
    database: Annotated[
        str,
        Declared(DATABASE, "", "database; otherwise SQLite in the home", secret=True),
    ]
    engine: Annotated[
        str,
        Declared(
            choice("local", "none", later=("slurm", "ray")),
            "local",
            "who provides nodes; none: jobs wait",
        ),
    ]
    container_engine: Annotated[
        str,
        Declared(
            WORD,
            "auto",
            "how containers run: auto, an engine's name, or host (no container, the command runs "
            "on the node)",
        ),
    ]
    stop_jobs: Annotated[
        bool, Declared(SWITCH, "false", "end the running jobs too when the server is stopped")
    ]
    log_format: Annotated[
        str,
        Declared(
            choice("auto", "console", "json"),
            "auto",
            "how logs are written; auto: console on a terminal, else json",
        ),
    ]
    log_level: Annotated[
        str,
        Declared(choice("debug", "info", "warning", "error"), "info", "the least to log"),
    ]
    access_log: Annotated[bool, Declared(SWITCH, "false", "log every request")]
    max_body: Annotated[
        int, Declared(megabytes(1, 1_048_576), "256M", "largest request body, in megabytes")
    ]
    max_header: Annotated[
        int,
        Declared(count(16_384, 16_777_216), "262144", "largest request line and headers, in bytes"),
    ]
    max_requests: Annotated[
        int,
        Declared(count(1, 1_000_000), "512", "requests in progress at a time, streams included"),
    ]
    max_connections: Annotated[
        int, Declared(count(1, 1_000_000), "1000", "open connections over HTTP and HTTPS")
    ]
    header_timeout: Annotated[
        float,
        Declared(seconds(0.1, 3600), "15s", "longest a request line and its headers may take"),
    ]
    body_timeout: Annotated[
        float,
        Declared(seconds(0.1, 3600), "30s", "longest pause inside a request body"),
    ]
    keep_alive: Annotated[
        float, Declared(seconds(0.1, 3600), "75s", "how long an idle connection stays open")
    ]
    heartbeat: Annotated[float, Declared(seconds(0.1, 3600), "15s", "how often agents report")]
    lost_after: Annotated[
        float,
        Declared(
            seconds(0.2, 7 * DAY),
            "60s",
            "silence after which an agent is lost, and its jobs with it",
        ),
    ]
    retention_finished: Annotated[
        float | None,
        Declared(
            or_word("off", seconds(1, 36_500 * DAY)),
            "off",
            "how long a finished job is kept; off: always",
        ),
    ]
    retention_events: Annotated[
        float | None,
        Declared(
            or_word("off", seconds(60, 36_500 * DAY)),
            "off",
            "how long the record of events is kept; off: always",
        ),
    ]
    public_url: Annotated[
        str,
        Declared(
            URL,
            "",
            "URL of this server for clients and jobs behind a proxy; otherwise clients get the "
            "host they asked, and jobs the address the server listens on",
        ),
    ]
    smtp: Annotated[Address | None, Declared(LISTEN, "off", "mail relay that takes outgoing mail")]
    mail_from: Annotated[
        str, Declared(MAIL_ADDRESS, "", "sender of outgoing mail; otherwise gristmill@ this host")
    ]
    admin_mail: Annotated[
        str, Declared(MAIL_ADDRESS, "", "administrator who is told of failures by mail")
    ]
    agent: AgentSettings
    objects: ObjectsSection
    oidc: OidcSection
    wr: WrSection
    mlbench: MlbenchSection
    prominence: ProminenceSection
    job_runner: JobRunnerSection
    data: DataSection
    omega: OmegaSection

    def shown(self) -> dict[str, str]:
        """Return every setting by name as text fit for a log, passwords masked."""
        return {setting.name: setting.show(self) for setting in SETTINGS}


class Setting(NamedTuple):
    """One setting with its names. section: '' at the top of the TOML file."""

    section: str
    key: str
    kind: Kind
    default: str
    help: str
    secret: bool
    also: str

    @property
    def name(self) -> str:
        """The name with its section, as in ``agent_cpus``."""
        return f"{self.section}_{self.key}" if self.section else self.key

    @property
    def flag(self) -> str:
        """The name on the command line; a switch also has ``--no-…``."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return "GRISTMILL_" + self.name.upper()

    @property
    def toml(self) -> str:
        """The name in the TOML file."""
        return f"[{self.section}] {self.key}" if self.section else self.key

    def show(self, settings: Settings) -> str:
        """Return the value as text, with any password masked."""
        holder: Any = getattr(settings, self.section) if self.section else settings
        return mask_passwords(str(getattr(holder, self.key)))


def mask_passwords(text: str) -> str:
    """Return an address without the password in it."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] is not None else "***", text)


def _declared(struct: type[msgspec.Struct], section: str = "") -> Iterator[Setting]:
    for key, hint in get_type_hints(struct, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from _declared(hint, key)
        else:
            yield Setting(section, key, *hint.__metadata__[0])


SETTINGS: tuple[Setting, ...] = tuple(_declared(Settings))
BY_NAME = {setting.name: setting for setting in SETTINGS}
SECTIONS = frozenset(setting.section for setting in SETTINGS if setting.section)


def build(values: dict[str, Any]) -> Settings:
    """Make Settings from a value for each name; check those that depend on each other.

    Raises InvalidInputError.
    """
    settings: Settings = _assemble(Settings, "", values)
    _check_listeners(settings)
    if settings.lost_after < 2 * settings.heartbeat:
        raise InvalidInputError(
            f"lost_after ({settings.lost_after:g} s) is less than two heartbeats "
            f"({settings.heartbeat:g} s each), so healthy agents would be lost; "
            "raise --lost-after or lower --heartbeat",
            "lost_after",
        )
    return settings


def _assemble(struct: type[Any], section: str, values: dict[str, Any]) -> Any:
    fields = {each.key: values[each.name] for each in SETTINGS if each.section == section}
    for key, hint in get_type_hints(struct).items():
        if key not in fields:
            fields[key] = _assemble(hint, key, values)
    return struct(**fields)


def _check_listeners(settings: Settings) -> None:
    if settings.http is None and settings.https is None:
        raise InvalidInputError(
            "--http and --https are both off, so nobody could reach the server; "
            "give one an address",
            "http",
        )
    if settings.http is not None and not settings.http.loopback and not settings.insecure:
        raise InvalidInputError(
            f"--http {settings.http} can be reached from other machines, and tokens would cross "
            "the network unencrypted; use --https for that, or add --insecure to accept it",
            "http",
        )


def markdown_table() -> str:
    """Return the table of settings for docs/operations.md."""
    rows = ["| flag | environment | TOML | default | meaning |", "|---|---|---|---|---|"]
    for each in SETTINGS:
        default = f"`{each.default}`" if each.default else "none"
        meaning = f"{each.help} ({each.kind.expects})".replace("|", "\\|")
        variables = f"`{each.variable}`" + (f" or `{each.also}`" if each.also else "")
        rows.append(f"| `{each.flag}` | {variables} | `{each.toml}` | {default} | {meaning} |")
    return "\n".join(rows) + "\n"
