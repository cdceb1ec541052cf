"""Points: durable, in order, whole or summarised, and each owner's own."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from gristmill.domain.metrics import NewPoint, Point, number
from gristmill.services.metrics import chunks, settling
from gristmill.services.metrics.chunks import CHUNK, pack, unpack
from gristmill.services.metrics.reader import Wanted
from gristmill.services.metrics.summary import Piece, summarise
from gristmill.services.queue.removal import Removal
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, Mill
from tests.services.mill import play as run

ALL = Wanted()


def _points(values: Sequence[float], start: int = 0) -> list[Point]:
    return [Point(start + index, repr(value)) for index, value in enumerate(values)]


async def _record(mill: Mill, points: Sequence[Point], source: str = "s", name: str = "x") -> None:
    await mill.metrics.recorder.record(ANN, [NewPoint(source, name, point) for point in points])


async def _read(mill: Mill, wanted: Wanted = ALL, source: str = "s") -> dict[str, list[Point]]:
    return await mill.metrics.reader.read(ANN, source, wanted)


async def _settle(mill: Mill) -> None:
    for row in await mill.database.read(lambda tx: tx.all("count_metric_tails")):
        await mill.metrics.recorder.settle(row[0])


def _means(points: Sequence[Point], groups: int) -> list[tuple[int, float]]:
    """What a summary is, written down plainly."""
    if len(points) <= groups:
        return [(point.at, float(point.value)) for point in points]
    size = math.ceil(len(points) / groups)
    slices = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[0].at, sum(float(point.value) for point in part) / len(part)) for part in slices]


def test_points_come_back_in_the_order_of_their_times(play: Play) -> None:
    async def story(mill: Mill) -> None:
        odd = Point(5, "five", "why not", cumulative=True)
        await _record(mill, [odd, Point(1, "1.0"), Point(3, "3"), Point(1, "0.10")])
        expected = {"x": [Point(1, "1.0"), Point(1, "0.10"), Point(3, "3"), odd]}
        assert await _read(mill) == expected
        await _settle(mill)
        assert await _read(mill) == expected

    play(story)


def test_a_late_point_is_put_where_it_belongs(play: Play) -> None:
    async def story(mill: Mill) -> None:
        points = [Point(10 * index, str(index)) for index in range(3 * CHUNK)]
        await _record(mill, points)
        await _settle(mill)
        late = [Point(10 * CHUNK + 5, "late"), Point(-1, "first"), Point(0, "second of its time")]
        for point in late:
            await _record(mill, [point])
        expected = sorted(points + late, key=lambda point: point.at)
        assert (await _read(mill))["x"] == expected

    play(story)


def test_reading_what_is_wanted(play: Play) -> None:
    async def story(mill: Mill) -> None:
        points = _points([float(value) for value in range(2 * CHUNK + 10)])
        for settled in (False, True):
            if settled:
                await _settle(mill)
            else:
                await _record(mill, points)
                await _record(mill, points[:3], name="other")
            reads = [
                (Wanted(since=CHUNK, name="x"), points[CHUNK + 1 :]),
                (Wanted(since=-5, name="x"), points),
                (Wanted(last=7, name="x"), points[-7:]),
                (Wanted(since=2 * CHUNK + 7, last=7, name="x"), points[-2:]),
                (Wanted(groups=len(points), name="x"), points),
                (Wanted(name="nothing"), None),
                (Wanted(since=10 * CHUNK), None),
            ]
            for wanted, expected in reads:
                assert (await _read(mill, wanted)).get("x") == expected, wanted
        summary = (await _read(mill, Wanted(groups=10, since=99, last=4)))["x"]
        means = _means(points[100:], 10)[-4:]
        assert [(point.at, float(point.value)) for point in summary] == means

    play(story)


def test_a_summary_of_the_documents(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await _record(mill, _points([float(value) for value in range(10)]))
        summary = (await _read(mill, Wanted(groups=4)))["x"]
        assert [point.value for point in summary] == ["1.0", "4.0", "7.0", "9.0"]
        assert [point.at for point in summary] == [0, 3, 6, 9]

    play(story)


def test_what_is_no_number_is_not_summarised(play: Play) -> None:
    async def story(mill: Mill) -> None:
        points = [*_points([1.0] * CHUNK), Point(CHUNK, "done")]
        await _record(mill, points)
        await _settle(mill)
        assert (await _read(mill, Wanted(groups=3)))["x"] == points

    play(story)


def test_each_user_has_sources_of_their_own(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await _record(mill, _points([1.0]))
        with pytest.raises(NotFoundError):
            await mill.metrics.reader.read(BEN, "s", ALL)
        await mill.metrics.recorder.record(BEN, [NewPoint("s", "x", Point(0, "ben's"))])
        assert (await _read(mill))["x"] == _points([1.0])
        assert await mill.metrics.sources(BEN) == ["s"]

    play(story)


def test_points_of_a_job_follow_the_job(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        source = f"job:{job}"
        mine = [NewPoint("s", "a", Point(0, "1")), NewPoint(source, "a", Point(0, "1"))]
        for who, wrong in ((BEN, source), (ANN, "job:999"), (EVERYBODY, "job:0999")):
            with pytest.raises((NotFoundError, InvalidInputError)):
                await mill.metrics.recorder.record(
                    who, [mine[0], NewPoint(wrong, "a", Point(0, ""))]
                )
            assert await mill.metrics.sources(who) == []
        await mill.metrics.recorder.record(ANN, mine)
        assert await mill.metrics.reader.read(EVERYBODY, source, ALL) == {"a": [Point(0, "1")]}
        with pytest.raises(NotFoundError):
            await mill.metrics.reader.read(BEN, source, ALL)
        await mill.cancel(job)
        await Removal(mill.core, mill.registry).remove(ANN, [job])
        with pytest.raises(NotFoundError):
            await mill.metrics.recorder.record(ANN, mine)
        assert await mill.metrics.sources(ANN) == ["s"]
        assert await _read(mill) == {"a": [Point(0, "1")]}

    play(story)


def test_a_deleted_source_begins_anew(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await _record(mill, _points([1.0, 2.0]))
        await mill.metrics.delete(ANN, "s")
        with pytest.raises(NotFoundError):
            await _read(mill)
        await _record(mill, _points([3.0]))
        assert (await _read(mill))["x"] == _points([3.0])

    play(story)


def test_many_writers_share_commits_and_lose_nothing(play: Play) -> None:
    async def story(mill: Mill) -> None:
        async def post(writer: int) -> None:
            for turn in range(50):
                await _record(mill, [Point(turn, f"{writer}")], name=f"w{writer}")

        settling = asyncio.create_task(mill.metrics.recorder.run())
        await asyncio.gather(*map(post, range(20)))
        settling.cancel()
        found = await _read(mill)
        assert {name: len(points) for name, points in found.items()} == {
            f"w{writer}": 50 for writer in range(20)
        }

    play(story)


def test_series_that_have_grown_are_settled(play: Play) -> None:
    async def story(mill: Mill) -> None:
        keeper = asyncio.create_task(mill.metrics.recorder.run())
        for turn in range(CHUNK):
            await _record(mill, [Point(turn, "1.0")])
        async with asyncio.timeout(60):
            while await mill.database.read(lambda tx: tx.all("count_metric_tails")):
                pass
        keeper.cancel()
        assert len((await _read(mill))["x"]) == CHUNK

    play(story)


def test_those_who_watch_get_what_was_recorded(play: Play) -> None:
    async def story(mill: Mill) -> None:
        watching = mill.metrics.feed.watch(ANN, "s", 60)
        first = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0)
        await mill.metrics.recorder.record(BEN, [NewPoint("s", "x", Point(0, "ben's"))])
        await _record(mill, _points([4.0]), source="elsewhere")
        await _record(mill, _points([5.0]))
        assert await first == [NewPoint("s", "x", Point(0, "5.0"))]
        mill.metrics.feed.close()
        await watching.aclose()

    play(story)


_VALUES = st.one_of(
    st.floats().map(repr), st.integers().map(str), st.text(max_size=5), st.just("1_000")
)


@given(
    st.lists(
        st.builds(
            Point, st.integers(-(1 << 60), 1 << 60), _VALUES, st.text(max_size=3), st.booleans()
        ),
        min_size=1,
        max_size=40,
    )
)
def test_a_chunk_gives_back_what_was_packed(points: list[Point]) -> None:
    ordered = sorted(points, key=lambda point: point.at)
    chunk = pack(ordered)
    assert unpack(chunk.first_at, chunk.packed) == ordered
    assert bool(chunk.in_numbers) == all(number(point.value) is not None for point in ordered)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=200), st.integers(1, 60), st.data())
def test_a_summary_is_the_means_of_neighbours(
    values: list[int], size: int, data: st.DataObject
) -> None:
    points = _points([float(value) for value in values])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(points)), max_size=10)) | {len(points)})
    skipped = data.draw(st.integers(0, cuts[0] - 1))
    pieces, start = [], 0
    for end in cuts:
        chunk = pack(points[start:end])
        pieces.append(
            Piece(
                chunk.first_at,
                chunk.points,
                0 if start else skipped,
                chunk.total,
                lambda chunk=chunk: chunks.window(chunk.packed),  # type: ignore[misc]
            )
        )
        start = end
    wanted = points[skipped:]
    expected = [
        sum(float(point.value) for point in wanted[start : start + size])
        / len(wanted[start : start + size])
        for start in range(0, len(wanted), size)
    ]
    assert [float(point.value) for point in summarise(pieces, size)] == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_any_order_of_arrival_reads_the_same(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = Random(seed)
    folder: Path = tmp_path_factory.mktemp("any")

    async def story(mill: Mill) -> None:
        sent: list[Point] = []
        for turn in range(chance.randrange(1, 12)):
            batch = [
                Point(chance.randrange(100), f"{turn}.{index}")
                for index in range(chance.randrange(1, 9))
            ]
            sent += batch
            await _record(mill, batch)
            if chance.random() < 0.4:
                await _settle(mill)
        found = (await _read(mill))["x"]
        assert [point.at for point in found] == sorted(point.at for point in sent)
        assert sorted(found) == sorted(sent)

    original, settling.CHUNK = settling.CHUNK, 4  # type: ignore[attr-defined]
    try:
        run(f"sqlite://{folder}/gristmill.db", folder, story)
    finally:
        settling.CHUNK = original  # type: ignore[attr-defined]


def _single(value: int, source: str = "s") -> list[NewPoint]:
    return [NewPoint(source, "x", Point(value, str(value)))]


def test_single_points_are_read_at_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        for value in range(20):
            await mill.metrics.recorder.record(ANN, _single(value))
            assert len((await _read(mill))["x"]) == value + 1
        job = await mill.one()
        for value in range(3):
            await mill.metrics.recorder.record(ANN, _single(value, f"job:{job}"))
        await Removal(mill.core, mill.registry).remove(ANN, [job])
        with pytest.raises(NotFoundError):
            await mill.metrics.recorder.record(ANN, _single(3, f"job:{job}"))
        await mill.metrics.delete(ANN, "s")
        await mill.metrics.recorder.record(ANN, _single(77))
        assert await _read(mill) == {"x": [Point(77, "77")]}

    play(story)


def test_points_of_a_server_that_died_are_there_once(database_url: str, tmp_path: Path) -> None:
    """However far it had come with them."""

    def live(work: Callable[[Mill], Awaitable[None]], *, dies: bool = False) -> None:
        async def story(mill: Mill) -> None:
            await work(mill)
            if not dies:
                await mill.metrics.recorder.close()

        run(database_url, tmp_path, story)

    async def dying(mill: Mill, last: int) -> None:
        for value in range(last - 10, last):
            await mill.metrics.recorder.record(ANN, _single(value))
            if value == last - 4:
                await mill.metrics.recorder.flush()

    live(lambda mill: dying(mill, 10), dies=True)
    live(lambda mill: dying(mill, 20), dies=True)

    async def reading(mill: Mill) -> None:
        assert [point.at for point in (await _read(mill))["x"]] == list(range(20))
        await dying(mill, 30)

    live(reading)

    async def at_the_end(mill: Mill) -> None:
        assert [point.at for point in (await _read(mill))["x"]] == list(range(30))

    live(at_the_end)


def test_a_database_that_is_away_loses_no_point_in_the_intake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(mill: Mill) -> None:
        recorder = mill.metrics.recorder
        for value in range(3):
            await recorder.record(ANN, _single(value))
        with monkeypatch.context() as patch:
            patch.setattr(mill.database, "write", _away)
            assert [point.at for point in (await _read(mill))["x"]] == [0]
            await recorder.record(ANN, _single(3))
        assert [point.at for point in (await _read(mill))["x"]] == [0, 1, 2, 3]

    run(f"sqlite://{tmp_path}/gristmill.db", tmp_path, story)


async def _away(_: object) -> None:
    raise UnavailableError("away")


def test_great_batches_leave_little_unsettled(play: Play) -> None:
    async def story(mill: Mill) -> None:
        expected: list[Point] = []
        for start in range(0, 15_000, 3000):
            batch = _points([float(value) for value in range(3000)], start)
            await _record(mill, batch)
            expected += batch
            rows = await mill.database.read(lambda tx: tx.all("count_metric_tails"))
            assert sum(row[1] for row in rows) < CHUNK
        late = _points([-1.0] * 2000, 500)
        await _record(mill, late)
        assert (await _read(mill))["x"] == sorted(expected + late, key=lambda point: point.at)

    play(story)
