"""Workflows: the part of both clients under ``client.workflows``."""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import msgspec

from gristmill.client.connection import AsyncConnection, Connection
from gristmill.client.exchange import Call, Request
from gristmill.client.talks import Deadline
from gristmill.client.workflow_models import WorkflowDetail, WorkflowPage, WorkflowView
from gristmill.domain.workflow import WorkflowSpec, total_jobs

LONGEST_POLL = 60.0
"""Seconds the server holds a wait request at most."""

SLOWEST_INTAKE = 1000
"""Jobs a second that even a slow server takes in."""

ROOT = "/v1/workflows"

_decode_view = msgspec.json.Decoder(WorkflowView).decode
_decode_detail = msgspec.json.Decoder(WorkflowDetail).decode
_decode_page = msgspec.json.Decoder(WorkflowPage).decode


class WorkflowFilters(TypedDict, total=False):
    """What a list of workflows is narrowed by. limit: fetched at a time, at most 1000."""

    state: Sequence[str]
    ids: Sequence[int]
    owner: str | None
    name: str | None
    label: Mapping[str, str]
    limit: int


class Workflows:
    """Workflows, for plain code."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ask = connection.ask

    def submit(self, spec: WorkflowSpec, *, idempotency_key: str | None = None) -> WorkflowView:
        """Add a workflow with all its jobs.

        idempotency_key: names this very submission, so that repeating it adds nothing; one
        is made up when none is given, which makes a lost connection harmless.
        """
        return self._ask(_submit(spec, self._connection.key(idempotency_key)))

    def get(self, workflow_id: int) -> WorkflowDetail:
        """Everything about a workflow."""
        return self._ask(_get(workflow_id))

    def list(self, **filters: Unpack[WorkflowFilters]) -> Iterator[WorkflowView]:
        """Workflows that fit all filters, newest first, fetched as they are consumed."""
        page = self._ask(_list(filters, None))
        yield from page.workflows
        while page.next is not None:
            page = self._ask(_list(filters, page.next))
            yield from page.workflows

    def wait(self, workflow_id: int, timeout: float | None = None) -> WorkflowView:
        """Return the workflow once it has ended. Raises WaitTimeoutError after timeout seconds."""
        deadline = self._connection.deadline(timeout)
        return self._connection.talk(_wait(workflow_id, deadline))

    def cancel(self, workflow_id: int) -> WorkflowView:
        """End a workflow with all its jobs. Raises ConflictError when it has ended already."""
        return self._ask(_act(workflow_id, "cancel"))

    def retry(self, workflow_id: int) -> WorkflowView:
        """Run what did not succeed as a new workflow, and return that."""
        return self._ask(_act(workflow_id, "retry"))

    def clone(self, workflow_id: int) -> WorkflowView:
        """Submit the same workflow once more, and return the new one."""
        return self._ask(_act(workflow_id, "clone"))

    def forget(self, workflow_id: int) -> None:
        """Remove an ended workflow with its jobs. Raises ConflictError while it is active."""
        self._ask(_forget(workflow_id))


class AsyncWorkflows:
    """Workflows, for asyncio."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._ask = connection.ask

    async def submit(
        self, spec: WorkflowSpec, *, idempotency_key: str | None = None
    ) -> WorkflowView:
        """Add a workflow with all its jobs.

        idempotency_key: names this very submission, so that repeating it adds nothing; one
        is made up when none is given, which makes a lost connection harmless.
        """
        return await self._ask(_submit(spec, self._connection.key(idempotency_key)))

    async def get(self, workflow_id: int) -> WorkflowDetail:
        """Everything about a workflow."""
        return await self._ask(_get(workflow_id))

    async def list(self, **filters: Unpack[WorkflowFilters]) -> AsyncIterator[WorkflowView]:
        """Workflows that fit all filters, newest first, fetched as they are consumed."""
        page = await self._ask(_list(filters, None))
        for view in page.workflows:
            yield view
        while page.next is not None:
            page = await self._ask(_list(filters, page.next))
            for view in page.workflows:
                yield view

    async def wait(
        self,
        workflow_id: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as in the plain client
    ) -> WorkflowView:
        """Return the workflow once it has ended. Raises WaitTimeoutError after timeout seconds."""
        deadline = self._connection.deadline(timeout)
        return await self._connection.talk(_wait(workflow_id, deadline))

    async def cancel(self, workflow_id: int) -> WorkflowView:
        """End a workflow with all its jobs. Raises ConflictError when it has ended already."""
        return await self._ask(_act(workflow_id, "cancel"))

    async def retry(self, workflow_id: int) -> WorkflowView:
        """Run what did not succeed as a new workflow, and return that."""
        return await self._ask(_act(workflow_id, "retry"))

    async def clone(self, workflow_id: int) -> WorkflowView:
        """Submit the same workflow once more, and return the new one."""
        return await self._ask(_act(workflow_id, "clone"))

    async def forget(self, workflow_id: int) -> None:
        """Remove an ended workflow with its jobs. Raises ConflictError while it is active."""
        await self._ask(_forget(workflow_id))


def _submit(spec: WorkflowSpec, key: str) -> Call[WorkflowView]:
    request = Request(
        method="POST",
        path=ROOT,
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
        body=msgspec.json.encode(spec),
        repeatable=True,
    )
    wait = len(spec.jobs) / SLOWEST_INTAKE
    if set(spec.jobs).issuperset(name for factory in spec.factories for name in factory.jobs):
        wait = total_jobs(spec) / SLOWEST_INTAKE
    return Call(replace(request, wait=wait), lambda reply: _decode_view(reply.body))


def _get(workflow_id: int) -> Call[WorkflowDetail]:
    request = Request(method="GET", path=f"{ROOT}/{workflow_id}", repeatable=True)
    return Call(request, lambda reply: _decode_detail(reply.body))


def _list(filters: WorkflowFilters, cursor: str | None) -> Call[WorkflowPage]:
    params: list[tuple[str, str]] = []
    for name, value in filters.items():
        if isinstance(value, Mapping):
            params.extend((name, f"{key}={word}") for key, word in value.items())
        elif isinstance(value, list | tuple):
            params.extend((name, str(word)) for word in value)
        elif value is not None:
            params.append((name, str(value)))
    if cursor is not None:
        params.append(("cursor", cursor))
    request = Request(method="GET", path=ROOT, params=tuple(params), repeatable=True)
    return Call(request, lambda reply: _decode_page(reply.body))


def _wait(
    workflow_id: int, deadline: Deadline
) -> Generator[Call[WorkflowView], WorkflowView, WorkflowView]:
    while True:
        seconds = max(0.0, min(deadline.left(), LONGEST_POLL))
        request = Request(
            method="GET",
            path=f"{ROOT}/{workflow_id}/wait",
            params=(("timeout", f"{seconds:.3f}"),),
            repeatable=True,
            wait=seconds,
        )
        view = yield Call(request, lambda reply: _decode_view(reply.body))
        if view.ended:
            return view
        deadline.check(f"workflow {workflow_id} is {view.state}, it has")


def _act(workflow_id: int, verb: str) -> Call[WorkflowView]:
    request = Request(method="POST", path=f"{ROOT}/{workflow_id}/{verb}")
    return Call(request, lambda reply: _decode_view(reply.body))


def _forget(workflow_id: int) -> Call[None]:
    return Call(Request(method="DELETE", path=f"{ROOT}/{workflow_id}"), lambda _: None)
