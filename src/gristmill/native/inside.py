"""/v1/jobs/ID/exec and /snapshot: doing things inside a running job."""

from litestar import Controller, post

from gristmill.domain.objects import Space
from gristmill.native import documented, wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_json
from gristmill.native.jobs import JobNumber
from gristmill.native.objects import DOWNLOAD_LIFETIME, UPLOAD_LIFETIME, base_of
from gristmill.native.parameters import AnyRequest

SNAPSHOT = "snapshot.tgz"


class InsideRoutes(Controller):
    """Commands and snapshots in running jobs."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(
        "/{job:int}/exec",
        status_code=200,
        operation_class=documented.COMMAND_BODY,
        summary="Run a command in a running job",
        responses=documented.CONFLICT,
    )
    async def execute(
        self, request: AnyRequest, house: TheHouse, writer: Caller, job: JobNumber
    ) -> wire.CommandResult:
        """Run it where the current task runs, on the job's first node, in the same container."""
        wish = await read_json(request, wire.Command)
        result = await house.orders.execute(writer, job, wish.argv, wish.limit)
        return wire.CommandResult(result.exit_code, result.output.decode(errors="replace"))

    @post(
        "/{job:int}/snapshot",
        status_code=200,
        operation_class=documented.SNAPSHOT_BODY,
        summary="Take a snapshot of a running job's files",
        responses=documented.CONFLICT,
    )
    async def snapshot(
        self, request: AnyRequest, house: TheHouse, writer: Caller, job: JobNumber
    ) -> wire.Snapshot:
        """Pack a file or folder of a job in a sandbox; the last snapshot is the one there is."""
        wish = await read_json(request, wire.SnapshotWish)
        space = Space.job(job)
        place = house.objects.put_url(space, SNAPSHOT, house.job_base, UPLOAD_LIFETIME)
        await house.orders.snapshot(writer, job, wish.path, place)
        base = base_of(request, house)
        url = house.objects.get_url(space, SNAPSHOT, base, DOWNLOAD_LIFETIME)
        return wire.Snapshot(url, DOWNLOAD_LIFETIME)
