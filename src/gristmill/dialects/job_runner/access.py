"""Who is asking: a worker by its signature, or a person by a session."""

from gristmill.dialects.job_runner.errors import unauthorized
from gristmill.dialects.job_runner.exchange import Request
from gristmill.dialects.job_runner.greeter import Greeter
from gristmill.dialects.job_runner.reach import Reach, reach_of_user, reach_of_worker
from gristmill.dialects.job_runner.sessions import SESSION_COOKIE, Sessions, is_own_request
from gristmill.dialects.job_runner.signature import Signature, find_signature, is_signed
from gristmill.services.directory import Snapshot

SESSION_WRITES = frozenset(
    {("POST", "run"), ("PUT", "job"), ("PATCH", "job"), ("POST", "kill_request")}
)
"""All that a person may change; the rest is for workers."""


class Access:
    """Verifies callers."""

    def __init__(self, sessions: Sessions, greeter: Greeter) -> None:
        self._sessions, self._greeter = sessions, greeter

    async def identify(self, request: Request, resource: str, snapshot: Snapshot) -> Reach:
        """Load the body and return what the caller may touch. Raises RefusedError.

        A signature that is there decides alone: a session never stands in for a wrong one.
        """
        signature = find_signature(request.headers)
        if signature is not None:
            return await self._worker(request, signature, snapshot)
        reach = await self._person(request, snapshot)
        if request.method != "GET":
            if (request.method, resource) not in SESSION_WRITES or not is_own_request(request):
                raise unauthorized()
            await request.load()
        return reach

    async def _worker(self, request: Request, signature: Signature, snapshot: Snapshot) -> Reach:
        worker = snapshot.worker_by_key.get(signature.api_key)
        # What strangers send is not even read.
        if worker is None or worker.secret is None or not signature.digest:
            raise unauthorized()
        await request.load()
        if not is_signed(request, signature.digest, worker.secret):
            raise unauthorized()
        self._greeter.heard(worker)
        return reach_of_worker(snapshot, worker)

    async def _person(self, request: Request, snapshot: Snapshot) -> Reach:
        name = await self._sessions.user(request.cookies.get(SESSION_COOKIE, ""))
        user = snapshot.users.get(name) if name is not None else None
        if user is None or not user.value.enabled:
            raise unauthorized()
        return reach_of_user(snapshot, user.group_ids)
