"""Jobs come in: one or a million at once, all or nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec, Learn, check_spec
from gristmill.domain.resources import CPU_SHARES, Resources, memory_for, need_of
from gristmill.domain.shape import Shape
from gristmill.domain.state import HELD, JobState
from gristmill.services.job_secrets import sealed
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.cycles import find_cycle, takes_part
from gristmill.services.queue.keys import Keys
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.links import Links
from gristmill.store.database import Transaction
from gristmill.store.jobs import encode_spec, insert_jobs, take_job_ids
from gristmill.store.mail import insert_notifications

MOST_JOBS = 1_000_000
"""Jobs in one submission."""

INLINE_JOBS = 500
"""Up to this many jobs are prepared on the event loop; more go to a thread."""

_READY, _DELAYED, _WAITING = JobState.READY.value, JobState.DELAYED.value, JobState.WAITING.value
_encode_ids = msgspec.json.Encoder().encode
_decode_ids = msgspec.json.Decoder(list[int]).decode


class Submitted(NamedTuple):
    """Ids in the order of the submission; added counts those that are new.

    An id is 0 for a job that was left out because its work is done already. first: ids from it
    on are new, None when none is.
    """

    ids: list[int]
    added: int
    first: int | None = None


class Placement(NamedTuple):
    """Where a job stands in a workflow. blocked: other nodes must be done first."""

    workflow: int
    node: int
    instance: int
    blocked: bool


class Submission(NamedTuple):
    """What is handed in together. data: a dialect's own bytes, one a job.

    rerun: one a job, or None. With it, a key stands for its work for ever: a job that is not
    complete is left as it is, and a complete one is only run again where rerun says so.
    Without it, a key is free again as soon as its job has ended.
    admin: whether the jobs may wait for jobs of others.
    alone: refuse it while a job of this owner and dialect runs, or one with the same key waits.
    caller: who submits, where the jobs may call back with the same groups, or mail is wanted.
    places: one a job, for the jobs of a workflow. sealed: the specs' secrets are sealed already.
    ready_at: epoch seconds before which none of them begins, instead of their delays.
    held: once their time has come, they wait until a ledger releases them.
    """

    specs: Sequence[JobSpec]
    owner: str
    dialect: Dialect = Dialect.NATIVE
    data: Sequence[bytes | None] | None = None
    idempotency_key: str | None = None
    rerun: Sequence[bool] | None = None
    admin: bool = False
    alone: bool = False
    caller: Identity | None = None
    places: Sequence[Placement] | None = None
    sealed: bool = False
    ready_at: float | None = None
    held: bool = False


class Prepared(NamedTuple):
    """A submission's specs, checked, as they are stored, and their shapes."""

    specs: Sequence[JobSpec]
    blobs: list[bytes]
    shapes: list[Shape]


class Submitter:
    """Takes submissions."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def submit(self, submission: Submission) -> Submitted:
        """Add jobs; they are on disk when this returns.

        Raises InvalidInputError naming the first bad job, and then nothing was added.
        """
        prepared = await self.prepare(submission)
        return await self._core.database.write(lambda tx: self.add(tx, submission, prepared))

    async def prepare(self, submission: Submission) -> Prepared:
        """Do what needs no transaction. Raises InvalidInputError naming the first bad job."""
        count = len(submission.specs)
        if count > MOST_JOBS:
            raise InvalidInputError(f"{count} jobs in one submission, at most {MOST_JOBS}", "jobs")
        if count <= INLINE_JOBS:
            return prepare(self._core, submission)
        return await asyncio.to_thread(prepare, self._core, submission)

    def add(
        self, tx: Transaction, submission: Submission, prepared: Prepared | None = None
    ) -> Submitted:
        """Add jobs within a caller's transaction."""
        ready = prepared or prepare(self._core, submission)
        owner = self._core.words.intern(tx, submission.owner)
        key = submission.idempotency_key
        if key is not None:
            earlier = tx.one("find_idempotent", owner=owner, key=key)
            if earlier:
                return Submitted(_decode_ids(earlier[0]), 0)
        if submission.alone:
            _check_alone(tx, owner, submission.dialect)
        batch = _Batch(self._core, tx, submission, ready, owner)
        result = batch.insert()
        if submission.alone and result.added < len(submission.specs):
            raise ConflictError(f"job {result.ids[0]} has the same key: wait until it has ended")
        if key is not None:
            ids = _encode_ids(result.ids).decode()
            tx.many("insert_idempotent", [(owner, key, ids, batch.now)])
        return result


