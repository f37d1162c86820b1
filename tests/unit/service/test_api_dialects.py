"""The unmodified `openai` and `anthropic` clients, and paths that must lead nowhere."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from registry.errors import NotFound
from service.dialects.shapes import VERSION_HEADER
from service.dialects.table import DIALECTS_BY_PATH
from tests.fakes.vllm import ANSWER
from tests.serving import BASE, PROJECT, Serving, serving

NAME = "ft:tiny-base:default:test:00000001"
TEXT = "".join(ANSWER)
TOOL: Any = {"name": "add", "description": "Add.", "input_schema": {"type": "object"}}
HI: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine."""
    async with serving(tmp_path) as running:
        yield running


@asynccontextmanager
async def openai_client(stack: Serving) -> AsyncIterator[openai.AsyncOpenAI]:
    """Open OpenAI's client."""
    key = stack.settings.admin_key_file.read_text().strip()
    url = f"http://127.0.0.1:{stack.port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        yield client


@asynccontextmanager
async def anthropic_client(
    stack: Serving, key: str | None = None
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Open Anthropic's client."""
    key = key or stack.settings.admin_key_file.read_text().strip()
    url = f"http://127.0.0.1:{stack.port}"
    async with anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0) as client:
        yield client


async def kept(stack: Serving, interaction_id: str) -> Any:
    """Return the interaction of an answer, once it is written."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await stack.services.store.interactions.get(interaction_id, project=PROJECT)
            except NotFound:  # not written yet
                await asyncio.sleep(0.05)


async def test_openais_client_chats_and_completes(stack: Serving) -> None:
    """Plain and streamed, base and tuned."""
    await stack.serve(NAME)
    async with openai_client(stack) as client:
        chat = await client.chat.completions.create(model=BASE, messages=HI)
        tuned = await client.chat.completions.create(model=NAME, messages=HI, stream=True)
        words = [chunk.choices[0].delta.content or "" async for chunk in tuned]
        text = await client.completions.create(model=BASE, prompt="hi")
    assert chat.choices[0].message.content == text.choices[0].text == TEXT
    assert "".join(words) == f"{NAME}:{TEXT}"


async def test_openais_client_asks_for_responses(stack: Serving) -> None:
    """Plain and streamed; the id is one for feedback, and usage is intact."""
    async with openai_client(stack) as client:
        plain = await client.responses.create(model=BASE, input="hi")
        stream = await client.responses.create(model=BASE, input="hi", stream=True)
        events = [event async for event in stream]
    assert plain.output_text == TEXT
    assert plain.usage is not None
    assert plain.usage.output_tokens == len(ANSWER)
    assert events[-1].type == "response.completed"
    interaction = await kept(stack, plain.id)
    assert interaction.completion_tokens == len(ANSWER)
    assert (await kept(stack, events[-1].response.id)).finish_reason == "completed"


async def test_a_client_cannot_name_its_response(stack: Serving) -> None:
    """Two answers never share an id."""
    body = {"model": BASE, "input": "hi", "request_id": "resp_mine"}
    async with stack.client.post("/v1/responses", json=body) as response:
        answer = await response.json()
    assert answer["id"] == "resp_" + response.headers["x-request-id"]


@pytest.mark.parametrize("field", [{"background": True}, {"previous_response_id": "resp_1"}])
async def test_what_needs_kept_responses_is_refused(stack: Serving, field: Any) -> None:
    """State would live in one replica only."""
    async with openai_client(stack) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model=BASE, input="hi", **field)
    assert caught.value.param in field
    assert "not kept" in caught.value.message


async def test_anthropics_client_gets_messages(stack: Serving) -> None:
    """Plain, with its version in the headers, and streamed by the client's own helper."""
    await stack.serve(NAME)
    async with anthropic_client(stack) as client:
        raw = await client.messages.with_raw_response.create(model=NAME, messages=HI, max_tokens=50)
        plain = await raw.parse()
        async with client.messages.stream(model=BASE, messages=HI, max_tokens=50) as stream:
            words = [text async for text in stream.text_stream]
            final = await stream.get_final_message()
    assert plain.content[0].to_dict()["text"] == f"{NAME}:{TEXT}"
    assert raw.headers["x-graftline-model"] == NAME
    assert raw.headers["x-graftline-arm"] == "none"
    assert "".join(words) == TEXT
    assert final.usage.output_tokens == len(ANSWER)
    assert (await kept(stack, plain.id)).completion_tokens == len(ANSWER) + 2
    assert (await kept(stack, final.id)).finish_reason == "end_turn"


async def test_anthropics_client_uses_tools(stack: Serving) -> None:
    """The tool's input arrives, plain and streamed."""
    async with anthropic_client(stack) as client:
        plain = await client.messages.create(model=BASE, messages=HI, max_tokens=50, tools=[TOOL])
        async with client.messages.stream(
            model=BASE, messages=HI, max_tokens=50, tools=[TOOL]
        ) as stream:
            final = await stream.get_final_message()
    assert plain.stop_reason == final.stop_reason == "tool_use"
    assert final.content[0].to_dict()["input"] == {"a": 1}


