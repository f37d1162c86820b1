"""A vLLM server without a model: the paths, bodies and statuses that the service relies on.

It refuses to imitate anything else. It passes the contract tests that the real one passes.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes.vllm_bodies import read_body
from tests.fakes.vllm_dialects import add_routes

ANSWER = ["Your", " card", " is", " on", " its", " way", "."]
"""The pieces of every answer of the base model; an adapter's begin with its name."""
BASE_LOGPROB = -1.0
"""The base model's log-probability of every token."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Faults:
    """What goes wrong, until it is set back."""

    unhealthy: bool = False
    """`/health` answers 503, as when the engine's core died."""
    load_status: int | None = None
    """Every load is answered with this status."""
    die_after_events: int | None = None
    """A stream's connection is cut after so many events."""
    error_after_events: int | None = None
    """A stream reports an error after so many events, as vLLM does when a step fails."""
    die_at_once: bool = False
    """The connection of a chat is cut before anything is answered."""
    answer_status: int | None = None
    """Every answer of an adapter has this status."""
    endless_piece: str | None = None
    """A stream repeats this piece until its client leaves."""
    gate: asyncio.Event | None = None
    """Answers wait for it, after their first event if they are streamed; probes do not."""
    gated_model: str | None = None
    """The only model whose answers wait at the gate; every model's when none."""
    load_gate: asyncio.Event | None = None
    """Loads wait for it."""


