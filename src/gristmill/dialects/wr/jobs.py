"""The jobs endpoint: look, add, end."""

import asyncio
from collections.abc import Mapping, Sequence

from gristmill.dialects.wr.errors import BAD_STATE, RefusedError, bad_job
from gristmill.dialects.wr.exchange import Exchange
from gristmill.dialects.wr.queries import job_defaults, limit_of
from gristmill.dialects.wr.report import Report
from gristmill.dialects.wr.requests import decode_jobs
from gristmill.dialects.wr.selection import Selected, Selection, Wanted, identifiers_of
from gristmill.dialects.wr.status import DELETABLE, RUNNING, as_added, states_of
from gristmill.dialects.wr.translate import Delays, Translated, Translator
from gristmill.dialects.wr.uploads import Uploads
from gristmill.dialects.wr.wire import JobRequest
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.domain.state import JobState
from gristmill.services.house import House
from gristmill.services.queue.submit import Submission, Submitted

INLINE_BYTES = 64 << 10
"""Up to so many bytes of jobs are read on the event loop; more in a thread."""

_NAMES = {"after_groups": "deps", "dep_groups": "dep_grps", "command": "cmd", "group": "rep_grp"}


class Jobs:
    """Answers /rest/v1/jobs/."""

    def __init__(self, house: House, uploads: Uploads, delays: Delays, report: Report) -> None:
        self._house, self._uploads, self._delays, self._report = house, uploads, delays, report
        self._selection = Selection(house)

    async def handle(self, exchange: Exchange, who: Identity) -> None:
        """Answer one request."""
        match exchange.method:
            case "GET":
                await self._get(exchange, who)
            case "POST":
                await self._add(exchange, who)
            case "DELETE":
                await self._end(exchange, who)
            case _:
                raise RefusedError(400, "So far only GET, POST and DELETE are supported")

    async def _get(self, exchange: Exchange, who: Identity) -> None:
        query = exchange.query
        wanted = _wanted(exchange, states_of(query.get("state")))
        found = await self._selection.find(who, wanted)
        await exchange.reply(await self._report.write(exchange.query, who, found))

    async def _add(self, exchange: Exchange, who: Identity) -> None:
        body, query = await exchange.body(), exchange.query
        small = len(body) <= INLINE_BYTES
        requests = decode_jobs(body) if small else await asyncio.to_thread(decode_jobs, body)
        defaults = job_defaults(query)
        translator = Translator(defaults, self._scripts(who, requests, defaults), self._delays)
        if small:
            jobs = [translator.translate(request) for request in requests]
        else:
            jobs = await asyncio.to_thread(lambda: list(map(translator.translate, requests)))
        done = await self._submit(who, jobs)
        glances = await self._house.glances.of_ids(who, [job for job in done.ids if job])
        added = [Selected(as_added(glance, done.first), None) for glance in glances]
        await exchange.reply(await self._report.write(query, who, added), 201)

    def _scripts(
        self, who: Identity, requests: Sequence[JobRequest], defaults: JobRequest
    ) -> Mapping[str, str]:
        paths = {job.cloud_script for job in (*requests, defaults) if job.cloud_script}
        return {path: self._uploads.read_script(who, path) for path in paths}

    async def _submit(self, who: Identity, jobs: Sequence[Translated]) -> Submitted:
        if not jobs:
            return Submitted([], 0)
        submission = Submission(
            [job.spec for job in jobs],
            who.user,
            Dialect.WR,
            data=[job.extra for job in jobs],
            rerun=[job.rerun for job in jobs],
            admin=who.admin,
        )
        try:
            return await self._house.submitter.submit(submission)
        except InvalidInputError as error:
            raise bad_job(f"{_wire_name(error.field)}: {error}") from error

    async def _end(self, exchange: Exchange, who: Identity) -> None:
        removal, word = self._house.removal, exchange.query.get("state")
        match word:
            case "running":
                act, states, answer, code = removal.kill, RUNNING, "running", 202
            case "lost":
                act, states, answer, code = (
                    removal.confirm_lost,
                    frozenset({JobState.LOST}),
                    "lost",
                    202,
                )
            case "deletable":
                act, states, answer, code = removal.remove, DELETABLE, "deleted", 200
            case _:
                raise RefusedError(400, BAD_STATE)
        wanted = _wanted(exchange, states)
        found = [
            selected
            for selected in await self._selection.find(who, wanted)
            if selected.glance.job.row.head.state in states
        ]
        ids = list(dict.fromkeys(selected.glance.job.row.head.id for selected in found))
        ended = {job.row.head.id for job in await act(who, ids)} if ids else set()
        gone = [selected for selected in found if selected.glance.job.row.head.id in ended]
        await exchange.reply(await self._report.write(exchange.query, who, gone, answer), code)


def _wanted(exchange: Exchange, states: frozenset[JobState] | None) -> Wanted:
    query = exchange.query
    return Wanted(
        identifiers_of(exchange.rest), states, limit_of(query), search=query.flag("search")
    )


def _wire_name(field: str) -> str:
    """Return what this interface calls a field of the core, with the job's place before it."""
    place, dot, name = field.rpartition(".")
    return f"{place}{dot}{_NAMES.get(name, name)}" or "job"
