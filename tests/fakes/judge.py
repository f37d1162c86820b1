"""A stand-in for a judge's endpoint, on a real local port.

It refuses to judge by itself: a function says which of two answers it prefers.
"""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

JUDGE_KEY = "sk-judge-test"
_ANSWERS = re.compile(r"<answer_a>\n(.*)\n</answer_a>\n\n<answer_b>\n(.*)\n</answer_b>", re.DOTALL)

Prefer = Callable[[str, str], str]
"""Answers A and B to the judge's words."""


def first(_a: str, _b: str) -> str:
    """Prefer whatever comes first."""
    return "A"


def longer(a: str, b: str) -> str:
    """Prefer the longer answer."""
    return "The better one is A." if len(a) > len(b) else "B" if len(b) > len(a) else "tie"


@dataclass
class FakeJudge:
    """What the judge prefers, and what it was asked."""

    prefer: Prefer = first
    """Which answer it prefers."""
    statuses: list[int] = field(default_factory=list)
    """Statuses to answer with first, one for each question."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """What was asked and answered."""

    def application(self) -> web.Application:
        """Return the fake as an application."""
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {JUDGE_KEY}":
            return web.json_response({"error": {"message": "No such key."}}, status=401)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        body = json.loads(await request.text())
        self.bodies.append(body)
        found = _ANSWERS.search(body["messages"][-1]["content"])
        assert found is not None
        said = {"role": "assistant", "content": self.prefer(*found.groups())}
        usage = {"total_tokens": 10}
        return web.json_response({"choices": [{"index": 0, "message": said}], "usage": usage})


@asynccontextmanager
async def judging(judge: FakeJudge) -> AsyncIterator[str]:
    """Serve the judge and yield its address, with `/v1`."""
    server = TestServer(judge.application(), host="127.0.0.1")
    await server.start_server()
    try:
        yield str(server.make_url("/v1"))
    finally:
        await server.close()
