"""Typed Python client of a Gristmill server.

``Client`` for plain code, ``AsyncClient`` for asyncio; both find the server by themselves.
"""

from gristmill.client.aio import AsyncClient
from gristmill.client.errors import ServerError, UnreachableError, WaitTimeoutError
from gristmill.client.models import NewPoint
from gristmill.client.sync import Client
from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.domain.job import Hook, Hooks, JobSpec, Task
from gristmill.domain.resources import Resources
from gristmill.domain.retry import RetryPolicy
from gristmill.domain.workflow import WorkflowSpec

__all__ = [
    "AsyncClient",
    "Client",
    "ConflictError",
    "GristmillError",
    "Hook",
    "Hooks",
    "InvalidInputError",
    "JobSpec",
    "NewPoint",
    "NotAuthenticatedError",
    "NotFoundError",
    "NotPermittedError",
    "Resources",
    "RetryPolicy",
    "ServerError",
    "Task",
    "UnavailableError",
    "UnreachableError",
    "WaitTimeoutError",
    "WorkflowSpec",
]
