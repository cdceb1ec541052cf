import json
from pathlib import Path

import pytest
import trustme

from gristmill.client.errors import UnreachableError
from gristmill.client.location import find
from gristmill.domain.errors import InvalidInputError, NotAuthenticatedError

HTTP, HTTPS = "http://127.0.0.1:7070", "https://127.0.0.1:7071"


def server(home: Path, http: str | None = HTTP, https: str | None = HTTPS) -> Path:
    home.mkdir(exist_ok=True)
    document = {"pid": 1, "http": http, "https": https, "version": "1"}
    (home / "server.json").write_text(json.dumps(document))
    (home / "client.token").write_text("home-token\n")
    return home


def test_a_home_says_where_its_server_is(tmp_path: Path) -> None:
    found = find(home=server(tmp_path), environ={})
    assert (found.url, found.token, found.loopback) == (HTTP, "home-token", True)
    assert find(environ={"GRISTMILL_HOME": str(tmp_path)}) == found
    assert find(environ={"HOME": "/", "GRISTMILL_HOME": str(tmp_path)}).url == HTTP


def test_https_is_taken_where_plain_text_would_leave_the_machine(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for plain in (None, "http://192.0.2.1:7070"):
        found = find(home=server(tmp_path, http=plain), environ={})
        assert found.url == HTTPS
        assert found.authority == tmp_path / "ca.pem"
        assert found.verify() is not True


def test_a_server_with_only_plain_http_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find(home=server(tmp_path, "http://192.0.2.1:7070", None), environ={}).token


def test_a_server_that_listens_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="listens nowhere"):
        find(home=server(tmp_path, None, None), environ={})


def test_the_environment_names_a_server(tmp_path: Path) -> None:
    environ = {"GRISTMILL_URL": "https://mill:1/", "GRISTMILL_TOKEN": "t", "GRISTMILL_HOME": "/no"}
    found = find(environ=environ)
    assert (found.url, found.token, found.authority) == ("https://mill:1", "t", None)


def test_what_is_given_goes_before_the_environment(tmp_path: Path) -> None:
    environ = {"GRISTMILL_URL": "https://mill:1", "GRISTMILL_TOKEN": "t"}
    assert find("http://a:2", "mine", environ=environ).url == "http://a:2"
    assert find("http://a:2", "mine", environ=environ).token == "mine"
    found = find(home=server(tmp_path), environ=environ)
    assert (found.url, found.token) == (HTTP, "home-token")


def test_the_home_token_is_for_the_home_server_alone(tmp_path: Path) -> None:
    environ = {"GRISTMILL_HOME": str(server(tmp_path))}
    assert find(HTTP + "/", environ=environ).token == "home-token"
    with pytest.raises(NotAuthenticatedError, match="GRISTMILL_TOKEN"):
        find("http://elsewhere:7070", environ=environ)


def test_a_home_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="gristmill serve"):
        find(home=tmp_path, environ={})


def test_a_missing_token_is_told(tmp_path: Path) -> None:
    (server(tmp_path) / "client.token").unlink()
    with pytest.raises(NotAuthenticatedError, match=r"client\.token does not exist"):
        find(home=tmp_path, environ={})


@pytest.mark.parametrize("url", ["mill:7070", "ftp://mill", "http://", "/run/socket"])
def test_a_url_that_is_none_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is not a URL"):
        find(url, "t", home=tmp_path, environ={})


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("{")
    with pytest.raises(InvalidInputError, match="damaged"):
        find(home=tmp_path, environ={})
