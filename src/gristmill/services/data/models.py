"""Models: every stored state is a version, found by number, commit, tag or distance."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.services.data.core import DataCore, stored
from gristmill.services.data.datasets import Datasets
from gristmill.services.data.place import (
    MODEL,
    Place,
    Stored,
    check_bucket,
    check_name,
)
from gristmill.store import data as store
from gristmill.store.database import Transaction
from gristmill.workers.wire import Header

FORMAT = "sklearn.joblib"
ASKING = frozenset({"predict", "predict_proba", "decision_function", "transform", "score"})
CHANGING = frozenset({"fit", "partial_fit", "fit_transform", "gridsearch"})
LATEST = "latest"
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_TAG = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")
_encode = msgspec.json.Encoder().encode


class Version(NamedTuple):
    """One stored state. sources: tables it was made from, by name and version."""

    name: str
    number: int
    commit: str
    tags: Sequence[str]
    created: float
    action: str
    job: int | None
    sources: Sequence[Mapping[str, Any]]
    path: str


class Call(NamedTuple):
    """An action with its data: names of tables with projections, or rows as inline JSON.

    params: such as classes of partial_fit. tidy: show predictions that miss a whole number by
    rounding errors alone as that number. checked: by the schemas linked to the model.
    """

    action: str
    datax: str | None = None
    datay: str | None = None
    body: bytes = b""
    params: Mapping[str, Any] = {}
    tidy: bool = False
    checked: bool = False


class Reference(NamedTuple):
    """A model's name and which version of it: at most one of the others is given."""

    name: str
    commit: str | None = None
    tag: str | None = None
    back: int = 0


def parse_reference(text: str) -> Reference:
    """Read ``name``, ``name@tag``, ``name@commit`` or ``name^^``. Raises InvalidInputError."""
    name = text.rstrip("^")
    back = len(text) - len(name)
    name, separator, which = name.partition("@")
    check_name(MODEL, name, "model")
    if not separator or which == LATEST:
        return Reference(name, back=back)
    if back:
        raise InvalidInputError("give either '@' or '^', not both", "model")
    if _COMMIT.match(which):
        return Reference(name, commit=which)
    check_tag(which)
    return Reference(name, tag=which)


def check_tag(tag: str) -> None:
    """Raise InvalidInputError when it cannot be a tag."""
    if not _TAG.match(tag) or tag == LATEST or _COMMIT.match(tag):
        raise InvalidInputError(
            f"a tag has up to 128 letters, digits, '.', '_' and '-', not {tag[:80]!r}", "tag"
        )


