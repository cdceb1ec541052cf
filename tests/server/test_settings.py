"""One name in three places, a clear order between them, and errors that say where and what."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.server.setting_kinds import Address, parse_listen
from gristmill.server.settings import SETTINGS, Settings, markdown_table, mask_passwords
from gristmill.server.settings_sources import load, parse_flags

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def settings_of(
    flags: dict[str, str], home: Path, environment: dict[str, str] | None = None
) -> Settings:
    return load({"home": str(home), **flags}, environment or {}).settings


def refusal(
    flags: dict[str, str], home: Path, environment: dict[str, str] | None = None
) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        settings_of(flags, home, environment)
    return caught.value


def test_defaults(tmp_path: Path) -> None:
    settings = settings_of({}, tmp_path)
    assert settings.home == tmp_path
    assert settings.http == Address("127.0.0.1", 7070)
    assert settings.https == Address("127.0.0.1", 7071)
    assert settings.engine == "local"
    assert settings.max_body == 256
    assert settings.lost_after == 60
    assert settings.heartbeat == 15
    assert settings.retention_finished is None
    assert settings.agent.cpus is None
    assert not settings.stop_jobs


def test_home_defaults_to_a_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere/somebody")
    assert load({}, {}).settings.home == Path("/nowhere/somebody/.gristmill")


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "gristmill.toml").write_text("[agent]\ncpus = 1\nmemory = '1G'\nlinger = 5\n")
    environment = {"GRISTMILL_AGENT_CPUS": "2", "GRISTMILL_AGENT_MEMORY": "2G"}
    agent = settings_of({"agent_cpus": "3"}, tmp_path, environment).agent
    assert (agent.cpus, agent.memory, agent.linger) == (3.0, 2048, 5.0)


def test_given_twice_the_last_wins() -> None:
    given = parse_flags(["--http", "off", "--stop-jobs", "--http=127.0.0.1:1", "--no-stop-jobs"])
    assert given == {"http": "127.0.0.1:1", "stop_jobs": "false"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--htpp", "off"], "did you mean --http"),
        (["--http"], "--http needs a value"),
        (["stray"], "no flag stray"),
        (["--no-http"], "no flag --no-http"),
    ],
)
def test_flags_that_do_not_exist(words: list[str], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        parse_flags(words)


def test_an_explicit_file_may_set_the_home(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text(f"home = '{tmp_path}/there'\nstop_jobs = true\nmax_requests = 7\n")
    settings = load({"config": str(config)}, {}).settings
    assert settings.home == tmp_path / "there"
    assert settings.stop_jobs
    assert settings.max_requests == 7


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text("log_level = 'debug'\n")
    settings = load({}, {"GRISTMILL_CONFIG": str(config), "GRISTMILL_HOME": str(tmp_path)}).settings
    assert settings.log_level == "debug"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("htpp = 'off'", "did you mean http"),
        ("[agent]\ncores = 1", r"no setting \[agent\] cores"),
        ("[nowhere]\nx = 1", "no setting nowhere"),
        ("agent = 1", "no setting agent"),
        ("http = 7070", "http has the wrong type"),
        ("http = ['off']", "http has the wrong type"),
        ("stop_jobs = 1", "stop_jobs has the wrong type"),
        ("max_requests = true", "max_requests has the wrong type"),
        ("max_requests = 1.5", "not a whole number"),
        ("[agent]\ncpus = nan", "not from 0.01"),
        ("lost_after = inf", "out of range"),
        ("home = '/elsewhere'", "home cannot be set in this file"),
        ("http = ", "not valid TOML"),
        ("x = '\xff'", "cannot read the settings file"),
    ],
)
def test_a_bad_file_is_refused_by_name(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "gristmill.toml"
    path.write_bytes(text.encode("latin-1"))
    error = refusal({}, tmp_path)
    assert str(path) in str(error)
    with pytest.raises(InvalidInputError, match=expected):
        raise error


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    assert "cannot read" in str(refusal({"config": str(tmp_path / "absent.toml")}, tmp_path))


def test_an_error_names_the_setting_its_source_and_the_way_out(tmp_path: Path) -> None:
    by_flag = refusal({"keep_alive": "soon"}, tmp_path)
    assert by_flag.field == "keep_alive"
    assert str(by_flag).startswith("--keep-alive: 'soon' will not do")
    assert "give a duration such as 30s" in str(by_flag)
    by_variable = refusal({}, tmp_path, {"GRISTMILL_KEEP_ALIVE": "soon"})
    assert str(by_variable).startswith("GRISTMILL_KEEP_ALIVE: 'soon'")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"engine": "slurm"}, "slurm is not built into this version yet"),
        ({"engine": "local,none"}, "no such choice"),
        ({"max_body": "0"}, "not from 1"),
        ({"max_body": "9" * 400}, "is not a size"),
        ({"max_header": "10"}, "not from 16384"),
        ({"agent_cpus": "-1"}, "not from 0.01"),
        ({"heartbeat": "40s"}, "less than two heartbeats"),
        ({"http": "off", "https": "off"}, "nobody could reach"),
        ({"container_engine": "a b"}, "not a name"),
        ({"home": "a\0b"}, "not a path"),
        ({"stop_jobs": "perhaps"}, "neither true nor false"),
    ],
)
def test_values_that_will_not_do(flags: dict[str, str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=expected):
        raise refusal(flags, tmp_path)


def test_plain_http_stays_on_the_machine_unless_told(tmp_path: Path) -> None:
    error = refusal({"http": "0.0.0.0:7070"}, tmp_path)
    assert "--insecure" in str(error)
    assert error.field == "http"
    settings = settings_of({"http": "0.0.0.0:7070", "insecure": "true"}, tmp_path)
    assert settings.http == Address("0.0.0.0", 7070)
    assert settings_of({"https": "0.0.0.0:7071"}, tmp_path).https == Address("0.0.0.0", 7071)


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    assert settings_of({}, tmp_path, {"GRISTMILL_HTTP": ""}).http == Address("127.0.0.1", 7070)


def test_variables_that_look_like_settings_are_warned_of(tmp_path: Path) -> None:
    environment = {
        "GRISTMILL_HTPP": "off",
        "GRISTMILL_AGENT_NONSENSE": "1",
        "GRISTMILL_URL": "http://localhost",
        "GRISTMILL_TOKEN": "secret",
        "PATH": "/bin",
    }
    warnings = load({"home": str(tmp_path)}, environment).warnings
    assert [warning.split()[3] for warning in warnings] == [
        "GRISTMILL_AGENT_NONSENSE",
        "GRISTMILL_HTPP",
    ]
    assert "did you mean HTTP" in warnings[1]


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    url = "postgresql://app:s3cret@db/grist?password=s3cret"
    assert "s3cret" not in str(settings_of({"database": url}, tmp_path).shown())
    assert mask_passwords("postgresql://app:p/w:@x@host/d") == "postgresql://app:***@host/d"
    assert "s3cret" not in str(refusal({"database": "mysql://app:s3cret@db/grist"}, tmp_path))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:7070", Address("::1", 7070)),
        ("localhost:80", Address("localhost", 80)),
        ("off", None),
        ("OFF", None),
    ],
)
def test_parse_listen(text: str, address: Address | None) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    "text", ["", ":7070", "7070", "::1:7070", "host:", "host:x", "host:65536", "host:-1", "host:٣"]
)
def test_parse_listen_refuses(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_listen(text)


@given(st.from_regex(r"[a-z]{1,10}", fullmatch=True), st.integers(0, 65535))
def test_an_address_survives_writing(host: str, port: int) -> None:
    assert parse_listen(str(Address(host, port))) == Address(host, port)


@given(st.text(max_size=30))
def test_no_text_breaks_the_listener_grammar(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        parse_listen(text)


def test_loopback() -> None:
    assert [Address(host, 1).loopback for host in ("127.9.9.9", "::1", "LOCALHOST")] == [True] * 3
    assert [Address(host, 1).loopback for host in ("0.0.0.0", "::", "example")] == [False] * 3


def test_every_name_is_unique() -> None:
    for attribute in ("name", "flag", "variable", "toml"):
        names = [getattr(each, attribute) for each in SETTINGS]
        assert len(set(names)) == len(SETTINGS)


def test_every_setting_is_documented() -> None:
    table = markdown_table()
    assert table in OPERATIONS.read_text(), f"docs/operations.md must hold this table:\n\n{table}"
