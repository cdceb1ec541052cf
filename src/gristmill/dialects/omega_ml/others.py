"""The resources ``config`` and ``ping``."""

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.access import DEFAULT_QUALIFIER
from gristmill.dialects.omega_ml.calls import Call
from gristmill.dialects.omega_ml.dates import iso
from gristmill.dialects.omega_ml.errors import bad, refused
from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError
from gristmill.services.data.place import check_bucket


async def config(call: Call) -> None:
    """Answer with the caller's own settings."""
    exchange = call.exchange
    user = exchange.parameter("user") or call.who.user
    if user != call.who.user and not call.who.admin:
        raise refused(403, "user: only an administrator may ask for another user's settings")
    if exchange.parameter("view") not in {None, "0", "1"}:
        raise bad("view", "must be 0 or 1")
    qualifier = exchange.parameter("qualifier") or exchange.header("qualifier").strip()
    try:
        check_bucket(qualifier)
    except InvalidInputError as error:
        raise bad("qualifier", str(error)) from error
    host = exchange.header("host") or "localhost"
    data = {
        "OMEGA_USERID": user,
        "OMEGA_QUALIFIER": qualifier or DEFAULT_QUALIFIER,
        "OMEGA_RESTAPI_URL": f"{exchange.scheme}://{host}{exchange.mount}",
        "OMEGA_BUCKET": call.bucket,
    }
    meta = wire.Meta(limit=20, next=None, offset=0, previous=None, total_count=1)
    await call.reply(wire.ConfigPage(meta, [wire.Config(data, "/api/v1/config/")]))


class Ping:
    """Tells the time to anybody."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    async def __call__(self, call: Call) -> None:
        """Answer with the time."""
        await call.reply(wire.Ping(iso(self._chance.now())))