def _check_alone(tx: Transaction, owner: int, dialect: Dialect) -> None:
    for state, count in tx.all("get_counts_of_dialect", owner=owner, dialect=dialect.value):
        if count and JobState(state) in HELD:
            raise ConflictError(f"a {dialect.word} job is running: wait until it has ended")


def prepare(core: QueueCore, submission: Submission) -> Prepared:
    """Return the jobs as they are stored. Raises InvalidInputError naming the first bad one."""
    specs = submission.specs
    single = len(specs) == 1
    blobs, shapes = [], []
    known: dict[tuple[Resources, str, bool, Learn | None], Shape] = {}
    for number, spec in enumerate(specs):
        check_spec(spec, "" if single else f"[{number}].")
        box = None if submission.sealed else core.box
        kept = spec if box is None else sealed(spec, box, submission.owner)
        blobs.append(encode_spec(kept))
        container = spec.image is not None or any(task.image for task in spec.tasks)
        if spec.constraints or spec.require or spec.prefer:
            shapes.append(_shape(spec, container))
            continue
        same = (spec.resources, spec.pool, container, spec.learn)
        shape = known.get(same)
        if shape is None:
            shape = known[same] = _shape(spec, container)
        shapes.append(shape)
    return Prepared(specs, blobs, shapes)


def _shape(spec: JobSpec, container: bool) -> Shape:
    need, learn = need_of(spec.resources), spec.learn
    shape = Shape(
        need.cpu_shares,
        need.memory,
        need.disk,
        need.gpus,
        spec.resources.nodes,
        container,
        spec.pool,
        tuple(sorted(spec.constraints.items())),
    )
    if spec.resources.cpu_choices or spec.require or spec.prefer:
        shape = shape._replace(
            choices=_choices(spec.resources),
            require=tuple(sorted(spec.require.items())),
            prefer=tuple(sorted(spec.prefer.items())),
        )
    if learn is None:
        return shape
    return shape._replace(
        bucket=learn.bucket,
        override=learn.override,
        disk_given=learn.disk_given,
        seconds=learn.seconds,
    )


def _choices(resources: Resources) -> tuple[tuple[int, int], ...]:
    return tuple(
        (round(cpus * CPU_SHARES), memory_for(resources, cpus))
        for cpus in sorted(set(resources.cpu_choices), reverse=True)
    )


