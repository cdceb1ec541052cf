"""What the end of a task changes: in the transaction that ends its job, or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gristmill.domain.state import TERMINAL, JobState
from gristmill.services.data.core import DataCore
from gristmill.services.data.models import FORMAT, commit_of
from gristmill.services.tokens import Tokens
from gristmill.store import data as store
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead
from gristmill.workers.wire import PREFIX, Header, unpack_header

TOLD = ("field", "code", "said")
"""What of a refusal stays with its task."""

_FAILURES = {
    69: "no worker took the task",
    70: "the worker ended before it had an answer: out of memory, or killed",
}


class Settling:
    """Knows the jobs that are tasks, and makes true what their ends change."""

    def __init__(self, core: DataCore, tokens: Tokens, folder: Path) -> None:
        self._core, self._tokens, self._folder = core, tokens, folder
        self._open: set[int] = set()
        core.queue.endings.append(self._ended)

    async def load(self) -> None:
        """Learn which jobs are tasks that have not ended."""
        rows = await self._core.queue.database.read(lambda tx: tx.all("list_open_data_tasks"))
        self._open = {row[0] for row in rows}

    def expect(self, job: int) -> None:
        """Look out for the end of a job."""
        self._open.add(job)

    def _ended(self, tx: Transaction, heads: Sequence[JobHead]) -> None:
        """Make what a task changes true, together with the end of its job."""
        for head in heads:
            if head.id in self._open and head.state in TERMINAL:
                self._settle(tx, head)

    def _settle(self, tx: Transaction, head: JobHead) -> None:
        row = store.find_task_of_job(tx, head.id)
        if row is None or row.state is not None:
            return
        answer = _header(self._folder / row.id)
        refused = answer is not None and "refused" in answer
        done = head.state is JobState.COMPLETE and answer is not None and not refused
        if done and answer is not None:
            self._apply(tx, row, head, answer)
        else:
            self._undo(tx, row)
            told = {key: answer[key] for key in TOLD if key in answer} if answer else {}
            if told:
                _note(tx, row, **told)
        message = "" if done else _message(head, answer)
        now = self._core.queue.chance.now()
        store.close_task(
            tx, row.id, state=int(head.state), message=message, refused=refused, now=now
        )
        token = row.effect.get("token")
        if token is not None:
            tx.one("delete_token", id=token)
            tx.after_commit(self._tokens.forget)
        tx.after_commit(lambda: self._over(head.id, row.id))

    def _over(self, job: int, task: str) -> None:
        """Look out no longer; without its question a task is not done a second time."""
        self._open.discard(job)
        (self._folder / task / "question").unlink(missing_ok=True)

    def _apply(
        self, tx: Transaction, row: store.TaskRow, head: JobHead, answer: Mapping[str, Any]
    ) -> None:
        effect = row.effect
        if effect.get("do") == "version":
            self._add_version(tx, row, head, answer)
        elif effect.get("do") == "run":
            self._add_run(tx, row, head, answer["run"])

    def _undo(self, tx: Transaction, row: store.TaskRow) -> None:
        path = row.effect.get("path")
        if path is not None:
            self._core.bury(tx, [path])

    def _add_version(
        self, tx: Transaction, row: store.TaskRow, head: JobHead, answer: Mapping[str, Any]
    ) -> None:
        effect, now = row.effect, self._core.queue.chance.now()
        current = store.version_of(tx, row.object) if row.object is not None else None
        if current is None or row.object is None:
            self._undo(tx, row)
            return
        version = current + 1
        made = store.VersionRow(
            version, commit_of(effect["path"]), effect["path"], answer["size"], effect["action"],
            head.id, effect["sources"], now,
        )  # fmt: skip
        store.insert_version(tx, row.object, made)
        self._core.changed(tx)
        store.update_object(
            tx, row.object, FORMAT, version, effect["manifest"], now=now, job=head.id
        )
        if effect["tag"] is not None:
            store.put_tag(tx, row.object, effect["tag"], version)
        store.keep_blob(tx, effect["path"])

    def _add_run(
        self, tx: Transaction, row: store.TaskRow, head: JobHead, run: Mapping[str, Any]
    ) -> None:
        if row.object is None or store.version_of(tx, row.object) is None:
            self._undo(tx, row)
            return
        stamp = int(run["started"])
        while store.find_run(tx, row.object, stamp) is not None:
            stamp += 1
        made = store.RunRow(
            stamp, run["status"], run["message"], row.effect["path"], head.id, run["started"],
            run["ended"],
        )  # fmt: skip
        store.insert_run(tx, row.object, made)
        store.keep_blob(tx, row.effect["path"])
        _note(tx, row, stamp=stamp)


def _note(tx: Transaction, row: store.TaskRow, **more: object) -> None:
    """Keep what is to be told of a task."""
    tx.run("set_data_task_effect", id=row.id, effect=store.encode({**row.effect, **more}))


def _header(folder: Path) -> Header | None:
    """Return the header of the answer, None when there is none."""
    try:
        with (folder / "answer").open("rb") as file:
            _, size, _ = PREFIX.unpack(file.read(PREFIX.size))
            return unpack_header(file.read(size))
    except OSError:
        return None


def _message(head: JobHead, answer: Mapping[str, Any] | None) -> str:
    if head.state is JobState.CANCELLED:
        return head.reason or "cancelled"
    if answer is not None and "refused" in answer:
        return str(answer["message"])
    known = _FAILURES.get(head.exit_code or 0)
    return known or f"{head.reason or 'the task failed'} (exit code {head.exit_code})"
