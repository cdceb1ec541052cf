"""Objects are whole or not there, and nothing is left of what nobody names."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gristmill.domain.clock import Chance
from gristmill.domain.errors import (
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
)
from gristmill.domain.objects import Space, StoredObject
from gristmill.services.objects import blobs
from gristmill.services.objects.signing import PATH, Permit
from gristmill.services.objects.store import Objects, TooLargeError
from gristmill.services.waiting import pause
from gristmill.store.database import Database
from tests.services.conftest import Play
from tests.services.mill import Mill

ANN, BEN = Space.user("ann"), Space.user("ben")
KEY = b"k" * 43


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def put(objects: Objects, space: Space, name: str, data: bytes) -> StoredObject:
    return await objects.put(space, name, pieces(data))


async def read(objects: Objects, space: Space, name: str) -> bytes:
    opened = await objects.open(space, name)
    with opened.file as file:
        return file.read()


def on_disk(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


Story = Callable[[Objects], Awaitable[None]]
Act = Callable[[Story], None]


@pytest.fixture
def act(database: Database, tmp_path: Path) -> Act:
    """Run a story on an object store of the test's own."""

    def run(story: Story) -> None:
        async def play() -> None:
            objects = Objects(database, Chance(), tmp_path / "blobs", KEY, largest=1000)
            await objects.load()
            sweeper = asyncio.create_task(objects.run())
            await story(objects)
            sweeper.cancel()

        asyncio.run(play())

    return run


async def swept(folder: Path, left: int) -> set[str]:
    """Return the files once there are that few."""
    async with asyncio.timeout(30):
        while len(found := await asyncio.to_thread(on_disk, folder)) != left:
            await pause(0.01)
    return found


def test_what_was_put_is_read_replaced_and_deleted(act: Act, tmp_path: Path) -> None:
    async def story(objects: Objects) -> None:
        first = await objects.put(ANN, "a/b.txt", pieces(b"on", b"", b"e"), expected=3)
        assert (first.size, first.sha256) == (3, hashlib.sha256(b"one").hexdigest())
        assert await read(objects, ANN, "a/b.txt") == b"one"
        begun = await objects.open(ANN, "a/b.txt")
        await put(objects, ANN, "a/b.txt", b"two")
        assert await read(objects, ANN, "a/b.txt") == b"two"
        await swept(tmp_path / "blobs", 1)
        with begun.file as file:
            assert file.read() == b"one"
        assert await objects.delete(ANN, "a/b.txt")
        assert not await objects.delete(ANN, "a/b.txt")
        assert await objects.find(ANN, "a/b.txt") is None
        with pytest.raises(NotFoundError):
            await objects.open(ANN, "a/b.txt")
        await swept(tmp_path / "blobs", 0)

    act(story)


def test_spaces_share_no_names(act: Act) -> None:
    async def story(objects: Objects) -> None:
        spaces = [ANN, BEN, Space.group("ann"), Space.user("group:ann"), Space.user("annie")]
        for number, space in enumerate(spaces):
            await put(objects, space, "same", b"%d" % number)
        for number, space in enumerate(spaces):
            assert await read(objects, space, "same") == b"%d" % number
            assert [each.name for each in await objects.list(space)] == ["same"]

    act(story)


def test_listing_by_prefix_and_by_page(act: Act) -> None:
    async def story(objects: Objects) -> None:
        names = sorted(["a", "a/1", "a/2", "a0", "b", "ä", "\U0010ffff", "A"])
        for name in names:
            await put(objects, ANN, name, b"x")

        async def listed(prefix: str, limit: int) -> list[str]:
            found: list[str] = []
            while page := await objects.list(ANN, prefix, found[-1] if found else "", limit):
                found += [each.name for each in page]
            return found

        for limit in (1, 2, 100):
            assert await listed("", limit) == names
            assert await listed("a/", limit) == ["a/1", "a/2"]
            assert await listed("c", limit) == []
        assert set(await objects.find_many(ANN, ["a", "nobody", "ä"])) == {"a", "ä"}

    act(story)


def test_a_refused_upload_leaves_nothing(act: Act, tmp_path: Path) -> None:
    async def gone() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionError

    async def story(objects: Objects) -> None:
        await put(objects, ANN, "kept", b"old")
        wrong = hashlib.sha256(b"other").hexdigest()
        with pytest.raises(InvalidInputError, match="digest"):
            await objects.put(ANN, "kept", pieces(b"new"), sha256=wrong)
        with pytest.raises(TooLargeError):
            await objects.put(ANN, "kept", pieces(b"x" * 600, b"x" * 600))
        with pytest.raises(TooLargeError):
            await objects.put(ANN, "kept", pieces(b"new"), most=2)
        with pytest.raises(TooLargeError):
            await objects.put(ANN, "kept", pieces(b"new"), expected=2000)
        with pytest.raises(ConnectionError):
            await objects.put(ANN, "kept", gone())
        with pytest.raises(InvalidInputError):
            await put(objects, ANN, "../kept", b"new")
        assert await read(objects, ANN, "kept") == b"old"
        await swept(tmp_path / "blobs", 1)

    act(story)