class Models:
    """The models of owners."""

    def __init__(self, core: DataCore, datasets: Datasets) -> None:
        self._core, self._datasets = core, datasets

    async def create(
        self, place: Place, name: str, body: bytes, *, tag: str | None = None
    ) -> Stored:
        """Store an unfitted model, as version 1 or as the next one.

        body: JSON with ``pipeline``. Raises InvalidInputError.
        """
        check_bucket(place.bucket)
        check_name(MODEL, name)
        if tag is not None:
            check_tag(tag)
        path = self._core.new_path(MODEL, "skops")
        making = self._create(place, name, body, path, tag)
        return await self._core.to_its_end(self._core.blob(path, making))

    async def _create(
        self, place: Place, name: str, body: bytes, path: str, tag: str | None
    ) -> Stored:
        question = {"op": "model.create", "root": self._core.root, "path": path}
        answer = await self._core.workers.call(question, body)
        manifest = {key: answer.header[key] for key in ("estimator", "signature")}
        size = answer.header["size"]

        def work(tx: Transaction) -> Stored:
            where = self._core.own_place(tx, place)
            now = self._core.queue.chance.now()
            row = store.find_object(tx, where, MODEL, name)
            if row is None:
                number = store.insert_object(tx, where, MODEL, name, FORMAT, manifest, now=now)
                version = 1
            else:
                number, version = row.id, row.version + 1
                store.update_object(tx, number, FORMAT, version, manifest, now=now)
            made = store.VersionRow(version, commit_of(path), path, size, "create", None, [], now)
            store.insert_version(tx, number, made)
            store.keep_blob(tx, path)
            self._core.changed(tx)
            if tag is not None:
                store.put_tag(tx, number, tag, version)
            return stored(MODEL, name, place, self._core.find(tx, place, MODEL, name))

        return await self._core.queue.database.write(work)

    async def stored(self, place: Place, text: str) -> Stored:
        """Return the object that a reference means. Raises NotFoundError."""
        return await self._core.get(place, MODEL, parse_reference(text).name)

    async def get(self, place: Place, text: str) -> Version:
        """Return the version that a reference means. Raises NotFoundError."""
        check_bucket(place.bucket)
        reference = parse_reference(text)

        def work(tx: Transaction) -> Version:
            row = self._core.find(tx, place, MODEL, reference.name)
            version = _resolve(tx, row, reference)
            if version is None:
                raise NotFoundError(f"there is no version {text[:200]!r}")
            return _shown(reference.name, row, version, store.tags_of(tx, row.id))

        return await self._core.cached((place, MODEL, "version", text), work)

    async def versions(self, place: Place, name: str) -> Sequence[Version]:
        """Return every version, newest first. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(MODEL, name)

        def work(tx: Transaction) -> Sequence[Version]:
            row = self._core.find(tx, place, MODEL, name)
            tags = store.tags_of(tx, row.id)
            return [_shown(name, row, each, tags) for each in store.list_versions(tx, row.id)]

        return await self._core.queue.database.read(work)

    async def tag(self, place: Place, text: str, tag: str) -> Version:
        """Let a tag name a version. Raises NotFoundError."""
        check_tag(tag)
        version = await self.get(place, text)

        def work(tx: Transaction) -> None:
            row = self._core.find(tx, place, MODEL, version.name)
            store.put_tag(tx, row.id, tag, version.number)
            self._core.changed(tx)

        await self._core.queue.database.write(work)
        return await self.get(place, f"{version.name}@{tag}")

    async def delete(self, place: Place, name: str) -> None:
        """Forget a model with all versions. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(MODEL, name)

        def work(tx: Transaction) -> None:
            row = self._core.find(tx, place, MODEL, name)
            paths = [each.path for each in store.list_versions(tx, row.id)]
            store.delete_object(tx, self._core.own_place(tx, place), MODEL, name, row.id)
            self._core.bury(tx, paths)
            self._core.changed(tx)

        await self._core.queue.database.write(work)

    async def call(
        self, place: Place, text: str, call: Call, extra: Mapping[str, Any]
    ) -> bytearray:
        """Run an action that changes nothing; return the JSON of an object: result, and extra.

        Raises NotFoundError, InvalidInputError.
        """
        if call.action not in ASKING:
            known = ", ".join(sorted(ASKING))
            raise InvalidInputError(f"cannot be {call.action[:40]!r} here: {known}", "action")
        return await self._core.reading(self._call(place, text, call, extra))

    async def _call(
        self, place: Place, text: str, call: Call, extra: Mapping[str, Any]
    ) -> bytearray:
        version = await self.get(place, text)
        question = await self.question(place, version, call)
        question.update(op="model.ask", extra=dict(extra))
        return (await self._core.workers.call(question, call.body)).body

    async def question(self, place: Place, version: Version, call: Call) -> Header:
        """Return what a worker is told of a call. Raises NotFoundError."""
        question: Header = {
            "root": self._core.root,
            "model": version.path,
            "action": call.action,
            "params": dict(call.params),
            "tidy": call.tidy,
            "datax": None,
            "datay": None,
            "extra": {},
        }
        if call.checked:
            stored = await self._core.get(place, MODEL, version.name)
            question["signature"] = stored.manifest.get("signature")
        for field, reference in (("datax", call.datax), ("datay", call.datay)):
            if reference:
                question[field] = await self._datasets.source(place, reference, field)
        if question["datax"] is None and not call.body.strip():
            raise InvalidInputError("give datax, or rows in the body", "datax")
        return question

    async def infer(
        self, place: Place, text: str, body: bytes, extra: Mapping[str, Any]
    ) -> bytearray:
        """Answer a request of the Open Inference Protocol, version 2."""
        version = await self.get(place, text)
        question = {
            "op": "model.infer",
            "root": self._core.root,
            "model": version.path,
            "extra": dict(extra),
        }
        work = self._core.workers.call(question, body)
        return (await self._core.reading(work)).body


def commit_of(path: str) -> str:
    """Return the 40 hex digits that name a version: no two have the same path."""
    return hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()


def _resolve(
    tx: Transaction, row: store.ObjectRow, reference: Reference
) -> store.VersionRow | None:
    if reference.commit is not None:
        return store.find_version(tx, row.id, commit=reference.commit)
    if reference.tag is not None:
        return store.find_version(tx, row.id, tag=reference.tag)
    return store.find_version(tx, row.id, at=row.version - reference.back)


def _shown(
    name: str, row: store.ObjectRow, version: store.VersionRow, tags: Mapping[int, list[str]]
) -> Version:
    own = list(tags.get(version.number, ()))
    if version.number == row.version:
        own.append(LATEST)
    return Version(
        name, version.number, version.commit, own, version.created, version.action, version.job,
        version.sources, version.path,
    )  # fmt: skip
