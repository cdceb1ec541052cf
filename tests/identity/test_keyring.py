import threading
from pathlib import Path

import pytest

from gristmill.domain.clock import Chance
from gristmill.domain.errors import UnavailableError
from gristmill.services.keyring import SecretBox, open_keyring


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    first = open_keyring(tmp_path, Chance())
    again = open_keyring(tmp_path, Chance())
    assert len(first.admin_token) == 43
    assert (first.admin_token, first.signing_key) == (again.admin_token, again.signing_key)
    assert again.box.open(first.box.seal("tulip", "w"), "w") == "tulip"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["client.token", "jwt.key", "seal.key"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_damaged_admin_token_is_replaced_and_an_open_one_closed(tmp_path: Path) -> None:
    token = tmp_path / "client.token"
    token.write_text("short")
    made = open_keyring(tmp_path, Chance()).admin_token
    assert token.read_text() == made
    token.chmod(0o644)
    assert open_keyring(tmp_path, Chance()).admin_token == made
    assert token.stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    open_keyring(tmp_path, Chance())
    (tmp_path / "secrets/jwt.key").write_text("damaged")
    with pytest.raises(UnavailableError, match=r"jwt\.key"):
        open_keyring(tmp_path, Chance())
    assert (tmp_path / "secrets/jwt.key").read_text() == "damaged"


def test_makers_at_once_agree(tmp_path: Path) -> None:
    found = []
    makers = [
        threading.Thread(target=lambda: found.append(open_keyring(tmp_path, Chance())[:2]))
        for _ in range(8)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_sealed_secret_opens_only_with_its_key_and_purpose() -> None:
    box = SecretBox(b"k" * 32)
    sealed = box.seal("tulip-garden-42", "worker w1")
    assert b"tulip" not in sealed
    assert sealed != box.seal("tulip-garden-42", "worker w1")
    for other, purpose in ((box, "worker w2"), (SecretBox(b"o" * 32), "worker w1")):
        with pytest.raises(UnavailableError, match="worker w"):
            other.open(sealed, purpose)
    with pytest.raises(UnavailableError):
        box.open(b"", "worker w1")
