"""An administrator's commands on the home of a server that does not run."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

import msgspec
import structlog

from gristmill.client.location import read_server_file
from gristmill.client.models import Applied, ImageView, NewToken, TokenView, TokenWish
from gristmill.containers.images import Image, ImageStore
from gristmill.domain.clock import Chance
from gristmill.domain.identity import DEFAULT_SCOPES
from gristmill.server.server_file import HomeLock
from gristmill.server.settings_sources import load
from gristmill.services.declarations import Declarations
from gristmill.services.keyring import Keyring, open_keyring
from gristmill.services.tokens import Tokens, parse_expires
from gristmill.store.database import Database, open_database

if TYPE_CHECKING:
    from gristmill.store.identity import TokenRecord

T = TypeVar("T")


def is_stopped(home: Path) -> bool:
    """Whether home has been served before and is not being served now."""
    if not (home / "client.token").exists():
        return False
    server = read_server_file(home)
    return server is None or not _alive(server.pid)


class StoppedHome:
    """The client's methods that need no running server, on the files themselves."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._chance = Chance()
        self._images = ImageStore(home / "images")

    def images(self) -> tuple[ImageView, ...]:
        """Every image that was added."""
        return tuple(_image_view(image) for image in self._images.list())

    def add_image(self, name: str, path: str, entrypoint: Sequence[str] | None = None) -> ImageView:
        """Add an image from a folder or archive."""
        return _image_view(self._images.add(name, Path(path), entrypoint))

    def remove_image(self, name: str) -> None:
        """Remove an image."""
        self._images.remove(name)

    def tokens(self) -> tuple[TokenView, ...]:
        """Every token in force, without its secret."""
        records = self._with_tokens(lambda tokens: tokens.list())
        return tuple(_token_view(record) for record in records)

    def create_token(self, user: str, **wish: Unpack[TokenWish]) -> NewToken:
        """Make a token for a user."""
        made = self._with_tokens(
            lambda tokens: tokens.create(
                user,
                groups=wish.get("groups", ()),
                scopes=wish.get("scopes", DEFAULT_SCOPES),
                expires_in=parse_expires(wish.get("expires")),
                email=wish.get("email"),
                api_key=wish.get("api_key", False),
            )
        )
        return NewToken(id=made.id, token=made.secret_text, expires_at=_time(made.expires_at))

    def revoke_token(self, token_id: str) -> None:
        """End a token."""
        self._with_tokens(lambda tokens: tokens.revoke(token_id))

    def apply(self, declaration: str, *, prune: bool = False, dry_run: bool = False) -> Applied:
        """Declare objects in YAML."""
        applied = self._with_declarations(
            lambda declarations: declarations.apply(declaration, prune=prune, dry_run=dry_run)
        )
        return msgspec.convert(applied, Applied, from_attributes=True)

    def export(self) -> str:
        """Return the declared objects as YAML, secrets left out."""
        return self._with_declarations(lambda declarations: declarations.export())

    def _with_tokens(self, work: Callable[[Tokens], Awaitable[T]]) -> T:
        return self._run(lambda database, keys: work(Tokens(database, self._chance, keys)))

    def _with_declarations(self, work: Callable[[Declarations], Awaitable[T]]) -> T:
        return self._run(lambda database, keys: work(Declarations(database, keys.box, _no_cache)))

    def _run(self, work: Callable[[Database, Keyring], Awaitable[T]]) -> T:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        settings = load({"home": str(self._home)}, os.environ).settings

        async def run() -> T:
            return await work(database, keyring)

        lock = HomeLock(self._home)
        try:
            keyring = open_keyring(self._home, self._chance)
            database = open_database(settings.database, self._home)
            database.start()
            try:
                return asyncio.run(run())
            finally:
                database.close()
        finally:
            lock.release()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _no_cache() -> None:
    """Do nothing: no server remembers anything that could be out of date."""


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _image_view(image: Image) -> ImageView:
    return ImageView(
        name=image.name,
        entrypoint=image.entrypoint,
        command=image.cmd,
        workdir=image.workdir,
        digest=image.digest,
        size=image.size,
        created_at=_time(image.created_at),
        source=image.source,
        notes=image.notes,
    )


def _token_view(record: "TokenRecord") -> TokenView:
    return TokenView(
        id=record.id,
        user=record.user,
        kind=record.kind,
        groups=record.groups,
        scopes=record.scopes,
        email=record.email or None,
        created_at=_time(record.created_at),
        expires_at=_time(record.expires_at),
    )
