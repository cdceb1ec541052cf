"""What agents ask just before they run a job or store its outputs, and only then are told."""

from urllib.parse import unquote, urlsplit

from gristmill.domain.errors import InvalidInputError, NotPermittedError
from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec
from gristmill.domain.objects import Space
from gristmill.domain.staging import OBJECT_SCHEME, wants
from gristmill.protocol.messages import Places, Preparation, Question
from gristmill.services.job_secrets import opened
from gristmill.services.job_tokens import JobTokens, caller_of
from gristmill.services.keyring import SecretBox
from gristmill.services.objects.store import Objects
from gristmill.services.outputs import check_holds
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.registry import Registry
from gristmill.services.reach import Reach
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, get_head, get_specs

FETCH_LIFETIME = 6 * 3600.0
STORE_LIFETIME = 6 * 3600.0
"""Seconds for which an agent may use the addresses it was given."""


class Preparing:
    """Answers the questions of agents about members they hold."""

    def __init__(
        self,
        core: QueueCore,
        registry: Registry,
        objects: Objects,
        reach: Reach,
        tokens: JobTokens,
        box: SecretBox,
    ) -> None:
        self._core, self._registry, self._objects = core, registry, objects
        self._reach, self._tokens, self._box = reach, tokens, box

    async def prepare(self, question: Question) -> Preparation:
        """Return what a member needs besides its spec.

        Raises ConflictError when the agent must register again, InvalidInputError when it does
        not hold the member, UnavailableError when a secret cannot be opened.
        """
        self._registry.get(question.agent, question.instance)
        held = question.held

        def work(tx: Transaction) -> tuple[int, JobSpec, Identity]:
            check_holds(tx, question.agent, held)
            head = get_head(tx, held.job)
            assert head is not None
            spec = get_specs(tx, [held.job])[held.job]
            who = caller_of(self._core, tx, held.job, head.owner_id)
            return self._workflow(tx, head), spec, who

        workflow, spec, who = await self._core.database.read(work)
        logins = {
            number: (task.credential.username, self._open(task.credential.token, who))
            for number, task in enumerate(spec.tasks)
            if task.credential is not None
        }
        return Preparation(
            self._reach.for_jobs(),
            self._tokens.mint(who, held.job, held.attempt) if wants(spec.facts, "token") else "",
            logins,
            [self._open(storage.secret, who) for storage in spec.storage],
            {url: place for url in _references(spec) if (place := self._find(url, who))},
            workflow,
        )

    async def places(self, question: Question) -> Places:
        """Return where the outputs of a member are to be sent. Raises as prepare does."""
        self._registry.get(question.agent, question.instance)
        await self._core.database.read(lambda tx: check_holds(tx, question.agent, question.held))
        space, base = Space.job(question.held.job), self._reach.for_jobs()
        return Places(
            [self._objects.put_url(space, name, base, STORE_LIFETIME) for name in question.outputs]
        )

    def _workflow(self, tx: Transaction, head: JobHead) -> int:
        return self._core.nodes.get(tx, head.node_id).workflow_id if head.node_id else 0

    def _open(self, secret: str, who: Identity) -> str:
        return opened(secret, self._box, who.user)

    def _find(self, url: str, who: Identity) -> str:
        try:
            space, name = space_of(url, who)
            return self._objects.get_url(space, name, self._reach.for_jobs(), FETCH_LIFETIME)
        except (NotPermittedError, InvalidInputError, ValueError):
            return ""


def space_of(url: str, who: Identity) -> tuple[Space, str]:
    """Return where an ``object://`` address leads. Raises NotPermittedError for others' groups."""
    parts = urlsplit(url)
    group, name = unquote(parts.netloc), unquote(parts.path.lstrip("/"))
    if not group:
        return Space.user(who.user), name
    if group not in who.groups:
        raise NotPermittedError(f"{who.user} is not in the group {group}")
    return Space.group(group), name


def _references(spec: JobSpec) -> set[str]:
    found = {task.image for task in spec.tasks} | {spec.image}
    if spec.staging is not None:
        found.update(artifact.url for artifact in spec.staging.artifacts)
    return {url for url in found if url is not None and url.startswith(OBJECT_SCHEME)}
