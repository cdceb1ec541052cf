"""Where keys and addresses of S3 stores are found."""

from pathlib import Path

import pytest

from gristmill.agent.remote import Access, Place, RemoteError, find_access, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("bucket", Place("bucket", "")),
        ("bucket/", Place("bucket", "")),
        ("bucket/a//b/", Place("bucket", "/a/b")),
        ("s3://bucket/a", Place("bucket", "/a")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "/", "-o/x", "bucket/../other", "a:b", "bucket/a:b", "b,ro"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(RemoteError, match="is not a bucket"):
        parse_place(text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_the_files_of_the_aws_command_line(tmp_path: Path) -> None:
    _write(tmp_path / ".aws/credentials", "[default]\naws_access_key_id = a\n"
           "aws_secret_access_key = b\n[other]\naws_access_key_id=c\naws_secret_access_key=d\n"
           "aws_session_token=e\n")  # fmt: skip
    _write(tmp_path / ".aws/config", "[default]\nregion = r\n[profile other]\nregion = q\n"
           "endpoint_url = http://127.0.0.1:1/\n")  # fmt: skip
    assert find_access("", {}, str(tmp_path)) == Access("a", "b", region="r")
    other = Access("c", "d", "e", "q", "http://127.0.0.1:1")
    assert find_access("other", {}, str(tmp_path)) == other
    assert find_access("", {"AWS_PROFILE": "other"}, str(tmp_path)) == other


def test_the_file_of_s3cmd_comes_first(tmp_path: Path) -> None:
    _write(tmp_path / ".s3cfg", "[default]\naccess_key = a\nsecret_key = 50%b\n"
           "host_base = cog.example.org\nuse_https = False\n")  # fmt: skip
    _write(tmp_path / ".aws/credentials", "[default]\naws_access_key_id = c\n"
           "aws_secret_access_key = d\naws_session_token = e\nregion = r\n")  # fmt: skip
    found = find_access("default", {}, str(tmp_path))
    assert found == Access("a", "50%b", region="r", endpoint="http://cog.example.org")


def test_amazons_own_address_is_nothing_special(tmp_path: Path) -> None:
    _write(tmp_path / ".s3cfg", "[default]\nhost_base = s3.amazonaws.com\nuse_https = True\n")
    assert find_access("", {}, str(tmp_path)) == Access()


def test_the_jobs_variables_come_before_the_default_profile(tmp_path: Path) -> None:
    _write(tmp_path / ".aws/credentials", "[default]\naws_access_key_id = a\n"
           "aws_secret_access_key = b\naws_session_token = c\n")  # fmt: skip
    own = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "z"}
    assert find_access("", own, str(tmp_path)) == Access("x", "y", region="z")
    assert find_access("default", own, str(tmp_path)) == Access("a", "b", "c")


def test_other_files_than_the_usual(tmp_path: Path) -> None:
    _write(tmp_path / "mine", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    own = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "mine")}
    assert find_access("", own, str(tmp_path)) == Access("a", "b")


def test_the_file_of_s3fs_comes_last(tmp_path: Path) -> None:
    _write(tmp_path / ".awssecret", "a:b\n")
    assert find_access("", {}, str(tmp_path)) == Access("a", "b")


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    assert find_access("", {}, str(tmp_path)) == Access(), "a public bucket needs no keys"
    with pytest.raises(RemoteError, match="no profile 'nope'"):
        find_access("nope", {}, str(tmp_path))
    _write(tmp_path / ".s3cfg", "[half]\naccess_key = a\n")
    with pytest.raises(RemoteError, match="only one of its two keys"):
        find_access("half", {}, str(tmp_path))
    _write(tmp_path / ".s3cfg", "no section\n")
    with pytest.raises(RemoteError, match="s3cfg cannot be read"):
        find_access("", {}, str(tmp_path))
