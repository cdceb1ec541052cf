"""The workflows endpoints: submit, list, describe, delete, run again, clone, remove, output."""

from collections.abc import AsyncIterator
from typing import Any

from gristmill.dialects.prominence.errors import RefusedError, bad
from gristmill.dialects.prominence.exchange import Exchange, whole
from gristmill.dialects.prominence.filters import Filter, Selection, parse_filter, parse_ids
from gristmill.dialects.prominence.jobs import accounted_to
from gristmill.dialects.prominence.output import reply_output
from gristmill.dialects.prominence.own import LARGEST_ID
from gristmill.dialects.prominence.routes import Endpoint
from gristmill.dialects.prominence.states import PENDING
from gristmill.dialects.prominence.translate import LONGEST_LABEL_NAME
from gristmill.dialects.prominence.validation.workflow import check_workflow
from gristmill.dialects.prominence.workflow_describe import (
    detailed,
    kept_jobs,
    kept_workflow,
    short,
    shown,
    stays_listed,
    submitted,
    wants_mail,
)
from gristmill.dialects.prominence.workflow_objects import check_workflow_objects
from gristmill.dialects.prominence.workflow_translate import with_placement, workflow_spec
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.workflow import ENDED, WorkflowState
from gristmill.services.house import House
from gristmill.services.workflows.search import MOST_A_PAGE
from gristmill.services.workflows.submit import WorkflowSubmission
from gristmill.services.workflows.views import ListedWorkflow, Order, WorkflowFilter

NO_WORKFLOWS = "No such workflow(s)"
NO_WORKFLOW = "Workflow does not exist"
NOT_YOURS = "Not authorized to access this workflow"
NO_DESCRIPTION = "Unable to get JSON description of the specified workflow"
NOT_SUITABLE = "Unable to find re-run workflow as the original workflow is not in a suitable state"


