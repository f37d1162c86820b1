"""The wire to the vLLM server: the only place that knows its paths, bodies and statuses.

It refuses to know which adapters are wanted and who asks. Nothing is sent twice: only a connection
that could not be opened is reported as such, and the caller decides.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout

from registry.errors import EngineError, Interrupted, StoreAway, Unavailable, Unreachable
from service.upstream.lateness import again_if_late
from service.upstream.pool import CONNECT_SECONDS, KEEPALIVE_SECONDS, ConnectionPool, PendingPost

CONTROL_SECONDS = 120.0
"""Longest time of an administrative call: a large adapter read from disk by a busy engine."""
HEALTH_SECONDS = 10.0
"""Longest time of a look at the engine's health and its models: busy is not dead."""


class _Card(msgspec.Struct):
    id: str
    root: str | None = None
    parent: str | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


class _Problem(msgspec.Struct):
    message: str


class _ProblemBody(msgspec.Struct):
    error: _Problem


class _Logprob(msgspec.Struct):
    logprob: float


class _ProbeChoice(msgspec.Struct):
    prompt_logprobs: list[dict[str, _Logprob] | None]


class _ProbeAnswer(msgspec.Struct):
    choices: list[_ProbeChoice]


class Engine:
    """One vLLM server. `open` before the first call, `close` after the last."""

    def __init__(
        self,
        base_url: str,
        key: str | None,
        *,
        deadline_seconds: float,
        health_seconds: float = HEALTH_SECONDS,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._authorization = f"Bearer {key}" if key else None
        self._deadline_seconds = deadline_seconds
        self._health_seconds = health_seconds
        self._pool = ConnectionPool(self._base_url, authorization=self._authorization)
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Make ready for administrative calls."""
        key = {"Authorization": self._authorization} if self._authorization else {}
        self._session = ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**key, "Accept-Encoding": "identity"},
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def is_healthy(self) -> bool:
        """Return whether the server answers and its engine is alive."""
        try:
            return await again_if_late(self._looks_healthy, self._health_seconds, Unavailable)
        except Unavailable:
            return False

    async def _looks_healthy(self) -> bool:
        async with self._call("GET", "/health", seconds=self._health_seconds) as response:
            return response.status == _OK

    async def loaded(self) -> dict[str, str]:
        """Return the adapters the engine knows: the path of each, by name.

        Raises:
            Unavailable: The engine does not answer.
            EngineError: It answered with an error.
        """
        async with self._call("GET", "/v1/models", seconds=self._health_seconds) as response:
            cards = _decoded(await _accepted(response), _Cards).data
        return {card.id: card.root or "" for card in cards if card.parent is not None}

    async def load(self, name: str, path: str) -> None:
        """Load an adapter; one that is loaded from the same path already is a success.

        Raises:
            Unavailable: The engine does not answer.
            StoreAway: Its host has no such files yet, and the artifact store does not answer it.
            EngineError: It refused: 400 (the name), 404 (no adapter there), 500 (anything else).
        """
        body = {"lora_name": name, "lora_path": path}
        try:
            await self._administer("/v1/load_lora_adapter", body)
        except EngineError as exc:
            if exc.status == _UNAVAILABLE:  # the plugin `remote_files` answers so, vLLM never
                raise StoreAway("artifact_store", exc.message) from exc
            if exc.status != _BAD_REQUEST or (await self.loaded()).get(name) != path:
                raise

    async def unload(self, name: str) -> None:
        """Make the engine forget an adapter; one it does not know is a success.

        Raises:
            Unavailable: The engine does not answer.
            EngineError: It refused.
        """
        try:
            await self._administer("/v1/unload_lora_adapter", {"lora_name": name})
        except EngineError as exc:
            if exc.status != _NOT_FOUND:
                raise

    async def prompt_logprobs(self, model: str, token_ids: list[int]) -> list[float]:
        """Return the log-probability, in nats, of every token after the first.

        Shape: `len(token_ids) - 1`; item `i` belongs to token `i + 1` given those before it.

        Raises:
            Unavailable: The engine does not answer.
            EngineError: It refused, or its answer has another shape.
        """
        body = {
            "model": model,
            "prompt": token_ids,
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 0,
        }
        async with self._call(
            "POST", "/v1/completions", seconds=CONTROL_SECONDS, json=body
        ) as response:
            answer = _decoded(await _accepted(response), _ProbeAnswer)
        rows = answer.choices[0].prompt_logprobs if answer.choices else []
        found = [
            row[str(token)].logprob
            for token, row in zip(token_ids, rows, strict=False)
            if row is not None and str(token) in row
        ]
        if len(found) != len(token_ids) - 1:
            raise EngineError(_OK, f"{len(found)} log-probabilities for {len(token_ids)} tokens")
        return found

    def generate(self, path: str, body: bytes, request_id: str) -> PendingPost:
        """Return one inference request, sent when its block is entered.

        Args:
            path: `/v1/chat/completions` or `/v1/completions`.
            body: The request's JSON.
            request_id: The engine names its answer after it.

        Entering raises:
            Unreachable: The engine could not be reached.
            Interrupted: It died before it answered.
            Unavailable: It took longer than the deadline.
        """
        deadline_seconds = self._deadline_seconds
        return self._pool.post(path, body, request_id=request_id, deadline_seconds=deadline_seconds)

    @property
    def _open_session(self) -> ClientSession:
        if self._session is None:
            raise Unavailable("engine", "The service is stopping; try again.")
        return self._session

    async def _administer(self, path: str, body: Mapping[str, str]) -> None:
        async with self._call("POST", path, seconds=CONTROL_SECONDS, json=body) as response:
            await _accepted(response)

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, *, seconds: float, json: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ClientResponse]:
        session, connect_seconds = self._open_session, min(seconds, CONNECT_SECONDS)
        deadline = ClientTimeout(total=seconds, sock_connect=connect_seconds)

        async def ask() -> ClientResponse:
            return await session.request(
                method, self._base_url + path, json=json, timeout=deadline, allow_redirects=False
            )

        with _translated():
            # Nothing was sent yet when that deadline comes.
            late = aiohttp.ConnectionTimeoutError
            async with await again_if_late(ask, connect_seconds, late) as response:
                yield response


_OK, _BAD_REQUEST, _NOT_FOUND, _UNAVAILABLE = 200, 400, 404, 503
_Kind = TypeVar("_Kind")


async def _accepted(response: ClientResponse) -> bytes:
    body = await response.read()
    if response.status != _OK:
        raise EngineError(response.status, _words_of(body))
    return body


def _words_of(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_ProblemBody).error.message
    except msgspec.MsgspecError:
        return body[:500].decode(errors="replace")


def _decoded(body: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as exc:
        raise EngineError(_OK, f"an answer of another shape: {exc}") from exc


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
        message = "The engine (vLLM) cannot be reached; it may be starting. Try again."
        raise Unreachable("engine", message) from exc
    except TimeoutError as exc:
        message = "The engine did not answer in time; try again."
        raise Unavailable("engine", message) from exc
    except (aiohttp.ClientError, ConnectionError) as exc:
        message = "The engine (vLLM) stopped while answering. Try again."
        raise Interrupted("engine", message) from exc