async def test_anthropics_client_counts_tokens(stack: Serving) -> None:
    """No model answers, so nothing is kept as an interaction."""
    async with anthropic_client(stack) as client:
        counted = await client.messages.count_tokens(model=BASE, messages=HI)
    assert counted.input_tokens == 1


async def test_anthropics_client_lists_models(stack: Serving) -> None:
    """And finds one."""
    async with anthropic_client(stack) as client:
        assert BASE in [model.id async for model in client.models.list()]
        assert (await client.models.retrieve(BASE)).display_name == BASE


async def test_anthropics_client_reads_our_errors(stack: Serving) -> None:
    """401, 404 and 400, ours and the engine's, in its own shape."""
    async with anthropic_client(stack, "wrong") as client:
        with pytest.raises(anthropic.AuthenticationError) as denied:
            await client.messages.create(model=BASE, messages=HI, max_tokens=5)
    async with anthropic_client(stack) as client:
        with pytest.raises(anthropic.NotFoundError) as unknown:
            await client.messages.create(model="nothing", messages=HI, max_tokens=5)
    body = {"model": BASE, "messages": HI}
    async with stack.client.post("/v1/messages", json=body) as response:
        engines = await response.json()
    for error in (denied.value, unknown.value):
        assert isinstance(error.body, dict)
        assert error.body["type"] == "error"
    assert response.status == 400
    assert engines["error"]["type"] == "invalid_request_error"
    assert engines["request_id"] == response.headers["x-request-id"]


async def test_a_broken_message_stream_ends_with_anthropics_error(stack: Serving) -> None:
    """The client raises instead of taking half an answer for a whole one."""
    stack.vllm.faults.gate = asyncio.Event()
    async with anthropic_client(stack) as client:
        stream = await client.messages.create(model=BASE, messages=HI, max_tokens=5, stream=True)
        await anext(aiter(stream))
        await stack.vllm.stop()
        with pytest.raises(anthropic.APIStatusError):
            async for _ in stream:
                pass


async def test_the_user_in_anthropics_metadata_is_the_unit(stack: Serving) -> None:
    """It meets one arm every time."""
    await stack.serve(NAME)
    await stack.deploy("support", BASE, NAME, 0.5)
    body = {"model": "support", "messages": HI, "max_tokens": 5, "metadata": {"user_id": "u1"}}
    arms = set()
    for _ in range(8):
        async with stack.client.post("/v1/messages", json=body) as response:
            arms.add(response.headers["x-graftline-arm"])
    assert len(arms) == 1


async def test_text_becomes_tokens_and_text_again(stack: Serving) -> None:
    """Both doors lead to the version that was asked for."""
    async with stack.client.post("/tokenize", json={"model": BASE, "prompt": "hi"}) as response:
        tokens = (await response.json())["tokens"]
    body = {"model": BASE, "tokens": tokens}
    async with stack.client.post("/detokenize", json=body) as response:
        assert len((await response.json())["prompt"]) == len(tokens)
    assert response.headers["x-graftline-model"] == BASE


ADMINISTRATION = (
    *("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/sleep", "/wake_up", "/is_sleeping"),
    *("/reset_prefix_cache", "/collective_rpc", "/server_info", "/docs", "/openapi.json"),
    *("/load", "/version", "/ping", "/invocations", "/scale_elastic_ep", "/pause", "/resume"),
    *("/adapters", "/adapters/x", "/tokenizer_info", "/start_profile", "/abort_requests"),
    *("/v1/chat/completions/batch", "/update_weights", "/kv_event_sources", "/v1/systemone"),
)


def tricks() -> Iterator[str]:
    """Yield ways to write a path so that it might lead to the engine's administration."""
    for path in ADMINISTRATION:
        yield from (path, "/" + path, path + "/", path.replace("/", "%2f"))
        yield f"/v1/chat/completions/..{path}"
        yield f"/v1/chat/completions/..%2f..%2f..{path}"
        yield f"/v1/messages/%2e%2e/%2e%2e{path}"
        yield f"/v1/models/..%2f..{path}"
        yield f"http://127.0.0.1:1{path}"
        yield f"/v1/completions?x={path}"
        yield f"/v1/completions;{path}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_no_path_leads_to_the_engines_administration(stack: Serving, method: str) -> None:
    """However it is written, the engine sees no request but those that we know."""
    key = stack.settings.admin_key_file.read_text().strip()
    body = json.dumps({"model": BASE, "prompt": "x", "lora_name": "x", "lora_path": "/"})
    for target in tricks():
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write((head + "Connection: close\r\n\r\n" + body).encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), (target, answer[:100])
    ours = {"/health", "/v1/models", *DIALECTS_BY_PATH}
    assert set(stack.vllm.paths) <= ours
    assert stack.vllm.loads == []


async def test_other_clients_list_models_in_openais_shape(stack: Serving) -> None:
    """Only the header of Anthropic's clients changes the shape."""
    async with stack.client.get("/v1/models") as response:
        assert (await response.json())["object"] == "list"
    async with stack.client.get("/v1/models", headers={VERSION_HEADER: "x"}) as response:
        assert (await response.json())["data"][0]["type"] == "model"
