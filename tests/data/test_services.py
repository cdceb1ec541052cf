"""Tables, models and tasks on both databases: what is current, who sees it, what is swept."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gristmill.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from gristmill.domain.state import JobState
from gristmill.services.data.datasets import Query
from gristmill.services.data.models import Call
from gristmill.services.data.place import Place
from tests.data.barn import ANN, BEN, HERE, THERE, Barn, Story

Play = Callable[[Story], None]
PIPELINE = b'{"pipeline": [["LinearRegression", {}]]}'


async def _rows(barn: Barn, name: str, place: Place = HERE, **query: Any) -> Any:
    read = await barn.data.datasets.read(place, name, Query(orient="list", **query), {})
    return msgspec.json.decode(read)["data"]


async def _line(barn: Barn) -> None:
    await barn.put("x", x=list(range(10)))
    await barn.put("y", y=[2 * each for each in range(10)])
    await barn.data.models.create(HERE, "m", PIPELINE)


FIT = Call("fit", "x", "y")


def test_a_table_is_replaced_whole_and_the_old_bytes_go(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await barn.put("t", x=[1, 2])
        before = barn.blobs()
        await barn.put("t", x=[3])
        assert await _rows(barn, "t") == {"x": [3]}
        assert (await barn.data.datasets.get(HERE, "t")).version == 2
        await barn.sweep()
        assert len(barn.blobs()) == 1
        assert not barn.blobs() & before
        await barn.data.datasets.delete(HERE, "t")
        await barn.sweep()
        assert not barn.blobs()
        with pytest.raises(NotFoundError):
            await barn.data.datasets.get(HERE, "t")

    play(story)


def test_a_refused_write_changes_nothing(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await barn.put("t", x=[1])
        for body in (b"{", b'{"data": {"x": [1.5]}, "dtypes": {"x": "int64"}, "append": false}'):
            with pytest.raises(InvalidInputError):
                await barn.data.datasets.write(HERE, "t", body)
        assert await _rows(barn, "t") == {"x": [1]}
        await barn.sweep()
        assert len(barn.blobs()) == 1

    play(story)


def test_many_writers_of_one_table_take_turns(play: Play) -> None:
    async def story(barn: Barn) -> None:
        bodies = [msgspec.json.encode({"data": {"x": [n]}, "orient": "list"}) for n in range(12)]
        await asyncio.gather(*(barn.data.datasets.write(HERE, "t", body) for body in bodies))
        assert sorted((await _rows(barn, "t"))["x"]) == list(range(12))
        await barn.sweep()
        found = await barn.data.datasets.get(HERE, "t")
        assert len(barn.blobs()) == len(found.manifest["parts"])

    play(story)


def test_owners_and_buckets_are_worlds_of_their_own(play: Play) -> None:
    async def story(barn: Barn) -> None:
        bucket = HERE._replace(bucket="b")
        await barn.put("t", x=[1])
        await barn.put("t", THERE, x=[2])
        await barn.put("t", bucket, x=[3])
        assert await _rows(barn, "t") == {"x": [1]}
        assert await _rows(barn, "t", THERE) == {"x": [2]}
        await barn.data.datasets.delete(bucket, "t")
        with pytest.raises(NotFoundError):
            await _rows(barn, "t", bucket)
        assert (await barn.data.core.list(THERE, "dataset", 10, 0)).total == 1
        await _line(barn)
        task = await barn.data.tasks.model(ANN, HERE, "m", FIT)
        for place in (THERE, bucket):
            with pytest.raises(NotFoundError):
                await barn.data.tasks.get(place, task.id)
        with pytest.raises(NotFoundError):
            await barn.data.models.get(THERE, "m")

    play(story)


def test_lists_have_pages_totals_and_no_hidden_names(play: Play) -> None:
    async def story(barn: Barn) -> None:
        for name in ("b", "a", ".hidden", "_too", "c/d"):
            await barn.put(name, x=[1])
        page = await barn.data.core.list(HERE, "dataset", 2, 1)
        assert ([each.name for each in page.objects], page.total) == (["b", "c/d"], 3)
        await barn.data.datasets.delete(HERE, ".hidden")
        await barn.data.datasets.delete(HERE, "b")
        assert (await barn.data.core.list(HERE, "dataset", 2, 0)).total == 2

    play(story)


def test_names_follow_one_another_in_batches(play: Play) -> None:
    async def story(barn: Barn) -> None:
        wanted = ["B", "a", "a/b", "b", "é", "zz"]
        for name in (*wanted, ".hidden"):
            await barn.put(name, x=[1])
        await barn.put("other", THERE, x=[1])
        listed = await barn.data.core.list(HERE, "dataset", 10, 0)
        seen: list[str] = []
        while True:
            after = seen[-1] if seen else ""
            found = await barn.data.core.names(HERE, "dataset", after=after, limit=2)
            seen += found
            if len(found) < 2:
                break
        assert seen == [each.name for each in listed.objects]
        assert sorted(seen) == sorted(wanted)
        nobody = Place("nobody")
        assert await barn.data.core.names(nobody, "dataset", after="", limit=2) == ()

    play(story)


def test_a_fit_makes_a_version_with_its_lineage(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await _line(barn)
        task = await barn.data.tasks.model(ANN, HERE, "m", FIT, tag="best", note=b"mine")
        assert (task.state, task.result) == (JobState.READY, b"")
        assert await barn.run(task) == 0
        done = await barn.data.tasks.get(HERE, task.id)
        assert (done.state, done.result, done.note) == (JobState.COMPLETE, b'"ok"', b"mine")
        latest, created = await barn.data.models.versions(HERE, "m")
        assert (latest.number, list(latest.tags), latest.job) == (2, ["best", "latest"], task.job)
        assert [each["name"] for each in latest.sources] == ["x", "y"]
        for reference in ("m", "m@latest", "m@best", f"m@{latest.commit}"):
            assert (await barn.data.models.get(HERE, reference)).number == 2
        assert (await barn.data.models.get(HERE, "m^")).commit == created.commit
        for reference in ("m^^", "m@other", "m@" + "0" * 40):
            with pytest.raises(NotFoundError):
                await barn.data.models.get(HERE, reference)
        call = Call("predict", "x", tidy=True)
        said = msgspec.json.decode(await barn.data.models.call(HERE, "m", call, {"more": 1}))
        assert said == {"result": [2.0 * each for each in range(10)], "more": 1}
        await barn.data.models.delete(HERE, "m")
        await barn.sweep()
        assert len(barn.blobs()) == 2

    play(story)


def test_a_refused_fit_says_why_and_leaves_nothing(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await _line(barn)
        await barn.put("short", y=[1])
        task = await barn.data.tasks.model(ANN, HERE, "m", Call("fit", "x", "short"))
        assert await barn.run(task) == 1
        done = await barn.data.tasks.get(HERE, task.id)
        assert (done.state, done.refused, done.result) == (JobState.BURIED, True, b"")
        assert "inconsistent numbers of samples" in done.message
        assert len(await barn.data.models.versions(HERE, "m")) == 1
        await barn.sweep()
        assert len(barn.blobs()) == 4

    play(story)


def test_a_task_works_on_what_was_there_when_it_was_asked_for(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await _line(barn)
        task = await barn.data.tasks.model(ANN, HERE, "m", FIT)
        await barn.put("x", x=[1])
        await barn.sweep()
        assert await barn.run(task) == 0
        await barn.sweep()
        assert len(barn.blobs()) == 4

    play(story)


def test_a_cancelled_task_is_revoked(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await _line(barn)
        task = await barn.data.tasks.model(ANN, HERE, "m", FIT)
        with pytest.raises(NotFoundError):
            await barn.data.tasks.revoke(BEN, THERE, task.id)
        gone = await barn.data.tasks.revoke(ANN, HERE, task.id)
        assert gone.state is JobState.CANCELLED
        assert gone.ended is not None

    play(story)


def test_a_model_that_went_while_it_was_fitted_stays_gone(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await _line(barn)
        task = await barn.data.tasks.model(ANN, HERE, "m", FIT)
        await barn.data.models.delete(HERE, "m")
        assert await barn.run(task) == 0
        with pytest.raises(NotFoundError):
            await barn.data.models.get(HERE, "m")
        await barn.sweep()
        assert len(barn.blobs()) == 2

    play(story)


def test_a_script_reaches_nothing_after_its_task(play: Play) -> None:
    async def story(barn: Barn) -> None:
        code = b'{"code": "def run(om, *args, **kwargs):\\n    return [args, kwargs]"}'
        await barn.data.scripts.put(HERE, "s", code, archive=False)
        task = await barn.data.tasks.script(ANN, HERE, "s", b'{"a": 1}', {"b": "2"})
        assert len(await barn.mill.database.read(lambda tx: tx.all("list_tokens"))) == 1
        assert await barn.run(task) == 0
        done = await barn.data.tasks.get(HERE, task.id)
        assert msgspec.json.decode(done.result)["result"] == [[{"a": 1}], {"b": "2"}]
        assert not await barn.mill.database.read(lambda tx: tx.all("list_tokens"))

    play(story)


BAD_NAMES = ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", "x" * 513, "a\0b", "a\nb", "a[b]"]


def test_names_that_could_mean_anything_else_are_refused(play: Play) -> None:
    async def story(barn: Barn) -> None:
        for name in BAD_NAMES:
            with pytest.raises(InvalidInputError):
                await barn.put(name, x=[1])
        for place in (HERE._replace(bucket="../b"), HERE._replace(bucket="a/b")):
            with pytest.raises(InvalidInputError):
                await barn.put("fine", place, x=[1])
        assert not barn.blobs()

    play(story)


def test_a_call_that_takes_too_long_ends_its_worker_and_no_other(play: Play) -> None:
    async def story(barn: Barn) -> None:
        core = barn.data.core
        question = {
            "op": "dataset.write",
            "root": core.root,
            "path": "datasets/ab/late.parquet",
            "manifest": None,
            "append": None,
            "orient": "list",
            "seconds": 0.01,
        }
        body = msgspec.json.encode({"data": {"x": [str(n) for n in range(300_000)]}})
        with pytest.raises(UnavailableError, match="too much"):
            await core.workers.call(question, body)
        assert not barn.blobs()
        for _ in range(4):
            assert (await core.workers.call({"op": "ping"}, b"x")).body == b"x"

    play(story)


def test_what_was_being_written_when_the_server_died_is_swept(play: Play) -> None:
    async def story(barn: Barn) -> None:
        await barn.put("t", x=[1])
        core = barn.data.core
        path = "datasets/ab/half.parquet"
        question = {"op": "dataset.write", "root": core.root, "path": path,
                    "manifest": None, "append": None, "orient": None}  # fmt: skip

        async def killed() -> None:
            await core.workers.call(question, b'{"data": {"x": {"0": 1}}}')
            raise KeyboardInterrupt

        core.drop = _nothing  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            await core.blob(path, killed())
        assert len(barn.blobs()) == 2
        await barn.data.load()
        await barn.sweep()
        assert len(barn.blobs()) == 1
        assert await _rows(barn, "t") == {"x": [1]}

    play(story)


async def _nothing(paths: Any) -> None:
    """Stand for a server that is no more."""
