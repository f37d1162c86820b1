"""The exams' way to the models: through the service, as any user's request.

It refuses to know rows and scores. While a part of the system restarts it waits; only an answer
that says that the request itself is at fault counts against a row.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from evals import wire
from evals.arms import Question
from registry.errors import (
    Denied,
    EngineError,
    GraftlineError,
    NotFound,
    Unavailable,
)
from registry.records import Record

_OK = 200
_UNAUTHENTICATED = 401
_FORBIDDEN = 403
_MISSING = 404
_TIMED_OUT = 408
_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_SERVER_FAULT = 500


class Patience(Record, frozen=True, kw_only=True):
    """How long to wait for what."""

    deadline_seconds: float
    """For one request."""
    outage_seconds: float = 900.0
    """For a service, engine or key that is away, before the evaluation is put off."""
    missing_seconds: float = 30.0
    """For a model that the service does not know, before the evaluation fails."""
    first_pause_seconds: float = 0.1
    """Between the first two attempts; it doubles."""
    longest_pause_seconds: float = 3.0
    """Between any two attempts."""
    attempts: int = 3
    """Of a request that ends in an internal error or at its deadline."""


class _Retry(Exception):
    """An attempt that may be repeated; never leaves this module."""

    def __init__(self, final: GraftlineError, *, seconds: float, attempts: int | None) -> None:
        super().__init__(final, seconds, attempts)
        self.final = final
        self.seconds = seconds
        self.attempts = attempts


class Client:
    """Asks the service, with bounded concurrency."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        key_file: Path,
        concurrency: int,
        patience: Patience,
        count: Callable[[str], None] = lambda _outcome: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._url = url
        self._key_file = key_file
        self._slots = asyncio.Semaphore(concurrency)  # bounds the requests in flight
        self._patience = patience
        self._count = count
        self._sleep = sleep
        self._clock = clock

    async def generate(self, question: Question) -> str:
        """Return the model's answer.

        Raises:
            EngineError: The request is refused; the row cannot be scored.
            NotFound: The service does not know the model.
            Denied: The key may not ask.
            Unavailable: A part has been away for too long.
        """
        return (await self.answer(question)).text or ""

    async def answer(self, question: Question) -> wire.Reply:
        """Return the model's answer, and how sure it was where the question asks.

        Raises:
            EngineError: The request is refused; the row cannot be scored.
            NotFound: The service does not know the model.
            Denied: The key may not ask.
            Unavailable: A part has been away for too long.
        """
        return wire.read_reply(await self._ask(wire.generation(question), question.model))

    async def measure(self, question: Question) -> wire.Measured:
        """Return the log-probability of each token of the target.

        Raises:
            EngineError: The request is refused; the loss cannot be measured.
            NotFound: The service does not know the model.
            Denied: The key may not ask.
            Unavailable: A part has been away for too long.
        """
        return wire.read_measured(
            await self._ask(wire.measurement(question), question.model), question
        )

    async def _ask(self, call: wire.Call, model: str) -> bytes:
        began, pause, attempts = self._clock(), self._patience.first_pause_seconds, 0
        while True:
            try:
                content = await self._attempt(call, model)
            except _Retry as again:
                attempts += 1
                self._count("retried")
                spent = self._clock() - began >= again.seconds
                if spent or (again.attempts is not None and attempts >= again.attempts):
                    raise again.final from again
                await self._sleep(pause)
                pause = min(2 * pause, self._patience.longest_pause_seconds)
            except EngineError:
                self._count("refused")
                raise
            else:
                self._count("answered")
                return content

    async def _attempt(self, call: wire.Call, model: str) -> bytes:
        """Return the body of a success.

        Raises:
            _Retry: It may be tried again.
            EngineError: The request is at fault.
            Denied: The key may not ask.
        """
        headers = {"Authorization": f"Bearer {self._key()}"}
        deadline = aiohttp.ClientTimeout(total=self._patience.deadline_seconds)
        try:
            async with (
                self._slots,
                self._session.post(
                    self._url + call.path, json=call.body, headers=headers, timeout=deadline
                ) as response,
            ):
                content, status = await response.read(), response.status
        except TimeoutError as exc:
            seconds = self._patience.deadline_seconds
            slow = EngineError(_TIMED_OUT, f"There was no answer within {seconds:g} s.")
            raise self._few_times(slow) from exc
        except aiohttp.ClientError as exc:
            raise self._outage(f"The service cannot be reached: {exc}") from exc
        if status == _OK:
            return content
        raise self._fault(status, wire.read_problem(content), model)

    def _fault(self, status: int, message: str, model: str) -> Exception:
        if status in _BUSY:
            return self._outage(f"The service answers {status}: {message}")
        if status == _MISSING:
            return _Retry(
                NotFound("model", model), seconds=self._patience.missing_seconds, attempts=None
            )
        if status == _UNAUTHENTICATED:
            return self._outage(f"The service does not take the evals key: {message}")
        if status == _FORBIDDEN:
            return Denied(f"The evals key may not ask: {message}")
        if status >= _SERVER_FAULT:
            return self._few_times(EngineError(status, message))
        return EngineError(status, message)

    def _outage(self, message: str) -> _Retry:
        final = Unavailable("service", message)
        return _Retry(final, seconds=self._patience.outage_seconds, attempts=None)

    def _few_times(self, final: EngineError) -> _Retry:
        return _Retry(
            final, seconds=self._patience.outage_seconds, attempts=self._patience.attempts
        )

    def _key(self) -> str:
        """Return the key, read anew each time: the service may make it after we start."""
        try:
            return self._key_file.read_text(encoding="utf-8").strip()
        except OSError as exc:
            message = f"The evals key cannot be read yet: {self._key_file.name} ({exc.strerror})."
            raise self._outage(message) from exc
