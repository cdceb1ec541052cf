"""``apply`` and ``export``: an administrator's file made true, and written back."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from gristmill.domain.declared import Named
from gristmill.domain.errors import GristmillError
from gristmill.services.declaration_export import write_file
from gristmill.services.declaration_format import File, read_file
from gristmill.services.declaration_plan import Credentials, Plan, Slot, alive, make_plan
from gristmill.services.declaration_rules import Parents, check_plan
from gristmill.services.keyring import SecretBox
from gristmill.services.users import hash_password, password_matches
from gristmill.store.database import Database, Transaction
from gristmill.store.declaration_writes import DeclarationWriter
from gristmill.store.declarations import State, load_state

N = TypeVar("N", bound=Named)


class Applied(msgspec.Struct, frozen=True):
    """What an apply did; objects as ``user alice`` or ``schedule etl/nightly``.

    unchanged: how many objects of the file were already as it says.
    """

    created: list[str]
    updated: list[str]
    unchanged: int
    pruned: list[str]


class Declarations:
    """Everything that is declared with files.

    on_change: called after a change is durable, before ``apply`` returns; drops what was
    remembered about credentials. followers: called in the transaction that made a plan true.
    """

    def __init__(self, database: Database, box: SecretBox, on_change: Callable[[], None]) -> None:
        self._database = database
        self._box = box
        self._on_change = on_change
        self.followers: list[Callable[[Transaction, Plan], None]] = []
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, text: str, *, prune: bool = False, dry_run: bool = False) -> Applied:
        """Make true what the YAML text says, all of it or, on any error, nothing.

        prune: remove what an earlier apply made and the text does not name.
        dry_run: say what would be done. Raises InvalidInputError naming line and field.
        """
        file = await asyncio.to_thread(read_file, text)
        async with self._one_at_a_time:
            state = await self._database.read(load_state)
            credentials = await asyncio.to_thread(self._renew, file, state)

            def work(tx: Transaction) -> Applied:
                state = load_state(tx)
                plan = make_plan(state, file, credentials, prune=prune)
                parents = check_plan(plan)
                applied = _summary(plan)
                if dry_run:
                    raise _DryRunError(applied)
                _Writing(tx, state, credentials).write(plan, parents)
                for follower in self.followers:
                    follower(tx, plan)
                tx.after_commit(self._on_change)
                return applied

            try:
                return await self._database.write(work)
            except _DryRunError as end:
                return end.applied

    async def export(self) -> str:
        """Return everything declared as YAML text that ``apply`` takes, secrets left out."""
        return await self._database.read(lambda tx: write_file(load_state(tx)))

    def _renew(self, file: File, state: State) -> Credentials:
        """Hash and seal what is new; slow on purpose, so not in the transaction."""
        renewed = Credentials({}, {})
        for user in (entry.value for entry in file.users):
            known = state.password_hashes.get(user.name)
            if user.password and not (known and password_matches(known, user.password)):
                renewed.password_hashes[user.name] = hash_password(user.password)
        for worker in (entry.value for entry in file.workers):
            sealed = state.sealed_secrets.get(worker.name)
            purpose = secret_purpose(worker.name)
            if worker.secret and not (sealed and self._holds(sealed, purpose, worker.secret)):
                renewed.sealed_secrets[worker.name] = self._box.seal(worker.secret, purpose)
        return renewed

    def _holds(self, sealed: bytes, purpose: str, secret: str) -> bool:
        try:
            return self._box.open(sealed, purpose) == secret
        except GristmillError:
            return False


def secret_purpose(worker: str) -> str:
    """Return what the secret of a worker is sealed for."""
    return f"worker {worker}"


class _DryRunError(GristmillError):
    """Ends a transaction that must change nothing."""

    def __init__(self, applied: Applied) -> None:
        super().__init__("dry run")
        self.applied = applied


def _summary(plan: Plan) -> Applied:
    slots = plan.slots()
    changed = [slot for slot in slots if slot.changed]
    return Applied(
        created=[slot.label for slot in changed if slot.before is None],
        updated=[slot.label for slot in changed if slot.before and slot.after],
        unchanged=sum(slot.entry is not None and not slot.changed for slot in slots),
        pruned=[slot.label for slot in changed if slot.after is None],
    )


class _Writing:
    """Carries a plan out: what others name is written first and deleted last."""

    def __init__(self, tx: Transaction, state: State, credentials: Credentials) -> None:
        self._writer = DeclarationWriter(tx, state)
        self._hashes = {**state.password_hashes, **credentials.password_hashes}
        self._sealed = {**state.sealed_secrets, **credentials.sealed_secrets}

    def write(self, plan: Plan, parents: Parents) -> None:
        self._free_api_keys(plan)
        self._put(plan)
        self._set_parents(plan, parents)
        self._delete(plan)

    def _put(self, plan: Plan) -> None:
        put = self._writer
        for group, group_value in _changed(plan.groups):
            group.id = put.put_group(group.id, group_value)
        for user, user_value in _changed(plan.users):
            user.id = put.put_user(user.id, user_value, self._hashes.get(user_value.name))
        for pool, pool_value in _changed(plan.pools):
            pool.id = put.put_pool(pool.id, pool_value)
        for worker, worker_value in _changed(plan.workers):
            sealed = self._sealed.get(worker_value.name)
            worker.id = put.put_worker(worker.id, worker_value, sealed)
        for project, project_value in _changed(plan.projects):
            project.id = put.put_project(project.id, project_value)
        for template, template_value in _changed(plan.templates):
            template.id = put.put_template(template.id, template_value)
        for schedule, schedule_value in _changed(plan.schedules):
            schedule.id = put.put_schedule(schedule.id, schedule_value)

    def _free_api_keys(self, plan: Plan) -> None:
        for slot in plan.workers:
            if slot.id is not None and slot.changed:
                self._writer.free_api_key(slot.id)

    def _set_parents(self, plan: Plan, parents: Parents) -> None:
        for slot, schedule in _changed(plan.schedules):
            assert slot.id is not None
            if slot.before is None or slot.before.parent != schedule.parent:
                parent = parents.get(id(slot))
                self._writer.set_parent(slot.id, parent.id if parent else None)

    def _delete(self, plan: Plan) -> None:
        for number in _gone(plan.schedules):
            self._writer.set_parent(number, None)
        for slots, delete in (
            (plan.schedules, self._writer.delete_schedule),
            (plan.templates, self._writer.delete_template),
            (plan.projects, self._writer.delete_project),
            (plan.workers, self._writer.delete_worker),
            (plan.users, self._writer.delete_user),
            (plan.pools, self._writer.delete_pool),
            (plan.groups, self._writer.delete_group),
        ):
            for number in _gone(slots):
                delete(number)


def _changed(slots: list[Slot[N]]) -> list[tuple[Slot[N], N]]:
    return [(slot, after) for slot, after in alive(slots) if slot.changed]


def _gone(slots: Sequence[Slot[Any]]) -> list[int]:
    return [slot.id for slot in slots if slot.after is None and slot.id is not None]
