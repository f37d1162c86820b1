"""The wire to the vLLM server: the only place that knows its paths, bodies and statuses.

It refuses to know which adapters are wanted and who asks. Nothing is sent twice: only a connection
that could not be opened is reported as such, and the caller decides.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout

from registry.errors import EngineError, Interrupted, Unavailable, Unreachable

CONNECT_SECONDS = 2.0
"""Longest time to open a connection."""
CONTROL_SECONDS = 120.0
"""Longest time of an administrative call: a large adapter read from disk by a busy engine."""
HEALTH_SECONDS = 10.0
"""Longest time of a look at the engine's health and its models: busy is not dead."""
KEEPALIVE_SECONDS = 3.0
"""Shorter than vLLM's own 5 seconds, so that we never write on a connection it is closing."""
MAX_CONNECTIONS = 2048
"""Requests in flight at a time; more wait for one to end."""


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


class Upstream:
    """The engine's answer to one inference request, as far as it has come."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.content_type = response.headers.get("content-type", "application/json")

    @property
    def is_stream(self) -> bool:
        """Whether the answer comes as server-sent events."""
        return self.content_type.startswith("text/event-stream")

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            Unavailable: The engine died, or took longer than the deadline.
        """
        with _translated():
            return await self._response.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            Unavailable: The engine died, or took longer than the deadline.
        """
        with _translated():
            async for chunk in self._response.content.iter_any():
                yield chunk


class Engine:
    """One vLLM server. `open` before the first call, `close` after the last."""

    def __init__(self, base_url: str, key: str | None, *, deadline_seconds: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._deadline = ClientTimeout(total=deadline_seconds, sock_connect=CONNECT_SECONDS)
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Make the pool of connections."""
        self._session = ClientSession(
            connector=aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**self._headers, "Accept-Encoding": "identity"},
            timeout=self._deadline,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def is_healthy(self) -> bool:
        """Return whether the server answers and its engine is alive."""
        try:
            async with self._call("GET", "/health", seconds=HEALTH_SECONDS) as response:
                return response.status == _OK
        except Unavailable:
            return False

    async def loaded(self) -> dict[str, str]:
        """Return the adapters the engine knows: the path of each, by name.

        Raises:
            Unavailable: The engine does not answer.
            EngineError: It answered with an error.
        """
        async with self._call("GET", "/v1/models", seconds=HEALTH_SECONDS) as response:
            cards = _decoded(await _accepted(response), _Cards).data
        return {card.id: card.root or "" for card in cards if card.parent is not None}

    async def load(self, name: str, path: str) -> None:
        """Load an adapter; one that is loaded from the same path already is a success.

        Raises:
            Unavailable: The engine does not answer.
            EngineError: It refused: 400 (the name), 404 (no adapter there), 500 (anything else).
        """
        body = {"lora_name": name, "lora_path": path}
        try:
            await self._administer("/v1/load_lora_adapter", body)
        except EngineError as exc:
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

    @asynccontextmanager
    async def generate(self, path: str, body: bytes, request_id: str) -> AsyncIterator[Upstream]:
        """Send one inference request; leaving the block early makes the engine abort it.

        Args:
            path: `/v1/chat/completions` or `/v1/completions`.
            body: The request's JSON.
            request_id: The engine names its answer after it.

        Raises:
            Unavailable: The engine does not answer.
        """
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
        content = BytesIO(body)  # sent in pieces: a large one does not hold up the event loop
        with _translated():
            response = await self._open_session.post(
                self._base_url + path, data=content, headers=headers, allow_redirects=False
            )
        async with response:
            yield Upstream(response)

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
        deadline = ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
        with _translated():
            async with self._open_session.request(
                method, self._base_url + path, json=json, timeout=deadline, allow_redirects=False
            ) as response:
                yield response


_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404
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
