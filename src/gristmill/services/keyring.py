"""The secrets a home is born with: the administrator's token and the keys behind credentials."""

import base64
import os
import re
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gristmill.domain.clock import Chance
from gristmill.domain.errors import UnavailableError

SECRET_BYTES = 32
NONCE_BYTES = 12
_SECRET = re.compile(rb"[A-Za-z0-9_-]{43}\Z")


class SecretBox:
    """Encrypts what must be kept readable, such as the secret behind a signature."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, purpose: str) -> bytes:
        """Return text encrypted; it opens only for the same purpose."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> str:
        """Return the text. Raises UnavailableError when it was sealed with another key."""
        try:
            clear = self._cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise UnavailableError(
                f"the secret of {purpose} was sealed with another key: bring back the "
                "secrets/seal.key that belongs to this database, or declare the secret again"
            ) from error
        return clear.decode()


class Keyring(NamedTuple):
    """admin_token: full rights, 43 characters. signing_key: of JWTs. box: seals secrets."""

    admin_token: str
    signing_key: bytes
    box: SecretBox


def open_keyring(home: Path, chance: Chance) -> Keyring:
    """Read the home's secrets, making the ones it lacks, each a file only its owner can read.

    ``client.token`` is made anew when it is damaged; the keys never are, for what they signed
    and sealed would be lost. Raises UnavailableError when a file cannot be used.
    """
    secrets = home / "secrets"
    try:
        secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        admin_token = _secret(home / "client.token", chance, replace=True)
        signing_key = _secret(secrets / "jwt.key", chance, replace=False)
        sealing_key = _secret(secrets / "seal.key", chance, replace=False)
    except OSError as error:
        raise UnavailableError(f"cannot keep secrets in {home}: {error}") from error
    return Keyring(
        admin_token, signing_key.encode(), SecretBox(base64.urlsafe_b64decode(sealing_key + "="))
    )


def _secret(path: Path, chance: Chance, *, replace: bool) -> str:
    found = _read(path)
    if found is None:
        _create(path, chance.token(SECRET_BYTES), chance, replace=False)
        found = _read(path)
    elif replace and not _SECRET.match(found):
        _create(path, chance.token(SECRET_BYTES), chance, replace=True)
        found = _read(path)
    if found is None or not _SECRET.match(found):
        raise UnavailableError(
            f"{path} does not hold 43 letters, digits, - or _: bring it back from a backup, or "
            "remove it to have a new one (credentials and secrets made with it are then lost)"
        )
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return found.decode()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        return None


def _create(path: Path, text: str, chance: Chance, *, replace: bool) -> None:
    """Write the file whole or not at all; the first of several makers wins."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{chance.token(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            try:
                os.link(draft, path)
            except FileExistsError:
                return
    finally:
        draft.unlink(missing_ok=True)
