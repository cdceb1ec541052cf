"""/v1/workflows: submit, look, wait, cancel, run again, forget."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.params import PathParameter

from gristmill.domain.errors import ConflictError
from gristmill.domain.workflow import WorkflowSpec
from gristmill.native import documented, translate
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_json
from gristmill.native.parameters import (
    DEFAULT_PAGE,
    LARGEST,
    AnyRequest,
    Cursor,
    IdempotencyKey,
    Ids,
    Labels,
    Order,
    PageSize,
    QueryText,
    States,
    WaitSeconds,
    check_wait,
)
from gristmill.native.workflow_wire import (
    WorkflowDetailView,
    WorkflowPage,
    WorkflowView,
    parse_states,
    workflow_detail,
    workflow_view,
)
from gristmill.services.workflows.submit import WorkflowSubmission
from gristmill.services.workflows.views import WorkflowFilter

LARGEST_WORKFLOW = 64 << 20
"""Bytes; the server's setting max_body comes first."""

WorkflowId = Annotated[int, PathParameter(ge=1, le=LARGEST, description="the workflow's id")]


class WorkflowRoutes(Controller):
    """Workflows of the caller; an administrator's reach is everybody's."""

    path = "/v1/workflows"
    tags = ("workflows",)

    @post(
        operation_class=documented.WORKFLOW_BODY,
        summary="Submit a workflow",
        responses=documented.CONFLICT,
        request_max_body_size=LARGEST_WORKFLOW,
    )
    async def submit(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        idempotency_key: IdempotencyKey = None,
    ) -> WorkflowView:
        """Add a workflow with all its jobs, or nothing; 201 once they are on disk."""
        spec = await read_json(request, WorkflowSpec)
        workflow = await house.workflows.submit(
            WorkflowSubmission(spec, writer, idempotency_key=idempotency_key)
        )
        return workflow_view(await house.workflows.get(writer, workflow))

    @get(summary="List workflows")
    async def list_workflows(
        self,
        house: TheHouse,
        reader: Caller,
        states: States = None,
        ids: Ids = None,
        owner: QueryText = None,
        name: QueryText = None,
        label: Labels = None,
        dialect: QueryText = None,
        limit: PageSize = DEFAULT_PAGE,
        cursor: Cursor = None,
        order: Order = "newest",
    ) -> WorkflowPage:
        """Return a page of the workflows that meet every condition, by id."""
        wanted = WorkflowFilter(
            parse_states(states or ()),
            owner,
            name,
            translate.parse_labels(label or ()),
            translate.parse_dialect(dialect),
            translate.parse_ids(ids) if ids is not None else None,
        )
        page = await house.workflows.page(reader, wanted, limit=limit, cursor=cursor, order=order)
        return WorkflowPage([workflow_view(one) for one in page.workflows], page.cursor)

    @get("/{workflow:int}", summary="One workflow with all that is known of it")
    async def detail(
        self, house: TheHouse, reader: Caller, workflow: WorkflowId
    ) -> WorkflowDetailView:
        """Return the workflow, its nodes with their counts, and what was submitted."""
        return workflow_detail(await house.workflows.detail(reader, workflow))

    @get("/{workflow:int}/wait", summary="Wait for a workflow to end")
    async def wait(
        self,
        house: TheHouse,
        reader: Caller,
        workflow: WorkflowId,
        timeout: WaitSeconds = 30.0,  # noqa: ASYNC109 - a wire name
    ) -> WorkflowView:
        """Return as soon as the workflow has ended, or after timeout seconds."""
        check_wait(timeout)
        return workflow_view(await house.workflows.until_ended(reader, workflow, timeout))

    @post(
        "/{workflow:int}/cancel",
        status_code=200,
        summary="Cancel a workflow",
        responses=documented.CONFLICT,
    )
    async def cancel(self, house: TheHouse, writer: Caller, workflow: WorkflowId) -> WorkflowView:
        """End the workflow and all its jobs; 409 when it has ended already."""
        ended = await house.workflows.cancel(writer, [workflow])
        if workflow in ended.unchanged:
            raise ConflictError(f"workflow {workflow} is {ended.unchanged[workflow].word}")
        return workflow_view(await house.workflows.get(writer, workflow))

    @post(
        "/{workflow:int}/retry",
        summary="Run what did not succeed as a new workflow",
        responses=documented.CONFLICT,
    )
    async def retry(self, house: TheHouse, writer: Caller, workflow: WorkflowId) -> WorkflowView:
        """Add a workflow whose done jobs are those of this one; 409 unless it failed."""
        again = await house.workflows.rerun(writer, workflow)
        return workflow_view(await house.workflows.get(writer, again))

    @post("/{workflow:int}/clone", summary="Submit a workflow once more")
    async def clone(self, house: TheHouse, writer: Caller, workflow: WorkflowId) -> WorkflowView:
        """Add a workflow from what was submitted as this one."""
        again = await house.workflows.clone(writer, workflow)
        return workflow_view(await house.workflows.get(writer, again))

    @delete(
        "/{workflow:int}",
        summary="Forget an ended workflow",
        responses=documented.CONFLICT,
    )
    async def forget(self, house: TheHouse, writer: Caller, workflow: WorkflowId) -> None:
        """Delete the workflow with its jobs; 409 while it is active."""
        await house.workflows.forget(writer, workflow)
