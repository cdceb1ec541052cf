"""External workers: what they say of themselves, and what becomes of those that fell silent."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.domain.errors import ConflictError, InvalidInputError, NotFoundError
from gristmill.services.declarations import secret_purpose
from gristmill.services.keyring import SecretBox
from gristmill.services.schedules.board import Offer
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.ending import fail_run
from gristmill.services.schedules.staff import Colleague, colleagues
from gristmill.services.schedules.staff import Contact as Contact
from gristmill.services.schedules.turn import Turn
from gristmill.store.database import Transaction
from gristmill.store.runs import open_runs_of_workers

LONGEST_VERSION = 100

_COLUMNS = (
    "name", "description", "enabled", "answered_at", "version", "slots", "since", "sealed_secret"
)  # fmt: skip


class WorkerChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a worker. answered_at: epoch seconds; slots: runs it takes at a time."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    answered_at: float | UnsetType | None = UNSET
    version: str | UnsetType | None = UNSET
    slots: int | UnsetType | None = UNSET


class Workers:
    """on_change: called once a change of name, description or switch is durable."""

    def __init__(self, core: ScheduleCore, box: SecretBox) -> None:
        self.on_change: list[Callable[[], None]] = []
        self._core, self._box = core, box
        self._database = core.queue.database

    async def contacts(self) -> dict[int, Contact]:
        """Return what every worker last said, by its id."""
        found = await self._database.read(colleagues)
        return {number: colleague.contact for number, colleague in found.items()}

    async def change(self, number: int, change: WorkerChange) -> None:
        """Change a worker. Raises NotFoundError, InvalidInputError, ConflictError."""

        def work(tx: Transaction) -> None:
            row = tx.one("get_worker", id=number)
            if row is None:
                raise NotFoundError(f"there is no worker {number}")
            values = dict(zip(_COLUMNS, row[1:], strict=True))
            before = dict(values)
            for name in WorkerChange.__struct_fields__:
                if getattr(change, name) is not UNSET:
                    values[name] = getattr(change, name)
            _check(tx, number, values)
            if values["enabled"] and not before["enabled"]:
                values["since"] = self._core.queue.chance.now()
            if values["name"] != before["name"] and values["sealed_secret"] is not None:
                values["sealed_secret"] = self._sealed_anew(
                    bytes(values["sealed_secret"]), before["name"], values["name"]
                )
            values["enabled"] = bool(values["enabled"])
            tx.run("set_worker_contact", id=number, **values)
            if any(values[name] != before[name] for name in ("name", "description", "enabled")):
                tx.after_commit(self._changed)

        await self._database.write(work)

    def _sealed_anew(self, sealed: bytes, before: str, after: str) -> bytes:
        """Seal a secret for the new name of its worker."""
        return self._box.seal(self._box.open(sealed, secret_purpose(before)), secret_purpose(after))

    def _changed(self) -> None:
        self._core.nudges.all()
        for act in self.on_change:
            act()

    async def ping(self) -> None:
        """Call on every worker to answer."""
        for colleague in (await self._database.read(colleagues)).values():
            if colleague.api_key:
                self._core.board.call(Offer("ping", colleague.id, colleague.api_key))

    async def check_health(self) -> None:
        """Fail what silent workers have, and tell of pools where nobody answers."""

        def work(tx: Transaction) -> None:
            turn = Turn(self._core, tx)
            silent = {
                one.id: one
                for one in turn.staff.all.values()
                if one.enabled and not one.responsive(self._core.rules, turn.now)
            }
            held = open_runs_of_workers(tx, list(silent))
            for run in turn.runs(sorted(held)):
                if run.worker_id is not None and not run.ended:
                    fail_run(turn, run, _reason(turn, run.id, run.schedule_id))
            self._sound_alarms(turn, silent)
            turn.close()

        await self._database.write(work)

    def _sound_alarms(self, turn: Turn, silent: dict[int, Colleague]) -> None:
        """Tell of an outage once, until a worker of the pool answers again."""
        members: defaultdict[int, list[int]] = defaultdict(list)
        for pool, worker in turn.tx.all("list_pool_members"):
            if turn.staff.all[worker].enabled:
                members[pool].append(worker)
        for pool, enabled, alarmed in turn.tx.all("list_pool_alarms"):
            down = bool(enabled and members[pool]) and all(one in silent for one in members[pool])
            if down != bool(alarmed):
                turn.tx.run("set_pool_alarm", id=pool, alarmed=down)
                if down:
                    turn.notify(partial(turn.core.notifier.pool_unresponsive, turn.tx, pool))


def _reason(turn: Turn, run: int, schedule: int) -> str:
    row = turn.schedule(schedule)
    name = f"{row.project_name}/{row.name}" if row else str(schedule)
    return f"Run {run} of {name} is marked as failed: its worker does not respond any more.\n"


def _check(tx: Transaction, number: int, values: dict[str, object]) -> None:
    for name, longest in (("name", 255), ("description", 4 << 20), ("version", LONGEST_VERSION)):
        text = values[name]
        if isinstance(text, str) and (len(text) > longest or "\0" in text):
            raise InvalidInputError(f"is longer than {longest} characters, or has a NUL", name)
    if not values["name"]:
        raise InvalidInputError("must not be empty", "name")
    slots = values["slots"]
    if isinstance(slots, int) and abs(slots) >= 1 << 31:
        raise InvalidInputError(f"{slots} is out of range", "slots")
    other = tx.one("find_worker", name=values["name"])
    if other is not None and other[0] != number:
        raise ConflictError(f"there is another worker {values['name']!r}")
