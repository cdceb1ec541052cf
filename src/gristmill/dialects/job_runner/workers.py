"""Workers: what was declared of them, and what they say of themselves."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.context import Context, Document
from gristmill.dialects.job_runner.declared import DeclaredShelf, common
from gristmill.dialects.job_runner.errors import bad
from gristmill.dialects.job_runner.moments import write_moment
from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.services.directory import ProjectEntry, Snapshot, WorkerEntry
from gristmill.services.schedules.staff import Contact
from gristmill.services.schedules.workers import WorkerChange, Workers

LONGEST_VERSION = 100
NEVER_HEARD = Contact(None, None, None)


class WorkerShelf(DeclaredShelf[WorkerEntry]):
    """Workers: each sees itself alone."""

    key = "worker"

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def prepare(self, context: Context) -> Context:
        """Fetch what workers said last."""
        return context._replace(contacts=await self._workers.contacts())

    def entries(self, snapshot: Snapshot) -> Mapping[int, WorkerEntry]:
        """Return all workers."""
        return snapshot.workers

    def seen(self, context: Context, number: int, entry: WorkerEntry) -> bool:
        """Whether it is the caller, or serves a pool of a project the caller sees."""
        del entry
        return number in context.reach.workers

    def write(self, context: Context, number: int, entry: WorkerEntry) -> Document:
        """Return a worker, without its secret."""
        contact = context.contacts.get(number, NEVER_HEARD)
        return {
            **common(context, self.key, entry),
            "api_key": entry.value.api_key,
            "ping_response_dts": write_moment(contact.answered_at, context.zone),
            "worker_version": contact.version,
            "concurrent_jobs": contact.slots,
        }

    def of_project(self, number: int, entry: WorkerEntry, project: ProjectEntry) -> bool:
        """Whether it serves one of the project's pools."""
        del number
        return not set(entry.pool_ids).isdisjoint(project.pool_ids)

    async def change(self, context: Context, number: int, fields: Fields) -> None:
        """Note what a worker says of itself."""
        del context
        version = fields.get("worker_version")
        if version is not None and len(version) > LONGEST_VERSION:
            raise bad("worker_version", f"has more than {LONGEST_VERSION} characters")
        slots = fields.get("concurrent_jobs")
        if slots is not None and slots < 0:
            raise bad("concurrent_jobs", f"{slots} is less than 0")
        given: dict[str, Any] = {
            core: fields.get(wire, UNSET) for wire, core in _CORE_NAMES.items()
        }
        try:
            await self._workers.change(number, WorkerChange(**given))
        except ConflictError as error:
            raise bad("title", str(error)) from error
        except InvalidInputError as error:
            raise bad(_WIRE_NAMES.get(error.field, error.field), str(error)) from error


_CORE_NAMES = {
    "title": "name",
    "description": "description",
    "enqueue_is_enabled": "enabled",
    "ping_response_dts": "answered_at",
    "worker_version": "version",
    "concurrent_jobs": "slots",
}
_WIRE_NAMES = {core: wire for wire, core in _CORE_NAMES.items()}
