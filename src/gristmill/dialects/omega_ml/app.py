"""The interface as an ASGI app: which request leads where, and how what goes wrong is worded."""

from collections import defaultdict

import structlog

from gristmill.dialects.omega_ml import others
from gristmill.dialects.omega_ml.access import Access
from gristmill.dialects.omega_ml.calls import Call, Handler
from gristmill.dialects.omega_ml.datasets import Datasets
from gristmill.dialects.omega_ml.errors import (
    ClientGoneError,
    RefusedError,
    nothing_at,
    refusal,
    refused,
)
from gristmill.dialects.omega_ml.exchange import App, Exchange, Receive, Scope, Send
from gristmill.dialects.omega_ml.jobs import Jobs
from gristmill.dialects.omega_ml.keys import Form, Target, check_new, resolve
from gristmill.dialects.omega_ml.models import Models
from gristmill.dialects.omega_ml.pages import Pages
from gristmill.dialects.omega_ml.profiles import error_status
from gristmill.dialects.omega_ml.rules import Rules
from gristmill.dialects.omega_ml.scripts import Scripts
from gristmill.dialects.omega_ml.services import Services
from gristmill.dialects.omega_ml.settings import OmegaSettings
from gristmill.dialects.omega_ml.table import OPERATIONS, Operation
from gristmill.dialects.omega_ml.work import Work
from gristmill.domain.errors import GristmillError
from gristmill.domain.identity import Identity
from gristmill.services.house import House

MOUNT = "/omega-ml"
ROOT = "/api/v1/"
SERVICE = "/api/service/"
"""Another path of the resource ``service``."""

IMPLIED = frozenset({"model.get", "service.run"})
"""Their rules depend on parameters or on what is found, so they ask for themselves."""

CREATE = "create"
NOBODY = Identity(user="", scopes=frozenset())

log = structlog.get_logger()


class OmegaMl:
    """The ASGI app."""

    def __init__(self, house: House, settings: OmegaSettings) -> None:
        self._house, self._settings = house, settings
        self._access = Access(house.tokens, settings)
        self._rules = Rules(settings.rules)
        self._handlers = _handlers(house, settings)
        self._pages = Pages(settings.profile)
        self._table: dict[tuple[str, Form, str], dict[str, Operation]] = defaultdict(dict)
        for each in OPERATIONS:
            self._table[each.resource, each.form, each.word][each.method] = each

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        mount = MOUNT if path == MOUNT or path.startswith(f"{MOUNT}/") else ""
        exchange = Exchange(scope, receive, send, mount)
        try:
            await self._route(exchange)
        except ClientGoneError:
            return
        except RefusedError as error:
            await self._refuse(exchange, error)
        except GristmillError as error:
            await self._refuse(exchange, refusal(error, payload=exchange.payload))
        except Exception:
            if exchange.answered:
                raise
            number = self._house.chance.token(9)
            log.exception("omega_ml.failed", error=number, path=exchange.path)
            await self._refuse(exchange, refused(500, f"the server failed; its log: {number}"))

    async def _refuse(self, exchange: Exchange, error: RefusedError) -> None:
        status = error.status
        if not error.fixed:
            deleting = exchange.method == "DELETE" and exchange.path.startswith(f"{ROOT}dataset/")
            status = error_status(status, self._settings.profile, deleting_dataset=deleting)
        await exchange.reply(error.body, status, *error.headers)

    async def _route(self, exchange: Exchange) -> None:
        below = exchange.path.removeprefix(ROOT)
        if exchange.path.startswith(SERVICE):
            below = f"service/{exchange.path.removeprefix(SERVICE)}"
        elif not exchange.path.startswith(ROOT):
            await self._pages.answer(exchange)
            return
        target = resolve(below)
        if target is None:
            raise nothing_at(exchange.path)
        operation = self._operation(exchange, target)
        who = NOBODY if operation.open else await self._access.identify(exchange)
        place = self._access.place(exchange, who)
        call = Call(
            exchange, operation, target.key, who, place, self._access.bucket_name(place),
            self._rules, self._settings.profile,
        )  # fmt: skip
        if operation.rule and target.form is not Form.LIST and operation.handler not in IMPLIED:
            call.check_rules(target.key)
        elif operation.rule:
            self._rules.check_resource(operation.resource)
        await self._handlers[operation.handler](call)

    def _operation(self, exchange: Exchange, target: Target) -> Operation:
        methods = self._table[target.resource, target.form, target.word]
        operation = methods.get(exchange.method)
        if operation is not None:
            return operation
        if target.form is Form.ITEM and target.resource == "model" and "/" in target.key:
            front, _, last = target.key.rpartition("/")
            raise refused(404, f"there is no action {last[:80]!r} for model {front[:200]!r}")
        created = self._table[target.resource, Form.ITEM, ""].get(exchange.method)
        if created is not None and created.rule == CREATE:
            check_new(target.resource, exchange.path.removeprefix(ROOT).partition("/")[2])
        allow = ", ".join(sorted(methods))
        raise RefusedError(
            405,
            {"message": f"{exchange.method[:20]} is not for this path: use {allow}"},
            ((b"allow", allow.encode()),),
        )


def create_omega_ml_app(house: House, settings: OmegaSettings) -> App:
    """Return an ASGI app for ``/api/v1/…`` and ``/omega-ml/api/v1/…``."""
    return OmegaMl(house, settings)


def _handlers(house: House, settings: OmegaSettings) -> dict[str, Handler]:
    work = Work(house, settings.patience)
    datasets, models = Datasets(house), Models(house, work)
    jobs, scripts = Jobs(house, work), Scripts(house, work)
    services = Services(house, work, jobs)
    return {
        "dataset.list": datasets.list,
        "dataset.create": datasets.create,
        "dataset.read": datasets.read,
        "dataset.write": datasets.write,
        "dataset.delete": datasets.delete,
        "model.list": models.list,
        "model.create": models.create,
        "model.get": models.get,
        "model.metadata": models.metadata,
        "model.versions": models.versions,
        "model.delete": models.delete,
        "model.ask": models.ask,
        "model.change": models.change,
        "job.list": jobs.list,
        "job.write": jobs.write,
        "job.get": jobs.get,
        "job.delete": jobs.delete,
        "job.run": jobs.run,
        "job.result": jobs.result,
        "job.export": jobs.export,
        "script.list": scripts.list,
        "script.get": scripts.get,
        "script.write": scripts.write,
        "script.delete": scripts.delete,
        "script.run": scripts.run,
        "service.run": services.run,
        "service.doc": services.doc,
        "task.result": work.result,
        "task.status": work.status,
        "task.revoke": work.revoke,
        "config.list": others.config,
        "ping": others.Ping(house.chance),
    }
