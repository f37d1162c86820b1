"""A transport that sends what was written in one go."""

import asyncio

from service.corked import CorkedTransport


class Recorder(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember a write."""
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Remember the end."""
        self.closed = True

    def abort(self) -> None:
        """Remember the end."""
        self.closed = True

    def is_closing(self) -> bool:
        """Return whether it ended."""
        return self.closed


def corked() -> tuple[Recorder, CorkedTransport]:
    """Return a corked transport and what it writes on."""
    recorder = Recorder()
    return recorder, CorkedTransport(recorder, asyncio.get_running_loop())


async def test_pieces_of_one_step_are_one_write() -> None:
    """Head and body leave together, in their order."""
    recorder, transport = corked()
    transport.write(b"head ")
    transport.write(b"body")
    assert recorder.writes == []
    await asyncio.sleep(0)
    assert recorder.writes == [b"head body"]


async def test_what_is_held_is_sent_before_the_end() -> None:
    """Closing loses nothing."""
    recorder, transport = corked()
    transport.write(b"last")
    transport.close()
    assert (recorder.writes, recorder.closed) == ([b"last"], True)
    await asyncio.sleep(0)
    assert recorder.writes == [b"last"]


async def test_an_abort_sends_nothing_more() -> None:
    """What was held is dropped."""
    recorder, transport = corked()
    transport.write(b"never")
    transport.abort()
    await asyncio.sleep(0)
    assert recorder.writes == []
