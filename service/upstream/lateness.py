"""Deadlines of which a process that was held up hears late.

It refuses to know what was waited for. Such a process hears of the time before it hears of its
peer: the deadline was its own pause, and is no reason to believe the peer silent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
LATE = 1.25
"""Share of a deadline after which hearing of it was late."""


async def again_if_late(
    attempt: Callable[[], Awaitable[T]],
    seconds: float,
    expired: type[Exception] = TimeoutError,
) -> T:
    """Return what an attempt gives; one whose deadline was heard of late is made once more.

    Args:
        attempt: Has a deadline of its own, and may be made twice.
        seconds: That deadline.
        expired: What it raises then.

    Raises:
        Exception: As the attempt does.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        return await attempt()
    except expired:
        if clock() - began < LATE * seconds:
            raise
    return await attempt()
