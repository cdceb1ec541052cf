"""Putting the interface together."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gristmill.agent.node import own_address
from gristmill.agent.steps import base_environment
from gristmill.dialects.wr.exchange import App
from gristmill.dialects.wr.jobs import Jobs
from gristmill.dialects.wr.manager import Manager
from gristmill.dialects.wr.report import Report
from gristmill.dialects.wr.routes import Routes
from gristmill.dialects.wr.translate import Delays
from gristmill.dialects.wr.uploads import Uploads
from gristmill.services.house import House

UPLOADS = "uploads"
_USUAL = Delays()


class WrSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may change.

    upload_dir: where files without a path of their own go; None for a folder in the home.
    retry_delay, retry_max_delay, retry_jitter: seconds between a job's attempts.
    """

    upload_dir: Path | None = None
    retry_delay: float = _USUAL.first
    retry_max_delay: float = _USUAL.longest
    retry_jitter: float = _USUAL.jitter


def create_wr_app(
    house: House, settings: WrSettings, variables: Mapping[str, str] = os.environ
) -> App:
    """Return an ASGI app for ``/rest/…`` and ``/wr/rest/…``.

    variables: of the server's own environment; commands inherit the harmless ones.
    """
    uploads = Uploads(settings.upload_dir or house.home / UPLOADS, house.home)
    delays = Delays(settings.retry_delay, settings.retry_max_delay, settings.retry_jitter)
    report = Report(house, base_environment(variables), own_address())
    jobs = Jobs(house, uploads, delays, report)
    return Routes(house.tokens, jobs, Manager(house, uploads))
