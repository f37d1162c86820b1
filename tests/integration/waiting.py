"""Waiting for a condition instead of sleeping.

It refuses to know what is waited for.
"""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def until(read: Callable[[], T | Literal[False] | None], *, seconds: float) -> T:
    """Read again and again, and return the first value that is neither none nor false.

    Raises:
        TimeoutError: There was none within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = read()
        if found is not None and found is not False:
            return found
        time.sleep(0.2)  # between two looks at a condition
    raise TimeoutError(f"the condition did not come true within {seconds} s")
