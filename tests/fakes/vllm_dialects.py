"""The fake vLLM's other endpoints: responses, Anthropic's messages, and tokens.

It refuses to know adapters and faults; the fake that it is handed does.
"""

import json
from collections.abc import Iterator
from typing import Protocol

from aiohttp import web

from tests.fakes.vllm_bodies import Json, read_body


class Fake(Protocol):
    """What these endpoints need from the server."""

    async def inquiry(self, request: web.Request) -> Json | web.Response:
        """Return a request's body, or the answer to an unknown model."""

    async def gated(self, body: Json) -> None:
        """Wait at the gate, if there is one for the model."""

    def pieces(self, body: Json) -> list[str]:
        """Return the words of the answer."""


def add_routes(app: web.Application, fake: Fake) -> None:
    """Add the endpoints to the server."""
    endpoints = _Endpoints(fake)
    app.router.add_post("/v1/messages", endpoints.messages)
    app.router.add_post("/v1/messages/count_tokens", endpoints.count_tokens)
    app.router.add_post("/v1/responses", endpoints.responses)
    app.router.add_post("/tokenize", endpoints.tokenize)
    app.router.add_post("/detokenize", endpoints.detokenize)


class _Endpoints:
    def __init__(self, fake: Fake) -> None:
        self._fake = fake

    async def messages(self, request: web.Request) -> web.StreamResponse:
        body = await self._read(request, "messages", "max_tokens")
        if isinstance(body, web.Response):
            return _in_anthropics_shape(body)
        pieces = self._fake.pieces(body)
        usage = {"input_tokens": _prompt_size(body), "output_tokens": len(pieces)}
        message = {
            "id": "chatcmpl-" + request.headers.get("X-Request-Id", "made-up"),
            "type": "message",
            "role": "assistant",
            "content": _blocks(body, "".join(pieces)),
            "model": body["model"],
            "stop_reason": "tool_use" if body.get("tools") else "end_turn",
            "usage": usage,
        }
        if body.get("stream"):
            return await self._stream(request, _message_events(message, pieces), body)
        await self._fake.gated(body)
        return web.json_response(message)

    async def count_tokens(self, request: web.Request) -> web.Response:
        body = await self._read(request, "messages")
        if isinstance(body, web.Response):
            return _in_anthropics_shape(body)
        count = _prompt_size(body)
        return web.json_response(
            {"input_tokens": count, "context_management": {"original_input_tokens": count}}
        )

    async def responses(self, request: web.Request) -> web.StreamResponse:
        body = await self._read(request, "input")
        if isinstance(body, web.Response):
            return body
        pieces = self._fake.pieces(body)
        response = _response(body, pieces)
        if body.get("stream"):
            return await self._stream(request, _response_events(response, pieces), body)
        await self._fake.gated(body)
        return web.json_response(response)

    async def tokenize(self, request: web.Request) -> web.Response:
        given = await read_body(request)
        if isinstance(given, web.Response):
            return given
        body = await self._read(request, "messages" if "messages" in given else "prompt")
        if isinstance(body, web.Response):
            return body
        count = _prompt_size(body)
        tokens = {"count": count, "max_model_len": 2048, "tokens": list(range(5, 5 + count))}
        return web.json_response(tokens | {"token_strs": None})

    async def detokenize(self, request: web.Request) -> web.Response:
        body = await self._read(request, "tokens")
        if isinstance(body, web.Response):
            return body
        return web.json_response({"prompt": "x" * len(body["tokens"])})

    async def _read(self, request: web.Request, *required: str) -> Json | web.Response:
        body = await read_body(request, *required)
        return body if isinstance(body, web.Response) else await self._fake.inquiry(request)

    async def _stream(
        self, request: web.Request, events: Iterator[Json], body: Json
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for number, event in enumerate(events):
            data = json.dumps(event, separators=(",", ":"))
            await response.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
            if number == 0:
                await self._fake.gated(body)
        return response


def _message_events(message: Json, pieces: list[str]) -> Iterator[Json]:
    usage = message["usage"]
    head: Json = {"content": [], "stop_reason": None, "stop_sequence": None}
    begun = message | head | {"usage": usage | {"output_tokens": 0}}
    yield {"type": "message_start", "message": begun}
    block = message["content"][0]
    kind = "input_json_delta" if block["type"] == "tool_use" else "text_delta"
    empty: Json = {"input": {}} if block["type"] == "tool_use" else {"text": ""}
    yield {"type": "content_block_start", "content_block": block | empty, "index": 0}
    if block["type"] == "tool_use":
        delta = {"type": kind, "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_delta", "delta": delta, "index": 0}
    else:
        for piece in pieces:
            delta = {"type": kind, "text": piece}
            yield {"type": "content_block_delta", "delta": delta, "index": 0}
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": usage}
    yield {"type": "message_stop"}


def _blocks(body: Json, text: str) -> list[Json]:
    if not body.get("tools"):
        return [{"type": "text", "text": text}]
    name = body["tools"][0]["name"]
    return [{"type": "tool_use", "id": "chatcmpl-tool-1", "name": name, "input": {"a": 1}}]


def _response(body: Json, pieces: list[str]) -> Json:
    text: Json = {
        "annotations": [],
        "text": "".join(pieces),
        "type": "output_text",
        "logprobs": None,
    }
    item = {"id": "msg_1", "content": [text], "role": "assistant", "type": "message"}
    prompt = len(body["input"])
    return {
        "id": body.get("request_id", "resp_made-up"),
        "created_at": 1,
        "incomplete_details": None,
        "instructions": None,
        "metadata": body.get("metadata"),
        "model": body["model"],
        "object": "response",
        "output": [item | {"status": "completed"}],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "none",
        "tools": [],
        "top_p": 1.0,
        "status": "completed",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": len(pieces),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + len(pieces),
        },
    }


def _response_events(response: Json, pieces: list[str]) -> Iterator[Json]:
    begun = response | {"output": [], "status": "in_progress", "usage": None}
    item = response["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0, "logprobs": []}
    part = {"annotations": [], "text": "", "type": "output_text", "logprobs": []}
    added = item | {"content": [], "status": "in_progress"}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "item": added, "output_index": 0},
        place | {"type": "response.content_part.added", "part": part},
        *(place | {"type": "response.output_text.delta", "delta": piece} for piece in pieces),
        place | {"type": "response.output_text.done", "text": "".join(pieces)},
        {"type": "response.output_item.done", "item": item, "output_index": 0},
        {"type": "response.completed", "response": response},
    ]
    for number, event in enumerate(events):
        yield event | {"sequence_number": number}


def _prompt_size(body: Json) -> int:
    return max(1, len(body.get("messages") or body.get("prompt") or ""))


def _in_anthropics_shape(answer: web.Response) -> web.Response:
    """Return vLLM's own mixture: its types, except where it checks a body's fields."""
    error = json.loads(answer.text or "{}")["error"]
    if error["type"] == "Bad Request":
        return answer
    inner = {"type": error["type"], "message": error["message"]}
    return web.json_response({"type": "error", "error": inner}, status=answer.status)
