"""A stand-in for the service's inference endpoints, on a real local port.

It refuses to know models: a function says what each of them answers.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "sk-graftline-test"

Speak = Callable[[str, str], str]
"""Model and prompt text to an answer."""


def silence(_model: str, _prompt: str) -> str:
    """Answer nothing."""
    return ""


@dataclass
class FakeService:
    """What the fake does, and what it was asked."""

    speak: Speak = silence
    """What a model answers to a prompt."""
    converse: Callable[[str, list[dict[str, Any]]], str] | None = None
    """What a model answers to a whole conversation; `speak` by default."""
    sureness: float = -0.5
    """Log-probability of an answer, where it is asked for."""
    loss: dict[str, float] = field(default_factory=dict)
    """Nats a token by model; 1 where not given."""
    down: bool = False
    """Whether it answers 503 to everything."""
    statuses: list[int] = field(default_factory=list)
    """Statuses to answer with before anything else, one for each request."""
    refuse: str | None = None
    """A text; a request whose body holds it is answered 400."""
    unknown: set[str] = field(default_factory=set)
    """Models that are answered 404."""
    engine: str | None = "fake-engine-1"
    """How the engine names itself and its configuration."""
    seconds: float = 0.0
    """Time that an answer takes."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each body was answered, by its canonical text."""
    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and body of each request that was answered."""
    in_flight: int = 0
    """Requests being answered now."""
    most_in_flight: int = 0
    """The most there were at a time."""

    def application(self) -> web.Application:
        """Return the fake as an application."""
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self._handle)
        application.router.add_post("/v1/completions", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.seconds)
            return self._answer(request.path, await request.text(), request.headers)
        finally:
            self.in_flight -= 1

    def _answer(self, path: str, text: str, headers: Any) -> web.Response:
        body = json.loads(text)
        if headers.get("Authorization") != f"Bearer {KEY}":
            return _problem(401, "Incorrect API key provided.")
        if self.down:
            return _problem(503, "The engine is restarting.")
        if self.statuses:
            return _problem(self.statuses.pop(0), "As told.")
        if body["model"] in self.unknown:
            return _problem(404, f"The model '{body['model']}' does not exist.")
        if self.refuse is not None and self.refuse in text:
            return _problem(400, "This row is refused.")
        self.asked[json.dumps([path, body], sort_keys=True)] += 1
        self.bodies.append((path, body))
        choices = [self._choice(path, body)]
        return web.json_response({"id": "x", "choices": choices, "system_fingerprint": self.engine})

    def _choice(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        model = body["model"]
        if path.endswith("chat/completions"):
            messages = body["messages"]
            said = (
                self.speak(model, messages[-1]["content"])
                if self.converse is None
                else self.converse(model, messages)
            )
            choice = {"index": 0, "message": {"role": "assistant", "content": said}}
            sure = {"content": [{"token": said, "logprob": self.sureness}]}
            return choice | ({"logprobs": sure} if body.get("logprobs") else {})
        if "prompt_logprobs" not in body:
            choice = {"index": 0, "text": self.speak(model, body["prompt"])}
            listed = {"token_logprobs": [self.sureness]}
            return choice | ({"logprobs": listed} if body.get("logprobs") else {})
        value = -self.loss.get(model, 1.0)
        tokens = body["prompt"][1:]
        logprobs = [None, *({str(token): {"logprob": value, "rank": 1}} for token in tokens)]
        return {"index": 0, "text": "", "prompt_logprobs": logprobs}


@asynccontextmanager
async def serving(service: FakeService, port: int = 0) -> AsyncIterator[str]:
    """Serve the fake and yield its URL."""
    server = TestServer(service.application(), host="127.0.0.1", port=port or None)
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


def _problem(status: int, message: str) -> web.Response:
    error = {"message": message, "type": "test", "param": None, "code": None}
    return web.json_response({"error": error}, status=status)
