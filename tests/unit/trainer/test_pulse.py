"""The pulse between a trainer and its child, over a real pipe."""

import asyncio
import os
import sys

from trainer.pulse import EXIT_UNHEARD, Pulse, end_unheard


def heard(*, beats: int, closed: bool) -> list[int]:
    """Return with which statuses a process ended that was beaten to and then no more."""
    ends: list[int] = []
    reading, writing = os.pipe()
    thread = end_unheard(reading, seconds=0.2, end=ends.append)
    for _ in range(beats):
        os.write(writing, b".")
    if closed:
        os.close(writing)
    thread.join(10)
    assert not thread.is_alive()
    os.close(reading)
    if not closed:
        os.close(writing)
    return ends


def test_silence_ends_a_child() -> None:
    """With a status of its own: no fault of the child's."""
    assert heard(beats=2, closed=False) == [EXIT_UNHEARD]


def test_nothing_to_listen_to_ends_nobody() -> None:
    """A child whose input is closed is left to the kernel, which ends it with its parent."""
    assert heard(beats=2, closed=True) == []


async def test_a_trainer_beats_again_and_again() -> None:
    """Into the child's own input."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import os; print(os.read(0, 1) + os.read(0, 1))",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    pulse = Pulse(child.stdin, seconds=0.05)
    async with asyncio.timeout(30):
        assert await child.stdout.read() == b"b'..'\n"
        await child.wait()
    pulse.stop()