class _Batch:
    """One submission inside its transaction."""

    def __init__(
        self,
        core: QueueCore,
        tx: Transaction,
        submission: Submission,
        prepared: Prepared,
        owner: int,
    ) -> None:
        self.now = core.chance.now()
        self._core, self._tx, self._owner = core, tx, owner
        self._submission, self._prepared = submission, prepared
        self._ledger = Ledger(core, tx, self.now)
        self._groups: dict[str, int] = {}
        self._shapes: dict[Shape, int] = {}
        self._by_state: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._ready_shapes: set[int] = set()
        self._has_deadlines = False
        self._links = Links(
            core,
            tx,
            owner,
            reach=None if submission.admin else owner,
            single=len(submission.specs) == 1,
        )

    def insert(self) -> Submitted:
        specs = self._prepared.specs
        first = take_job_ids(self._tx, len(specs))
        keys = Keys(self._core, self._tx, self._owner)
        ids = keys.resolve(specs, first, self._submission.rerun)
        keys.begin_anew(self._ledger)
        new = [index for index, job in enumerate(ids) if job == first + index]
        self._links.join(self._ledger, [specs[index] for index in new], first, new)
        insert_jobs(self._tx, [self._row(index, first + index) for index in new])
        if self._submission.places is not None:
            self._place(self._submission.places, first, new)
        self._links.write()
        self._refuse_cycles(first, new)
        if self._submission.caller is not None:
            needed = [first + i for i in new if specs[i].sandbox or specs[i].notify]
            self._keep_caller(self._submission.caller, needed)
            self._note_whom_to_tell(self._submission.caller.email, first, new)
        self._close()
        return Submitted(ids, len(new), first)

    def _refuse_cycles(self, first: int, new: Sequence[int]) -> None:
        specs = self._prepared.specs
        taking_part = [first + index for index in new if takes_part(specs[index])]
        found = find_cycle(self._core, self._tx, taking_part)
        if found is not None:
            job, way = found
            raise InvalidInputError(
                f"the job would wait for itself: {way}",
                self._links.field(job - first, "after_groups"),
            )

    def _note_whom_to_tell(self, address: str, first: int, new: Sequence[int]) -> None:
        specs = self._prepared.specs
        waited_for = [first + index for index in new if specs[index].notify]
        if address and waited_for:
            insert_notifications(self._tx, [(job, address) for job in waited_for])
            self._tx.after_commit(self._core.signals.notify.set)

    def _row(self, index: int, job: int) -> tuple[object, ...]:
        spec = self._prepared.specs[index]
        words, tx, now, data = self._core.words, self._tx, self.now, self._submission.data
        shape, group = self._shape(self._prepared.shapes[index]), self._group(spec.group)
        places = self._submission.places
        blocked = places is not None and places[index].blocked
        unmet = self._links.unmet(spec, job, index) + blocked
        timeout = None if blocked else spec.queue_timeout
        ready_at = now + spec.delay if spec.delay else None
        if self._submission.ready_at is not None:
            ready_at = self._submission.ready_at if self._submission.ready_at > now else None
        if self._submission.held and ready_at is None:
            unmet += 1
        state = _WAITING if unmet else _READY if ready_at is None else _DELAYED
        mutex = self._links.private_word(spec.mutex) if spec.mutex else None
        parked = 0
        if state == _READY:
            parked = self._links.parked(mutex, job) if mutex is not None else 0
            self._ready_shapes.add(shape)
        self._by_state[group, state].append(job)
        if timeout is not None:
            self._has_deadlines = True
        return (
            job,
            state,
            state,
            shape,
            spec.priority,
            group,
            self._owner,
            words.intern(tx, spec.project),
            self._submission.dialect.value,
            spec.name or None,
            spec.key,
            mutex,
            parked,
            unmet,
            spec.retry.retries,
            now,
            ready_at,
            now + timeout if timeout is not None else None,
            self._prepared.blobs[index],
            data[index] if data is not None else None,
        )

    def _place(self, places: Sequence[Placement], first: int, new: Sequence[int]) -> None:
        rows = [(*places[index][:3], first + index) for index in new]
        self._tx.many("place_jobs", rows)

    def _keep_caller(self, who: Identity, jobs: Sequence[int]) -> None:
        if who.groups or who.email:
            groups = ",".join(who.groups)
            self._tx.many("insert_job_callers", [(job, groups, who.email) for job in jobs])

    def _shape(self, shape: Shape) -> int:
        number = self._shapes.get(shape)
        if number is None:
            number = self._shapes[shape] = self._core.shapes.number(self._tx, shape)
        return number

    def _group(self, name: str) -> int:
        number = self._groups.get(name)
        if number is None:
            number = self._groups[name] = self._core.words.intern(self._tx, name)
        return number

    def _close(self) -> None:
        dialect = self._submission.dialect.value
        events: defaultdict[JobState, list[int]] = defaultdict(list)
        for (_, state), jobs in self._by_state.items():
            events[JobState(state)].extend(jobs)
        counts = {
            (self._owner, group, dialect, JobState(state)): len(jobs)
            for (group, state), jobs in self._by_state.items()
        }
        self._ledger.added(counts, events)
        self._ledger.close()
        if self._has_deadlines:
            self._tx.after_commit(self._core.signals.timer.set)
        if self._ready_shapes:
            shapes, signals = self._ready_shapes, self._core.signals
            self._tx.after_commit(lambda: signals.ready(shapes))
