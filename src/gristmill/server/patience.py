"""Waiting with a limit, at no cost where there is nothing to wait for."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
Steps = Generator[Any, Any, T]


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Return what work returns. Raises TimeoutError when it takes longer.

    A timer is only made once work has to wait: what is there already needs none.
    """
    steps = work.__await__()
    try:
        waits_for = next(steps)
    except StopIteration as end:
        return cast("T", end.value)
    async with asyncio.timeout(seconds):
        return await _Begun(steps, waits_for)


class _Begun(Generic[T]):
    """Work that has taken its first step. waits_for: what it asked the event loop for."""

    def __init__(self, steps: Steps[T], waits_for: object) -> None:
        self._steps, self._waits_for = steps, waits_for

    def __await__(self) -> Steps[T]:
        steps, waits_for = self._steps, self._waits_for
        while True:
            try:
                try:
                    sent = yield waits_for
                except BaseException as error:
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(sent)
            except StopIteration as end:
                return cast("T", end.value)
