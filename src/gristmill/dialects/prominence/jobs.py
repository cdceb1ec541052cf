"""The jobs endpoints: submit, list, describe, delete, clone, remove."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from gristmill.dialects.prominence import stored
from gristmill.dialects.prominence.describe import Facts, detailed, short
from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.exchange import Exchange, whole
from gristmill.dialects.prominence.filters import parse_filter, parse_ids
from gristmill.dialects.prominence.listing import Lists
from gristmill.dialects.prominence.named_objects import check_objects
from gristmill.dialects.prominence.own import LARGEST_ID, find_own, get_own
from gristmill.dialects.prominence.routes import Endpoint
from gristmill.dialects.prominence.states import ENDED, standing
from gristmill.dialects.prominence.translate import spec_of
from gristmill.dialects.prominence.validation.job import check_job
from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.objects import Space
from gristmill.services.house import House
from gristmill.services.queue.submit import Submission
from gristmill.services.queue.views import Listed

NO_JOBS = "No such job(s)"
OUTPUT_LIFETIME = 7 * 86_400.0
"""Seconds for which the URL of an output is good."""


class JobRooms:
    """Serves ``/jobs`` but for what happens inside a job."""

    def __init__(self, house: House) -> None:
        self._house, self._lists = house, Lists(house)

    def endpoints(self) -> list[Endpoint]:
        """Return what this room serves."""
        return [
            Endpoint("POST", "jobs", self.submit),
            Endpoint("GET", "jobs", self.list_some),
            Endpoint("DELETE", "jobs", self.delete_many),
            Endpoint("GET", "jobs/{}", self.describe),
            Endpoint("DELETE", "jobs/{}", self.delete),
            Endpoint("PUT", "jobs/{}/clone", self.clone),
            Endpoint("PUT", "jobs/{}/remove", self.remove),
        ]

    async def submit(self, exchange: Exchange, who: Identity) -> None:
        """Take a job."""
        await exchange.reply({"id": await self._add(await exchange.json(), who)}, 201)

    async def _add(self, given: Any, who: Identity) -> int:
        house = self._house
        job = check_job(given)
        await check_objects(house.objects, who, job)
        submission = Submission(
            specs=[spec_of(job, accounted_to(who))],
            owner=who.user,
            dialect=Dialect.PROMINENCE,
            data=[stored.keep(job, house.box, who.user)],
            caller=who,
        )
        return (await house.submitter.submit(submission)).ids[0]

    async def list_some(self, exchange: Exchange, who: Identity) -> None:
        """List jobs."""
        wanted = parse_filter(exchange.query)
        facts = await self._facts(exchange)

        async def pages() -> AsyncIterator[list[Any]]:
            async for page in self._lists.pages(who, wanted):
                if wanted.detail:
                    yield await self._detailed(page, facts)
                else:
                    yield [short(job, facts) for job in page]

        await exchange.reply_list(pages())

    async def describe(self, exchange: Exchange, who: Identity) -> None:
        """Tell all about one job, or about none."""
        job = await find_own(self._house, who, whole(exchange.parts[0], "id"))
        if job is None:
            await exchange.reply([])
            return
        await exchange.reply(await self._detailed([job], await self._facts(exchange)))

    async def _detailed(self, jobs: list[Listed], facts: Facts) -> list[Any]:
        begun = [job.row.head.id for job in jobs if job.row.head.attempt]
        attempts = await self._house.listing.many_attempts(begun)
        commands = await self._house.orders.commands_of(begun) if begun else {}
        return [
            detailed(
                job,
                attempts.get(job.row.head.id, ()),
                commands.get(job.row.head.id, ()),
                facts,
            )
            for job in jobs
        ]

    async def _facts(self, exchange: Exchange) -> Facts:
        house = self._house
        scope = exchange.scope
        base = house.reach.for_client(scope["scheme"], exchange.host)
        fits: dict[int, bool] = {}

        def placeable(job: Listed) -> bool:
            shape = job.row.head.shape_id
            if shape not in fits:
                fits[shape] = house.listing.placeable(job)
            return fits[shape]

        def url(job: int, name: str) -> str:
            return house.objects.get_url(Space.job(job), name, base, OUTPUT_LIFETIME)

        return Facts(house.chance.now(), await self._sites(), placeable, url)

    async def _sites(self) -> Mapping[int, str]:
        hosts = await self._house.agents.hosts()
        return {number: row.matched_labels["site"] for number, row in hosts.items()}

    async def delete(self, exchange: Exchange, who: Identity) -> None:
        """Delete one job."""
        await self._delete(exchange, who, (whole(exchange.parts[0], "id"),))

    async def delete_many(self, exchange: Exchange, who: Identity) -> None:
        """Delete those of several jobs that can be."""
        text = exchange.query.first("id")
        if not text:
            raise bad("a job id or list of job ids must be provided")
        await self._delete(exchange, who, parse_ids(text, "id"))

    async def _delete(self, exchange: Exchange, who: Identity, ids: tuple[int, ...]) -> None:
        possible = [job for job in ids if 0 < job <= LARGEST_ID]
        if not await self._house.removal.end_active(who, possible, Dialect.PROMINENCE):
            raise bad(NO_JOBS)
        await exchange.reply({})

    async def clone(self, exchange: Exchange, who: Identity) -> None:
        """Submit a job's description once more."""
        job = await get_own(self._house, who, exchange.parts[0])
        data = job.row.dialect_data
        if job.place is not None and job.place.instance is None:
            data = job.place.data
        if data is None:
            raise bad("Unable to get JSON description of the specified job")
        description = stored.submitted(data, self._house.box, job.words.owner)
        await exchange.reply({"id": await self._add(description, who)}, 201)

    async def remove(self, exchange: Exchange, who: Identity) -> None:
        """Keep a job no longer among the current ones once it has ended."""
        job = await get_own(self._house, who, exchange.parts[0])
        kept = await self._house.recent.dismiss(who, job.row.head.id)
        if not kept and standing(job.row.head).status in ENDED:
            raise bad("Job is no longer in the queue")
        await exchange.reply({})


def accounted_to(who: Identity) -> str:
    """Return the group a caller's jobs are accounted to; empty without one."""
    return who.groups[0] if who.groups else ""