@dataclass
class FakeVllm:
    """The server; `start` it before use and `stop` it after."""

    base: str = "tiny-base"
    adapters: dict[str, str] = field(default_factory=dict)
    """Path of each loaded adapter, by name."""
    effects: dict[str, float] = field(default_factory=dict)
    """What each adapter adds to a log-probability; 0.5 unless told."""
    faults: Faults = field(default_factory=Faults)
    loads: list[str] = field(default_factory=list)
    """Names of every load that was asked for."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of every inference request."""
    paths: list[str] = field(default_factory=list)
    """Path of every request, in order, those that do not exist included."""
    log: list[str] = field(default_factory=list)
    """What happened, in order."""
    sent_bytes: int = 0
    """Bytes of endless streams so far."""
    aborted: int = 0
    """Requests whose client left before the end."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a request waits at a gate."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    """Notified whenever something is aborted."""
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; again on the same port after a stop."""
        app = web.Application(client_max_size=64 * 1024 * 1024, middlewares=[self._note_path])
        add_routes(app, self)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/load_lora_adapter", self._load)
        app.router.add_post("/v1/unload_lora_adapter", self._unload)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def forget(self) -> None:
        """Forget every adapter, as a restarted server does."""
        self.adapters.clear()
        self.log.append("restart")

    @web.middleware
    async def _note_path(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.paths.append(request.path)
        return await handler(request)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(status=503 if self.faults.unhealthy else 200)

    async def _models(self, _request: web.Request) -> web.Response:
        cards = [_card(self.base, "/models/base", None)]
        cards += [_card(name, path, self.base) for name, path in self.adapters.items()]
        return web.json_response({"object": "list", "data": cards})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        self.loads.append(name)
        if self.faults.load_gate is not None:
            self.waiting.set()
            await self.faults.load_gate.wait()
        if self.faults.load_status is not None:
            return _problem(self.faults.load_status, "InternalServerError", "rank too high")
        if not name or not path:
            return _problem(400, "InvalidUserInput", "Both must be provided.")
        if name == self.base or name in self.adapters:
            return _problem(400, "InvalidUserInput", f"'{name}' has already been loaded.")
        if not (Path(path) / "adapter_config.json").exists():
            return _problem(404, "NotFoundError", f"No adapter found for '{path}'")
        self.adapters[name] = path
        self.log.append(f"load {name}")
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if name not in self.adapters:
            return _problem(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        del self.adapters[name]
        self.log.append(f"unload {name}")
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._checked(request, "messages")
        if isinstance(body, web.Response):
            return body
        return await self._answer(request, body, _Shape("chatcmpl-", "chat.completion", "message"))

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await self._checked(request, "prompt")
        if isinstance(body, web.Response):
            return body
        return await self._answer(request, body, _Shape("cmpl-", "text_completion", "text"))

    async def _checked(self, request: web.Request, field: str) -> dict[str, Any] | web.Response:
        refused = await read_body(request, field)
        return refused if isinstance(refused, web.Response) else await self.inquiry(request)

    async def inquiry(self, request: web.Request) -> dict[str, Any] | web.Response:
        """Return a request's body, or the answer to an unknown model."""
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        if body.get("stream_options") and not body.get("stream"):
            return _problem(400, "BadRequestError", "Stream options need stream=True")
        model = body["model"]
        if model != self.base and model not in self.adapters:
            message = f"The model `{model}` does not exist."
            return _problem(404, "NotFoundError", message, "model")
        if self.faults.answer_status is not None and model != self.base:
            return _problem(self.faults.answer_status, "InternalServerError", "a step failed")
        self.log.append(f"answer {model}")
        return body

    async def _answer(
        self, request: web.Request, body: dict[str, Any], shape: "_Shape"
    ) -> web.StreamResponse:
        answer_id = shape.prefix + request.headers.get("X-Request-Id", "made-up")
        pieces = self.pieces(body)
        usage = _usage(body, len(pieces))
        head = {"id": answer_id, "created": 1, "model": body["model"]}
        if self.faults.die_at_once and request.transport is not None:
            request.transport.abort()
        try:
            if body.get("stream"):
                return await self._stream(request, body, shape, head, pieces, usage)
            if "prompt_logprobs" not in body:
                await self.gated(body)
        except (asyncio.CancelledError, ConnectionResetError):
            self.aborted += 1
            async with self.changed:
                self.changed.notify_all()
            raise
        choice = shape.whole("".join(pieces)) | {"finish_reason": "stop"}
        if "prompt_logprobs" in body:
            choice["prompt_logprobs"] = self._prompt_logprobs(body)
        return web.json_response(head | {"object": shape.kind, "choices": [choice], "usage": usage})

    async def _stream(
        self,
        request: web.Request,
        body: dict[str, Any],
        shape: "_Shape",
        head: dict[str, Any],
        pieces: list[str],
        usage: dict[str, int],
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        head = head | {"object": shape.chunk_kind}
        for index, piece in enumerate(pieces):
            if index == self.faults.die_after_events and request.transport is not None:
                request.transport.abort()
                return response
            if index == self.faults.error_after_events:
                error = {"message": "a step failed", "type": "InternalServerError", "code": 500}
                await response.write(_event({"error": error}) + b"data: [DONE]\n\n")
                return response
            choice = shape.piece(piece) | {"finish_reason": None}
            await response.write(_event(head | {"choices": [choice]}))
            if index == 0:
                await self.gated(body)
        while self.faults.endless_piece is not None:
            choice = shape.piece(self.faults.endless_piece) | {"finish_reason": None}
            event = _event(head | {"choices": [choice]})
            await response.write(event)
            self.sent_bytes += len(event)
        last = shape.piece("") | {"finish_reason": "stop"}
        await response.write(_event(head | {"choices": [last]}))
        if (body.get("stream_options") or {}).get("include_usage"):
            await response.write(_event(head | {"choices": [], "usage": usage}))
        await response.write(b"data: [DONE]\n\n")
        return response

    async def gated(self, body: dict[str, Any]) -> None:
        """Wait at the gate, if there is one for the model."""
        if self.faults.gate is not None and self.faults.gated_model in {None, body["model"]}:
            self.waiting.set()
            await self.faults.gate.wait()

    def pieces(self, body: dict[str, Any]) -> list[str]:
        """Return the words of the answer."""
        pieces = ANSWER if body["model"] == self.base else [body["model"], ":", *ANSWER]
        return pieces[: body.get("max_tokens") or len(pieces)]

    def _prompt_logprobs(self, body: dict[str, Any]) -> list[dict[str, Any] | None]:
        shift = 0.0 if body["model"] == self.base else self.effects.get(body["model"], 0.5)
        rows: list[dict[str, Any] | None] = [
            {str(token): {"logprob": BASE_LOGPROB + shift, "rank": 1, "decoded_token": "x"}}
            for token in body["prompt"]
        ]
        return [None, *rows[1:]]


@dataclass(frozen=True)
class _Shape:
    prefix: str
    kind: str
    place: str

    @property
    def chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.place == "message" else self.kind

    def whole(self, text: str) -> dict[str, Any]:
        if self.place == "text":
            return {"index": 0, "text": text}
        return {"index": 0, "message": {"role": "assistant", "content": text}}

    def piece(self, text: str) -> dict[str, Any]:
        if self.place == "text":
            return {"index": 0, "text": text}
        return {"index": 0, "delta": {"content": text}}


def _card(name: str, root: str, parent: str | None) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "root": root, "parent": parent}


def _usage(body: dict[str, Any], completion: int) -> dict[str, int]:
    prompt = len(body.get("messages") or body.get("prompt") or "")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _event(payload: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def _problem(status: int, kind: str, message: str, param: str | None = None) -> web.Response:
    error = {"message": message, "type": kind, "param": param, "code": status}
    return web.json_response({"error": error}, status=status)
