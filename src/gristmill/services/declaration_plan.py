"""From what is declared and what a file says to what must change: no input, no output.

Every object becomes a *slot* that knows how it was before and how it shall be after. All rules
between objects are checked on the state after, so their order in the file does not matter.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gristmill.domain.declared import (
    Group,
    Named,
    Pool,
    Project,
    Schedule,
    Template,
    User,
    Worker,
)
from gristmill.services.declaration_format import Entry, File
from gristmill.store.declarations import State, Stored

N = TypeVar("N", bound=Named)

_REFERENCES = ("groups", "viewers", "operators", "pools")


class Slot(Generic[N]):
    """One object. id: of its row, if it has one. entry: what the file says, if it names it.

    renewed: its password or secret changes too.
    """

    def __init__(
        self,
        stored: Stored[N] | None,
        after: N | None,
        entry: Entry[Any] | None = None,
        *,
        renewed: bool = False,
    ) -> None:
        self.id = stored.id if stored else None
        self.applied = stored.applied if stored else True
        self.before = stored.value if stored else None
        self.after = after
        self.entry = entry
        self.renewed = renewed

    @property
    def changed(self) -> bool:
        """Whether its row must be written or deleted."""
        return self.before != self.after or self.renewed

    @property
    def label(self) -> str:
        """What to call it: ``schedule etl/nightly``."""
        value = self.after or self.before
        assert value is not None
        project = getattr(value, "project", None)
        return f"{value.kind} {project}/{value.name}" if project else f"{value.kind} {value.name}"


class Credentials(NamedTuple):
    """New password hashes by user, new sealed secrets by worker; only those that change."""

    password_hashes: dict[str, str]
    sealed_secrets: dict[str, bytes]


class Plan(msgspec.Struct):
    """Every object there is or shall be."""

    groups: list[Slot[Group]]
    users: list[Slot[User]]
    pools: list[Slot[Pool]]
    workers: list[Slot[Worker]]
    projects: list[Slot[Project]]
    templates: list[Slot[Template]]
    schedules: list[Slot[Schedule]]

    def slots(self) -> list[Slot[Any]]:
        """All of them, each after what it may name."""
        return [
            *self.groups, *self.users, *self.pools, *self.workers,
            *self.projects, *self.templates, *self.schedules,
        ]  # fmt: skip


def make_plan(state: State, file: File, credentials: Credentials, *, prune: bool) -> Plan:
    """Return the state after the file, unchecked between objects (see declaration_rules)."""
    plan = Plan(
        groups=_merge(state.groups, file.groups, Group),
        users=_merge(state.users, file.users, User, credentials.password_hashes),
        pools=_merge(state.pools, file.pools, Pool),
        workers=_merge(state.workers, file.workers, Worker, credentials.sealed_secrets),
        projects=_merge(state.projects, file.projects, Project),
        templates=_merge(state.templates, file.templates, Template),
        schedules=_merge_schedules(state.schedules, file.schedules),
    )
    if prune:
        for slot in plan.slots():
            if slot.applied and slot.entry is None:
                slot.after = None
    _add_named_groups(plan)
    return plan


def alive(slots: Iterable[Slot[N]]) -> list[tuple[Slot[N], N]]:
    """Return the slots that will be there, with what they will be."""
    return [(slot, slot.after) for slot in slots if slot.after is not None]


def _merge(
    stored: Sequence[Stored[N]],
    entries: Sequence[Entry[Any]],
    kind: type[N],
    renewed: Iterable[str] = (),
) -> list[Slot[N]]:
    renewed = frozenset(renewed)
    slots = {_key(one.value): Slot(one, one.value) for one in stored}
    for entry in entries:
        key = _key(entry.value)
        slot = slots.get(key)
        if slot is None:
            slots[key] = slot = Slot(None, None)
        _declare(slot, entry, kind)
        slot.renewed = entry.value.name in renewed
    return list(slots.values())


def _merge_schedules(
    stored: Sequence[Stored[Schedule]], entries: Sequence[Entry[Schedule]]
) -> list[Slot[Schedule]]:
    """Merge by project and name; elsewhere a name may stand under several templates."""
    slots = [Slot(one, one.value) for one in stored]
    namesakes: dict[Hashable, list[Slot[Schedule]]] = defaultdict(list)
    for slot in slots:
        assert slot.after is not None
        namesakes[_key(slot.after)].append(slot)
    named = {(_key(entry.value), entry.value.template) for entry in entries}
    for entry in entries:
        found = _pick(namesakes[_key(entry.value)], entry, named)
        if found is None:
            found = Slot(None, None)
            slots.append(found)
            namesakes[_key(entry.value)].append(found)
        _declare(found, entry, Schedule)
    return slots


def _pick(
    candidates: list[Slot[Schedule]],
    entry: Entry[Schedule],
    named: set[tuple[Hashable, str]],
) -> Slot[Schedule] | None:
    template = entry.value.template
    if not template:
        if len(candidates) > 1:
            raise entry.error(
                "several schedules of the project have this name: say which template", "name"
            )
        return candidates[0] if candidates else None
    for slot in candidates:
        if slot.after is not None and slot.after.template == template:
            return slot
    # The only one of its name moves to the template, unless the file names it where it is.
    if len(candidates) == 1 and candidates[0].entry is None:
        only = candidates[0]
        if only.after is not None and (_key(only.after), only.after.template) not in named:
            return only
    return None


def _declare(slot: Slot[N], entry: Entry[Any], kind: type[N]) -> None:
    if slot.entry is not None:
        steps = ("name",) if kind is not Group else ()
        raise entry.error("is declared twice: merge the two", *steps)
    names = [name for name in kind.__struct_fields__ if slot.before is None or name in entry.given]
    values = {name: getattr(entry.value, name) for name in names}
    for name in _REFERENCES:
        if name in values:
            values[name] = tuple(sorted(set(values[name])))
    # A schedule has one rhythm: giving one takes the place of the other.
    for one, other in (("every", "cron"), ("cron", "every")):
        if slot.before is not None and values.get(one) is not None:
            values[other] = None
    slot.after = (
        kind(**values) if slot.before is None else msgspec.structs.replace(slot.before, **values)
    )
    slot.entry = entry


def _add_named_groups(plan: Plan) -> None:
    """Make the groups that are named anywhere, and keep those that would be pruned."""
    slots = {slot.before.name if slot.before else _name(slot): slot for slot in plan.groups}
    for name in sorted(_named_groups(plan)):
        slot = slots.get(name)
        if slot is None:
            plan.groups.append(Slot(None, Group(name=name)))
        elif slot.after is None:
            slot.after = slot.before


def _named_groups(plan: Plan) -> set[str]:
    names: set[str] = set()
    for _, user in alive(plan.users):
        names.update(user.groups)
    for _, project in alive(plan.projects):
        names.update(project.viewers, project.operators)
    return names


def _name(slot: Slot[Group]) -> str:
    assert slot.after is not None
    return slot.after.name


def _key(value: Named) -> Hashable:
    return getattr(value, "project", None), value.name
