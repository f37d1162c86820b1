"""What the service draws is its own: it neither follows nor disturbs Python's `random`."""

import asyncio
import random
from pathlib import Path

from service.problems import new_request_id
from tests.serving import BASE, serving

NAME = "ft:tiny-base:default:test:00000001"


async def test_a_split_request_and_its_copy_leave_the_state_alone(tmp_path: Path) -> None:
    """Else a program that seeds it, and has the service in a thread, is no longer repeatable."""
    async with serving(tmp_path) as stack:
        await stack.serve()
        await stack.deploy("support", BASE, NAME, 0.5, shadow=BASE, shadow_share=1.0)
        before = random.getstate()
        answer = await stack.chat("support")
        async with asyncio.timeout(10):
            while not stack.metric(
                "graftline_shadow_copies_total", deployment="support", outcome="answered"
            ):
                await stack.passed()
        assert answer.status == 200
        assert random.getstate() == before


def test_who_seeds_python_does_not_repeat_our_ids() -> None:
    """An id names one interaction for ever."""
    found = []
    for _ in range(2):
        random.seed(0)
        found.append(new_request_id()[12:])
    assert found[0] != found[1]
