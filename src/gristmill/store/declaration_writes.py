"""Declared objects into rows: names become ids here."""

from collections.abc import Iterable

from gristmill.domain.declared import Group, Pool, Project, Schedule, Template, User, Worker
from gristmill.store.database import Transaction
from gristmill.store.declarations import EPOCH, State


class DeclarationWriter:
    """Inserts, updates and deletes declared objects in one transaction.

    What an object names must have been written before it; parents of schedules are set last.
    Every ``put`` takes the id of the row to update, or None to insert one that ``apply`` made,
    and returns the id.
    """

    def __init__(self, tx: Transaction, state: State) -> None:
        self._tx = tx
        self._groups = {stored.value.name: stored.id for stored in state.groups}
        self._pools = {stored.value.name: stored.id for stored in state.pools}
        self._projects = {stored.value.name: stored.id for stored in state.projects}
        self._templates = {
            (stored.value.project, stored.value.name): stored.id for stored in state.templates
        }

    def put_group(self, number: int | None, group: Group) -> int:
        """Write a group: nothing but a name, so there is nothing to update."""
        if number is None:
            number = self._insert("insert_user_group", name=group.name)
            self._groups[group.name] = number
        return number

    def put_user(self, number: int | None, user: User, password_hash: str | None) -> int:
        """Write a user with the groups."""
        number = self._put(
            "account", number, name=user.name, password_hash=password_hash, email=user.email,
            admin=user.admin, enabled=user.enabled,
        )  # fmt: skip
        self._tx.run("delete_memberships", account_id=number)
        self._link("insert_memberships", number, (self._groups[name] for name in user.groups))
        return number

    def put_pool(self, number: int | None, pool: Pool) -> int:
        """Write a pool."""
        number = self._put(
            "pool", number, name=pool.name, description=pool.description,
            notify="\n".join(pool.notify), enabled=pool.enabled, agents=pool.agents,
        )  # fmt: skip
        self._pools[pool.name] = number
        return number

    def free_api_key(self, number: int) -> None:
        """Let go of a worker's key, so that workers can exchange keys in one transaction."""
        self._tx.run("clear_worker_api_key", id=number)

    def put_worker(self, number: int | None, worker: Worker, sealed: bytes | None) -> int:
        """Write a worker with its pools. sealed: its secret, encrypted."""
        number = self._put(
            "worker", number, name=worker.name, api_key=worker.api_key, sealed_secret=sealed,
            description=worker.description, enabled=worker.enabled,
        )  # fmt: skip
        self._tx.run("delete_worker_pools", worker_id=number)
        self._link("insert_worker_pools", number, (self._pools[name] for name in worker.pools))
        return number

    def put_project(self, number: int | None, project: Project) -> int:
        """Write a project with its pools and groups."""
        number = self._put(
            "project", number, name=project.name, description=project.description,
            notify="\n".join(project.notify), enabled=project.enabled,
        )  # fmt: skip
        self._projects[project.name] = number
        self._unlink_project(number)
        self._link("insert_project_pools", number, (self._pools[name] for name in project.pools))
        roles = [("viewer", name) for name in project.viewers]
        roles += [("operator", name) for name in project.operators]
        self._tx.many(
            "insert_project_groups", [(number, role, self._groups[name]) for role, name in roles]
        )
        return number

    def put_template(self, number: int | None, template: Template) -> int:
        """Write a template; it never leaves its project."""
        project_id = self._projects[template.project]
        number = self._put(
            "template", number, project_id=project_id, name=template.name,
            description=template.description, body=template.body,
            notify="\n".join(template.notify), enabled=template.enabled,
        )  # fmt: skip
        self._templates[template.project, template.name] = number
        return number

    def put_schedule(self, number: int | None, schedule: Schedule) -> int:
        """Write a schedule with its excludes, but not its parent."""
        every, first_run = schedule.every, schedule.first_run
        number = self._put(
            "schedule", number,
            template_id=self._templates[schedule.project, schedule.template],
            pool_id=self._pools[schedule.pool],
            name=schedule.name, description=schedule.description, script=schedule.script,
            every_count=every.count if every else None,
            every_unit=every.unit if every else None,
            cron=schedule.cron, timezone=schedule.timezone, jitter=schedule.jitter,
            catch_up=schedule.catch_up,
            first_run=(first_run - EPOCH).total_seconds() if first_run else None,
            run_on_all_workers=schedule.run_on_all_workers,
            run_children_on_error=schedule.run_children_on_error,
            disable_after_failures=schedule.disable_after_failures,
            notify="\n".join(schedule.notify), enabled=schedule.enabled,
        )  # fmt: skip
        self._tx.run("delete_schedule_excludes", schedule_id=number)
        windows = enumerate(schedule.exclude)
        self._tx.many(
            "insert_schedule_excludes",
            [(number, place, window.start, window.end, window.note) for place, window in windows],
        )
        return number

    def set_parent(self, number: int, parent: int | None) -> None:
        """Make a schedule the child of another, or of none."""
        self._tx.run("set_schedule_parent", id=number, parent_id=parent)

    def delete_group(self, number: int) -> None:
        """Forget a group that nothing names any more."""
        self._tx.run("delete_user_group", id=number)

    def delete_user(self, number: int) -> None:
        """Forget a user."""
        self._tx.run("delete_memberships", account_id=number)
        self._tx.run("delete_account", id=number)

    def delete_pool(self, number: int) -> None:
        """Forget a pool that nothing names any more."""
        self._tx.run("delete_pool", id=number)

    def delete_worker(self, number: int) -> None:
        """Forget a worker."""
        self._tx.run("delete_worker_pools", worker_id=number)
        self._tx.run("delete_worker", id=number)

    def delete_project(self, number: int) -> None:
        """Forget a project whose templates are gone."""
        self._unlink_project(number)
        self._tx.run("delete_project", id=number)

    def delete_template(self, number: int) -> None:
        """Forget a template whose schedules are gone."""
        self._tx.run("delete_template", id=number)

    def delete_schedule(self, number: int) -> None:
        """Forget a schedule that is nobody's parent."""
        self._tx.run("delete_schedule_excludes", schedule_id=number)
        self._tx.run("delete_schedule", id=number)

    def _unlink_project(self, number: int) -> None:
        self._tx.run("delete_project_pools", project_id=number)
        self._tx.run("delete_project_groups", project_id=number)

    def _put(self, table: str, number: int | None, **values: object) -> int:
        if number is None:
            return self._insert(f"insert_{table}", **values)
        self._tx.run(f"update_{table}", id=number, **values)
        return number

    def _insert(self, statement: str, **values: object) -> int:
        number: int = self._tx.must(statement, applied=True, **values)[0]
        return number

    def _link(self, statement: str, number: int, others: Iterable[int]) -> None:
        self._tx.many(statement, [(number, other) for other in others])