def test_a_disk_without_room_refuses_and_keeps_what_is_there(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(objects: Objects) -> None:
        await put(objects, ANN, "kept", b"old")
        monkeypatch.setattr(blobs, "LEAST_ROOM", 1 << 62)
        with pytest.raises(UnavailableError, match="room"):
            await put(objects, ANN, "kept", b"new")
        assert await read(objects, ANN, "kept") == b"old"
        assert len(on_disk(tmp_path / "blobs")) == 1

    act(story)


def test_uploads_of_one_name_at_once_leave_one_of_them(act: Act, tmp_path: Path) -> None:
    async def story(objects: Objects) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(put(objects, ANN, "same", b"%02d" % number * 10))
        data = await read(objects, ANN, "same")
        assert data == data[:2] * 10
        await swept(tmp_path / "blobs", 1)

    act(story)


def test_a_restart_settles_what_a_dead_server_had_begun(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "blobs"

    async def story() -> None:
        objects = Objects(database, Chance(), folder, KEY)
        await objects.load()
        stored = await put(objects, ANN, "named", b"data")
        (kept,) = [path for path in folder.rglob("*") if path.name == stored.blob]
        # As if it had died between the commit and the move, and once before a commit.
        kept.rename(folder / "incoming" / stored.blob)
        (folder / "incoming" / "nobody-names-this").write_bytes(b"half")
        assert await read(objects, ANN, "named") == b"data"
        after = Objects(database, Chance(), folder, KEY)
        await after.load()
        assert await read(after, ANN, "named") == b"data"
        assert on_disk(folder) == {stored.blob}
        assert not list((folder / "incoming").iterdir())

    asyncio.run(story())


def test_what_a_job_left_goes_with_its_record(play: Play, tmp_path: Path) -> None:
    async def story(mill: Mill) -> None:
        objects = Objects(mill.database, mill.clock.chance, tmp_path / "blobs", KEY)
        await objects.load()
        job, other = await mill.one(), await mill.one()
        for number in (job, other):
            await put(objects, Space.job(number), "out.txt", b"x")
        await mill.cancel(job)
        mill.clock.go(60)
        await mill.housekeeping.tidy()
        assert await objects.find(Space.job(job), "out.txt") is None
        assert await objects.find(Space.job(other), "out.txt") is not None
        with pytest.raises(NotFoundError):
            await put(objects, Space.job(job), "late.txt", b"x")
        sweeper = asyncio.create_task(objects.run())
        await swept(tmp_path / "blobs", 1)
        sweeper.cancel()

    play(story, keep_jobs=10.0)


def test_a_signature_permits_one_act_on_one_object_until_a_time(
    database: Database, tmp_path: Path
) -> None:
    now = [1000.0]
    chance = Chance(now=lambda: now[0])
    objects = Objects(database, chance, tmp_path / "blobs", KEY)
    digest = "AB" * 32
    url = objects.put_url(ANN, "a/b c.tar.gz", "http://h:1", 60, sha256=digest, size=7)
    assert url.startswith(f"http://h:1{PATH}/")
    assert url.endswith("/b%20c.tar.gz")
    signed = urlsplit(url).path.split("/")[3]
    assert objects.read_url(signed) == Permit("put", ANN, "a/b c.tar.gz", 1060, digest.lower(), 7)
    for position in range(0, len(signed), 5):
        changed = "B" if signed[position] == "A" else "A"
        with pytest.raises(NotAuthenticatedError):
            objects.read_url(signed[:position] + changed + signed[position + 1 :])
    for wrong in ("", "x", "ü", "=" * 50, "A" * 100_000):
        with pytest.raises(NotAuthenticatedError):
            objects.read_url(wrong)
    other = Objects(database, chance, tmp_path / "blobs", b"another key")
    with pytest.raises(NotAuthenticatedError):
        other.read_url(signed)
    now[0] = 1060
    with pytest.raises(NotAuthenticatedError, match="expired"):
        objects.read_url(signed)
    for bad in ({"sha256": "12"}, {"sha256": "g" * 64}, {"size": -1}, {"size": 1 << 60}):
        with pytest.raises(InvalidInputError):
            objects.put_url(ANN, "a", "", 60, **bad)
    for lifetime in (0, -1, 1e12, float("nan")):
        with pytest.raises(InvalidInputError):
            objects.get_url(ANN, "a", "", lifetime)
