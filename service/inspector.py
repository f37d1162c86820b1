"""The child process that looks at files: started when it is asked, kept warm, ended when idle.

It refuses to know what is asked. The child ends with this process: its input closes.
"""

import asyncio
import sys
from contextlib import suppress

import msgspec

from registry.errors import Unavailable
from registry.inspection.request import Request
from registry.settings import Settings, training_environment

IDLE_SECONDS = 60.0
"""Time a child waits for another request: most of an answer's time is the start of the next one."""
ANSWER_BYTES = 64 * 1024 * 1024
"""Longest answer."""
_RETRY_SECONDS = 30


class Inspector:
    """One child at a time, and one request at a time to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()  # protects the child: its pipe holds one question and answer
        self._child: asyncio.subprocess.Process | None = None
        self._retirement: asyncio.TimerHandle | None = None

    async def ask(self, request: Request) -> bytes:
        """Return the child's answer.

        Raises:
            Unavailable: The child died over it.
            TimeoutError: It took longer than the setting allows; the child is ended.
        """
        async with asyncio.timeout(self._settings.report_seconds), self._turn:
            if self._retirement is not None:
                self._retirement.cancel()
            try:
                answer = await self._exchange(request)
            except BaseException:  # given up, too: a late answer would be taken for the next one's
                await self._end()
                raise
            loop = asyncio.get_running_loop()
            self._retirement = loop.call_later(IDLE_SECONDS, self._retire)
            return answer

    async def close(self) -> None:
        """End the child."""
        if self._retirement is not None:
            self._retirement.cancel()
        await self._end()

    async def _exchange(self, request: Request) -> bytes:
        child, was_there = self._child, self._child is not None
        if child is None:
            child = self._child = await self._start()
        if child.stdin is None or child.stdout is None:
            raise ValueError("a child without pipes")
        answer = b""
        with suppress(ConnectionError):  # it ended: there is no answer
            child.stdin.write(msgspec.json.encode(request) + b"\n")
            await child.stdin.drain()
            answer = await child.stdout.readline()
        if answer.endswith(b"\n"):
            return answer
        status = await child.wait()
        await _drain(child)
        self._child = None
        if was_there:  # it had retired, or was killed, before it was asked
            return await self._exchange(request)
        message = (
            f"The process that looked at the file ended with status {status}, which may mean that "
            "the machine ran out of memory. The service's log may have more."
        )
        raise Unavailable("report", message, _RETRY_SECONDS)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "registry.inspection",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment_of(self._settings),
            limit=ANSWER_BYTES,
        )

    def _retire(self) -> None:
        """Let an idle child end by itself; the next request finds it gone."""
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        await _drain(child)


async def _drain(child: asyncio.subprocess.Process) -> None:
    """Read a dead child's output to its end: only then is its pipe closed."""
    if child.stdout is not None:
        while await child.stdout.read(1 << 20):
            pass


def environment_of(settings: Settings) -> dict[str, str]:
    """Return a child's environment: no secret, no network, no advice about torch."""
    ours = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",  # the looks go on beside it, on the other core
    }
    return {**training_environment(settings), **ours}