class WorkflowRooms:
    """Serves ``/workflows``."""

    def __init__(self, house: House) -> None:
        self._house = house

    def endpoints(self) -> list[Endpoint]:
        """Return what this room serves."""
        return [
            Endpoint("POST", "workflows", self.submit),
            Endpoint("GET", "workflows", self.list_some),
            Endpoint("DELETE", "workflows", self.delete_many),
            Endpoint("GET", "workflows/{}", self.describe),
            Endpoint("PUT", "workflows/{}", self.rerun),
            Endpoint("DELETE", "workflows/{}", self.delete),
            Endpoint("PUT", "workflows/{}/clone", self.clone),
            Endpoint("PUT", "workflows/{}/remove", self.remove),
            Endpoint("GET", "workflows/{}/{}/stdout", self.stdout),
            Endpoint("GET", "workflows/{}/{}/stderr", self.stderr),
            Endpoint("GET", "workflows/{}/{}/{}/stdout", self.stdout),
            Endpoint("GET", "workflows/{}/{}/{}/stderr", self.stderr),
        ]

    async def submit(self, exchange: Exchange, who: Identity) -> None:
        """Take a workflow."""
        await exchange.reply({"id": await self._add(await exchange.json(), who)}, 201)

    async def _add(self, given: Any, who: Identity) -> int:
        house = self._house
        workflow = with_placement(check_workflow(given))
        spec = workflow_spec(workflow, accounted_to(who))
        await check_workflow_objects(house.objects, who, workflow, spec)
        jobs = kept_jobs(workflow, house.box, who.user)
        data = kept_workflow(given, kept_jobs(given, house.box, who.user))
        return await house.workflows.submit(
            WorkflowSubmission(
                spec,
                who,
                dialect=Dialect.PROMINENCE,
                data=data,
                node_data=jobs,
                pinned=stays_listed(data),
                notify=who.email if wants_mail(data) else "",
            )
        )

    async def list_some(self, exchange: Exchange, who: Identity) -> None:
        """List workflows."""
        wanted = parse_filter(exchange.query)
        await exchange.reply_list(self._pages(who, wanted))

    async def _pages(self, who: Identity, wanted: Filter) -> AsyncIterator[list[Any]]:
        order: Order = "oldest"
        if wanted.ids is None and wanted.selection is Selection.ENDED:
            order = "ended"
        most = wanted.most if order == "ended" else None
        cursor: str | None = None
        while most is None or most > 0:
            size = MOST_A_PAGE if most is None else min(most + 1, MOST_A_PAGE)
            page = await self._house.workflows.page(
                who, _narrowed(who, wanted), limit=size, cursor=cursor, order=order
            )
            found = await self._fitting(page.workflows, wanted, most)
            most = None if most is None else most - len(found)
            yield found
            cursor = page.cursor
            if cursor is None:
                return

    async def _fitting(
        self, workflows: list[ListedWorkflow], wanted: Filter, most: int | None
    ) -> list[Any]:
        data = {}
        if wanted.detail or any(_is_long(key) for key, _ in wanted.labels):
            data = await self._house.workflows.data_of([one.row for one in workflows])
        found: list[Any] = []
        for one in workflows:
            kept = data.get(one.row.id)
            if most is not None and len(found) == most:
                break
            if kept is None or _has_labels(kept, wanted):
                found.append(detailed(one, kept) if wanted.detail else short(one))
        return found

    async def describe(self, exchange: Exchange, who: Identity) -> None:
        """Tell all about one workflow, or about none."""
        one = await self._find(who, whole(exchange.parts[0], "id"))
        if one is None:
            await exchange.reply([])
            return
        data = await self._house.workflows.data_of([one.row])
        await exchange.reply([detailed(one, data.get(one.row.id))])

    async def delete(self, exchange: Exchange, who: Identity) -> None:
        """Delete one workflow."""
        await self._delete(exchange, who, (whole(exchange.parts[0], "id"),))

    async def delete_many(self, exchange: Exchange, who: Identity) -> None:
        """Delete those of several workflows that can be."""
        text = exchange.query.first("id")
        if not text:
            raise bad("a workflow id or list of workflow ids must be provided")
        await self._delete(exchange, who, parse_ids(text, "id"))

    async def _delete(self, exchange: Exchange, who: Identity, ids: tuple[int, ...]) -> None:
        possible = [number for number in ids if 0 < number <= LARGEST_ID]
        if not await self._house.workflows.end_active(who, possible, Dialect.PROMINENCE):
            raise bad(NO_WORKFLOWS)
        await exchange.reply({})

    async def rerun(self, exchange: Exchange, who: Identity) -> None:
        """Run what did not succeed as a new workflow."""
        one = await self._find(who, whole(exchange.parts[0], "id"))
        if one is None:
            raise bad(NOT_SUITABLE)
        data = await self._data(one)
        try:
            number = await self._house.workflows.rerun(
                who,
                one.row.id,
                pinned=stays_listed(data),
                notify=who.email if wants_mail(data) else "",
            )
        except (ConflictError, NotFoundError) as error:
            raise bad(NOT_SUITABLE) from error
        await exchange.reply({"id": number})

    async def clone(self, exchange: Exchange, who: Identity) -> None:
        """Submit a workflow's description once more."""
        one = await self._get(who, exchange.parts[0])
        description = submitted(await self._data(one), self._house.box, one.owner)
        await exchange.reply({"id": await self._add(description, who)}, 201)

    async def remove(self, exchange: Exchange, who: Identity) -> None:
        """Keep a workflow no longer among the current ones once it has ended."""
        one = await self._get(who, exchange.parts[0])
        if not await self._house.workflows.unpin(who, one.row.id):
            raise bad("Workflow is no longer in the queue")
        await exchange.reply({})

    async def stdout(self, exchange: Exchange, who: Identity) -> None:
        """Read what a job wrote to its standard output."""
        await self._output(exchange, who, "stdout")

    async def stderr(self, exchange: Exchange, who: Identity) -> None:
        """Read what a job wrote to its standard error."""
        await self._output(exchange, who, "stderr")

    async def _output(self, exchange: Exchange, who: Identity, name: str) -> None:
        number, job, *rest = exchange.parts
        one = await self._get(who, number)
        node = exchange.query.first("node", "0")
        if not _is_whole(node):
            # One client asks for /workflows/ID/NODE/stderr?node=JOB.
            job, node = node, job
        missing = bad(f"{name} does not exist")
        instance = rest[0] if rest else "0"
        if not _is_whole(node) or not _is_whole(instance):
            raise missing
        try:
            found = await self._house.workflows.find_job(who, one.row.id, job, int(instance))
            listed = await self._house.listing.get(who, found)
        except NotFoundError as error:
            raise missing from error
        await reply_output(self._house, exchange, who, listed, name, int(node))

    async def _data(self, one: ListedWorkflow) -> bytes:
        data = (await self._house.workflows.data_of([one.row])).get(one.row.id)
        if data is None:
            raise bad(NO_DESCRIPTION)
        return data

    async def _find(self, who: Identity, number: int) -> ListedWorkflow | None:
        """Return the caller's workflow if it came in through this interface."""
        if not 0 < number <= LARGEST_ID:
            return None
        try:
            one = await self._house.workflows.get(who, number)
        except NotFoundError:
            return None
        return one if one.row.dialect == Dialect.PROMINENCE else None

    async def _get(self, who: Identity, part: str) -> ListedWorkflow:
        """Return the caller's workflow; part: its id in the path. Raises RefusedError."""
        number = whole(part, "id")
        one = await self._find(who, number)
        if one is not None:
            return one
        possible = 0 < number <= LARGEST_ID
        if possible and await self._house.workflows.exists(number, Dialect.PROMINENCE):
            raise RefusedError(403, NOT_YOURS)
        raise bad(NO_WORKFLOW)


def _narrowed(who: Identity, wanted: Filter) -> WorkflowFilter:
    active = wanted.ids is None and wanted.selection is Selection.CURRENT
    states: tuple[WorkflowState, ...] = ()
    if wanted.ids is None and wanted.selection is Selection.ENDED:
        states = tuple(ENDED)
    if wanted.status is not None:
        pending = wanted.status == PENDING
        states = (WorkflowState.PENDING,) if pending else (WorkflowState.RUNNING,)
    return WorkflowFilter(
        states,
        owner=who.user,
        name=wanted.name,
        labels=tuple(label for label in wanted.labels if not _is_long(label[0])),
        dialect=Dialect.PROMINENCE,
        ids=wanted.ids,
        active=active or (wanted.status is not None and wanted.ids is None),
    )


def _is_long(label: str) -> bool:
    """Whether a label's name is longer than the core keeps them."""
    return len(label) > LONGEST_LABEL_NAME


def _has_labels(data: bytes, wanted: Filter) -> bool:
    if not wanted.labels:
        return True
    labels = shown(data).get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.labels)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
