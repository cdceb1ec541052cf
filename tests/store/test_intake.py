"""The intake: rows are on disk once they are acknowledged, and come back after a crash."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gristmill.domain.errors import UnavailableError
from gristmill.store import intake as module
from gristmill.store.intake import Intake, Kept, NoRoomError

EPOCH = 77


class Shelf:
    """An intake at a path, and what it has said it kept."""

    def __init__(self, path: Path, number: int = 0, epoch: int = EPOCH) -> None:
        self.intake, self.kept = Intake(path), list[tuple[list[Any], int]]()
        self.intake.begin(epoch, number, self._note)

    def _note(self, rows: Sequence[Any], number: int) -> None:
        self.kept.append((list(rows), number))

    async def add(self, *values: int) -> int:
        return await self.intake.add([(value, "text") for value in values])

    def crash(self) -> None:
        """Leave the file as it is."""
        self.intake.close()


def kept_after(path: Path, number: int, epoch: int = EPOCH) -> tuple[list[int], int]:
    """Return the first values of the rows that a new process finds."""
    kept = Intake(path).recover(epoch, number)
    return [row[0] for row in kept.rows], kept.number


def test_rows_come_back_after_a_crash_but_for_those_that_were_moved(tmp_path: Path) -> None:
    path = tmp_path / "intake"

    async def story() -> None:
        shelf = Shelf(path)
        assert [await shelf.add(1, 2), await shelf.add(3)] == [1, 2]
        assert await shelf.intake.turn() == 2
        assert await shelf.add(4) == 3
        assert shelf.kept == [
            ([(1, "text"), (2, "text")], 1),
            ([(3, "text")], 2),
            ([(4, "text")], 3),
        ]
        shelf.crash()

    asyncio.run(story())
    assert kept_after(path, 0) == ([1, 2, 3, 4], 3)
    assert kept_after(path, 1) == ([3, 4], 3)
    assert kept_after(path, 3) == ([], 3)
    assert kept_after(path, 0, epoch=78) == ([], 0), "that is another database's"
    assert Intake(tmp_path / "none").recover(EPOCH, 5) == Kept([], 5)
    assert path.stat().st_mode & 0o777 == 0o600


def test_callers_at_the_same_time_share_a_record_and_all_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        shelf = Shelf(tmp_path / "intake")
        numbers = await asyncio.gather(*(shelf.add(value) for value in range(50)))
        assert len(set(numbers)) < 50
        assert sorted(row[0] for rows, _ in shelf.kept for row in rows) == list(range(50))
        shelf.crash()

    asyncio.run(story())


def test_halves_are_used_in_turn_and_old_records_in_them_mean_nothing(tmp_path: Path) -> None:
    path = tmp_path / "intake"

    async def story() -> None:
        shelf = Shelf(path)
        for value in range(30):
            await shelf.add(value, value, value)
            if value % 5 == 4:
                await shelf.intake.turn()
        await shelf.add(99)
        shelf.crash()

    asyncio.run(story())
    # Of the first half, what the last record has not overwritten is older than it.
    assert kept_after(path, 25) == ([value for value in range(25, 30) for _ in range(3)] + [99], 31)
    assert kept_after(path, 30) == ([99], 31)


@pytest.mark.parametrize("cut", [1, 10, 23, 24, 30])
def test_a_record_that_was_cut_off_is_none(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "intake"

    async def story() -> None:
        shelf = Shelf(path)
        await shelf.add(1)
        before = shelf.intake._offset
        await shelf.add(2)
        after = shelf.intake._offset
        shelf.crash()
        with path.open("r+b") as file:
            file.seek(max(before, after - cut))
            file.write(bytes(after - file.tell()))

    asyncio.run(story())
    assert kept_after(path, 0) == ([1], 1)


def test_a_full_half_takes_no_more_until_the_other_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HALF", 200)

    async def story() -> None:
        shelf = Shelf(tmp_path / "intake")
        with pytest.raises(NoRoomError):
            await shelf.intake.add([("x" * 300,)])
        while True:
            try:
                last = await shelf.add(1)
            except NoRoomError:
                break
        assert await shelf.intake.turn() == last
        assert await shelf.add(2) == last + 1
        shelf.crash()

    asyncio.run(story())


def test_a_disk_that_fails_is_not_trusted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    async def story() -> None:
        shelf = Shelf(tmp_path / "intake")
        await shelf.add(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fail)
            with pytest.raises(UnavailableError):
                await shelf.add(2)
        with pytest.raises(NoRoomError):
            await shelf.add(3)
        assert shelf.kept == [([(1, "text")], 1)]
        shelf.crash()

    asyncio.run(story())


def test_a_place_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        shelf = Shelf(tmp_path / "no such folder" / "intake")
        with pytest.raises(NoRoomError):
            await shelf.add(1)
        shelf.crash()

    asyncio.run(story())
