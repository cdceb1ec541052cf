"""Everything that was declared, read whole: there is little of it."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from gristmill.domain.declared import (
    Every,
    Exclude,
    Group,
    Named,
    Pool,
    Project,
    Schedule,
    Template,
    User,
    Worker,
)
from gristmill.store.database import Transaction

N = TypeVar("N", bound=Named)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Links = dict[int, tuple[str, ...]]


class Stored(msgspec.Struct, Generic[N], frozen=True):
    """A declared object and its row. applied: ``apply`` made it, so pruning may remove it."""

    id: int
    applied: bool
    value: N


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All declared objects, sorted by name.

    password_hashes: by user name. sealed_secrets: by worker name.
    """

    groups: list[Stored[Group]]
    users: list[Stored[User]]
    pools: list[Stored[Pool]]
    workers: list[Stored[Worker]]
    projects: list[Stored[Project]]
    templates: list[Stored[Template]]
    schedules: list[Stored[Schedule]]
    password_hashes: dict[str, str]
    sealed_secrets: dict[str, bytes]


def load_state(tx: Transaction, *, schedules: bool = True) -> State:
    """Return what is declared now; there can be many schedules, so they can be left out."""
    password_hashes: dict[str, str] = {}
    sealed_secrets: dict[str, bytes] = {}
    return State(
        groups=[
            Stored(number, bool(applied), Group(name=name))
            for number, applied, name in tx.all("list_user_groups")
        ],
        users=_users(tx, password_hashes),
        pools=_pools(tx),
        workers=_workers(tx, sealed_secrets),
        projects=_projects(tx),
        templates=_templates(tx),
        schedules=_schedules(tx) if schedules else [],
        password_hashes=password_hashes,
        sealed_secrets=sealed_secrets,
    )


def _users(tx: Transaction, password_hashes: dict[str, str]) -> list[Stored[User]]:
    groups = _links(tx, "list_memberships")
    users = []
    for number, applied, name, password_hash, email, admin, enabled in tx.all("list_accounts"):
        if password_hash is not None:
            password_hashes[name] = password_hash
        user = User(
            name=name,
            groups=groups.get(number, ()),
            email=email,
            admin=bool(admin),
            enabled=bool(enabled),
        )
        users.append(Stored(number, bool(applied), user))
    return users


def _pools(tx: Transaction) -> list[Stored[Pool]]:
    pools = []
    for number, applied, name, description, notify, enabled, agents in tx.all("list_pools"):
        pool = Pool(
            name=name,
            description=description,
            notify=_addresses(notify),
            enabled=bool(enabled),
            agents=bool(agents),
        )
        pools.append(Stored(number, bool(applied), pool))
    return pools


def _workers(tx: Transaction, sealed_secrets: dict[str, bytes]) -> list[Stored[Worker]]:
    pools = _links(tx, "list_worker_pools")
    workers = []
    for number, applied, name, api_key, sealed, description, enabled in tx.all("list_workers"):
        if sealed is not None:
            sealed_secrets[name] = bytes(sealed)
        worker = Worker(
            name=name,
            pools=pools.get(number, ()),
            api_key=api_key,
            description=description,
            enabled=bool(enabled),
        )
        workers.append(Stored(number, bool(applied), worker))
    return workers


def _projects(tx: Transaction) -> list[Stored[Project]]:
    pools = _links(tx, "list_project_pools")
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for number, role, group in tx.all("list_project_groups"):
        groups[number, role].append(group)
    projects = []
    for number, applied, name, description, notify, enabled in tx.all("list_projects"):
        project = Project(
            name=name,
            description=description,
            viewers=tuple(sorted(groups[number, "viewer"])),
            operators=tuple(sorted(groups[number, "operator"])),
            pools=pools.get(number, ()),
            notify=_addresses(notify),
            enabled=bool(enabled),
        )
        projects.append(Stored(number, bool(applied), project))
    return projects


def _templates(tx: Transaction) -> list[Stored[Template]]:
    templates = []
    for row in tx.all("list_templates"):
        number, applied, project, name, description, body, notify, enabled = row
        template = Template(
            project=project,
            name=name,
            description=description,
            body=body,
            notify=_addresses(notify),
            enabled=bool(enabled),
        )
        templates.append(Stored(number, bool(applied), template))
    return templates


def _schedules(tx: Transaction) -> list[Stored[Schedule]]:
    excludes: dict[int, list[Exclude]] = defaultdict(list)
    for number, start, end, note in tx.all("list_schedule_excludes"):
        excludes[number].append(Exclude(start=start, end=end, note=note))
    rows = tx.all("list_schedules")
    names = {row[0]: row[3] for row in rows}
    schedules = []
    for row in rows:
        (
            number, applied, project, name, template, pool, description, script, count, unit,
            cron, timezone, jitter, catch_up, first_run, parent, everywhere, on_error, failures,
            notify, enabled,
        ) = row  # fmt: skip
        schedule = Schedule(
            project=project,
            name=name,
            template=template,
            pool=pool,
            description=description,
            script=script,
            every=Every(count=count, unit=unit) if count is not None and unit else None,
            cron=cron,
            timezone=timezone,
            jitter=jitter,
            catch_up=catch_up,
            first_run=None if first_run is None else EPOCH + timedelta(seconds=first_run),
            exclude=tuple(excludes[number]),
            parent=names.get(parent),
            run_on_all_workers=bool(everywhere),
            run_children_on_error=bool(on_error),
            disable_after_failures=failures,
            notify=_addresses(notify),
            enabled=bool(enabled),
        )
        schedules.append(Stored(number, bool(applied), schedule))
    return schedules


def _links(tx: Transaction, statement: str) -> _Links:
    """Return id -> names, sorted as Python sorts so that both databases agree."""
    names: dict[int, list[str]] = defaultdict(list)
    for number, name in tx.all(statement):
        names[number].append(name)
    return {number: tuple(sorted(found)) for number, found in names.items()}


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
