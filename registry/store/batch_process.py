"""A process that writes long batches, started when the first one comes.

It refuses to know what the rows mean. Nothing is known of a batch under way when the process dies,
or when whoever waits is cancelled: then the process is gone before that is told, so that what the
store holds is final.
"""

import asyncio
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping

import msgspec
from sqlalchemy.exc import DBAPIError

from registry.batch_writer import GENTLE, LENGTH_BYTES, ORDINARY, Answer, frame
from registry.errors import Unavailable

STARVED_SECONDS = 0.5
"""Time for which a batch waits for a core before the process is said to starve: it has the lock."""
ORDINARY_SECONDS = 600.0
"""Time for which it takes its turn then, before it gives way to everybody again."""
_END_SECONDS = 2.0
"""Longest time that the process may take to end what it is at before it is killed."""

_decode = msgspec.msgpack.Decoder(Answer).decode


class ProcessDied(Unavailable):
    """The process died over a batch, which is stored whole or not at all; the next one may do."""


class BatchProcess:
    """Writes batches into an SQLite file, one at a time.

    Args:
        file: The database.
        wait_seconds: Longest time to wait for another writer.
        environment: The process's.
    """

    def __init__(self, file: str, wait_seconds: float, environment: Mapping[str, str]) -> None:
        self._arguments = (file, str(wait_seconds))
        self._environment = environment
        self._process: Process | None = None
        self._manner = GENTLE
        self._ordinary_until = float("-inf")
        self._writing = asyncio.Lock()  # protects the process's input and output: one batch at once

    @property
    def pid(self) -> int | None:
        """The process, if it runs."""
        return None if self._process is None else self._process.pid

    async def write(self, batch: bytes) -> None:
        """Write a batch in one transaction; it is durable when this returns.

        Args:
            batch: A list of `Insertion`, packed.

        Raises:
            DBAPIError: The database refused it; nothing of it is stored.
            Unavailable: The database does not answer; nothing of it is stored.
            ProcessDied: The batch is stored whole or not at all.
        """
        async with self._writing:
            try:
                answer = await self._exchange(frame(batch))
            except BaseException:
                await self._end()
                raise
            if answer.waited_seconds > STARVED_SECONDS:
                self._ordinary_until = time.monotonic() + ORDINARY_SECONDS
        refusal = answer.refusal
        if refusal is not None and refusal.kind == "OperationalError":
            raise Unavailable("database", f"The database does not answer: {refusal.message}")
        if refusal is not None:
            reason = getattr(sqlite3, refusal.kind)(refusal.message)
            raise DBAPIError.instance(None, None, reason, sqlite3.Error) from reason

    async def close(self) -> None:
        """End the process."""
        async with self._writing:
            await self._end()

    async def _exchange(self, message: bytes) -> Answer:
        process = await self._running()
        if process.stdin is None or process.stdout is None:
            raise ValueError("a process without pipes")
        try:
            process.stdin.write(message)
            await process.stdin.drain()
            length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
            return _decode(await process.stdout.readexactly(length))
        except (OSError, asyncio.IncompleteReadError) as exc:
            reason = "The process that writes batches died."
            raise ProcessDied("database", reason) from exc

    async def _running(self) -> Process:
        manner = ORDINARY if time.monotonic() < self._ordinary_until else GENTLE
        if manner != self._manner:
            await self._end()
        if self._process is None or self._process.returncode is not None:
            self._manner = manner
            command = (sys.executable, "-m", "registry.batch_writer", *self._arguments, manner)
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                env=self._environment,
            )
        return self._process

    async def _end(self) -> None:
        """End the process; a cancellation goes on when it has ended, not before."""
        process, self._process = self._process, None
        if process is None:
            return
        ending = asyncio.ensure_future(_end(process))
        is_cancelled = False
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                is_cancelled = True
        if is_cancelled:
            raise asyncio.CancelledError


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
