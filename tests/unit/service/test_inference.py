"""A request through the whole service: routed, relayed, counted, or failing clearly."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from registry.records import Arm
from tests.fakes.vllm import ANSWER
from tests.serving import BASE, CHAT, COMPLETIONS, Serving, serving

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"
TEXT = "".join(ANSWER)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine."""
    async with serving(tmp_path) as running:
        yield running


async def streamed(stack: Serving, model: str, **fields: object) -> bytes:
    """Return a streamed answer, byte for byte."""
    body = {"model": model, "messages": [], "stream": True, **fields}
    async with stack.client.post(CHAT, json=body) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        return await response.read()


async def direct(stack: Serving, request_id: str, model: str, **fields: object) -> bytes:
    """Return what the engine itself streams for the same request."""
    body = {"model": model, "messages": [], "stream": True, **fields}
    async with aiohttp.request(
        "POST", stack.vllm.url + CHAT, json=body, headers={"X-Request-Id": request_id}
    ) as response:
        return await response.read()


async def test_a_chat_is_answered_by_the_base_model(stack: Serving) -> None:
    """The base model's name reaches the base model."""
    response = await stack.chat(BASE)
    answer = await response.json()
    assert response.status == 200
    assert answer["choices"][0]["message"]["content"] == TEXT
    assert response.headers["x-graftline-model"] == BASE
    assert response.headers["x-graftline-arm"] == "none"


async def test_an_answer_is_named_after_the_request(stack: Serving) -> None:
    """The answer's id is `chatcmpl-` and the id in `x-request-id`."""
    response = await stack.chat(BASE)
    assert (await response.json())["id"] == "chatcmpl-" + response.headers["x-request-id"]
    assert len(response.headers["x-request-id"]) == 32


async def test_a_completion_is_answered(stack: Serving) -> None:
    """The older endpoint works too, and names its answers `cmpl-`."""
    async with stack.client.post(COMPLETIONS, json={"model": BASE, "prompt": "x"}) as response:
        answer = await response.json()
    assert answer["choices"][0]["text"] == TEXT
    assert answer["id"].startswith("cmpl-")


async def test_a_deployment_is_answered_by_its_stable_version(stack: Serving) -> None:
    """A deployment's name reaches the version it points at."""
    await stack.serve()
    await stack.deploy("support", NAME)
    response = await stack.chat("support")
    assert (await response.json())["model"] == NAME
    assert response.headers["x-graftline-deployment"] == "support"
    assert response.headers["x-graftline-arm"] == "stable"


async def test_a_unit_meets_the_same_arm_every_time(stack: Serving) -> None:
    """However often a unit asks, by body or by header, it meets one arm."""
    await stack.serve()
    await stack.deploy("support", BASE, NAME, 0.5)
    by_body = {(await stack.chat("support", user="u1")).headers["x-graftline-arm"] for _ in "12345"}
    headers = {"x-graftline-unit": "u1"}
    body = {"model": "support", "messages": []}
    async with stack.client.post(CHAT, json=body, headers=headers) as response:
        by_header = {response.headers["x-graftline-arm"]}
    assert len(by_body) == 1
    assert by_header == by_body


async def test_a_deployment_says_what_its_unit_is(stack: Serving) -> None:
    """All requests of a conversation meet one arm, whoever asks; the units divide."""
    await stack.serve()
    await stack.deploy("support", BASE, NAME, 0.5, unit_from=["metadata.conversation"])
    met: dict[str, set[str]] = {str(number): set() for number in range(12)}
    for conversation, arms in met.items():
        for user in "ab":
            response = await stack.chat(
                "support", user=user, metadata={"conversation": conversation}
            )
            arms.add(response.headers["x-graftline-arm"])
    assert {len(arms) for arms in met.values()} == {1}
    assert {arm for arms in met.values() for arm in arms} == {"stable", "candidate"}


async def test_a_unit_that_is_none_is_400_and_names_the_field(stack: Serving) -> None:
    """An object is nobody."""
    response = await stack.chat(BASE, user={"id": 7})
    assert response.status == 400
    assert (await response.json())["error"]["param"] == "user"


async def test_every_other_field_reaches_the_engine_as_it_came(stack: Serving) -> None:
    """Numbers, unknown fields and their spelling are the engine's business."""
    raw = b'{"messages":[],"temperature":0.10,"model":"tiny-base","x_unknown":{"a":[1,2.50]}}'
    async with stack.client.post(CHAT, data=raw) as response:
        assert response.status == 200
    assert stack.vllm.bodies[-1] == json.loads(raw)


async def test_a_stream_with_usage_is_relayed_byte_for_byte(stack: Serving) -> None:
    """A client that asks for the usage gets exactly the engine's bytes."""
    options = {"include_usage": True}
    got = await streamed(stack, BASE, stream_options=options)
    request_id = json.loads(got.split(b"\n\n")[0].removeprefix(b"data: "))["id"].split("-")[1]
    assert got == await direct(stack, request_id, BASE, stream_options=options)
    assert b'"usage"' in got


async def test_the_usage_we_asked_for_is_left_out_of_a_stream(stack: Serving) -> None:
    """A client that does not ask for the usage gets the engine's bytes without it."""
    got = await streamed(stack, BASE)
    request_id = json.loads(got.split(b"\n\n")[0].removeprefix(b"data: "))["id"].split("-")[1]
    assert got == await direct(stack, request_id, BASE)
    assert stack.vllm.bodies[0]["stream_options"] == {"include_usage": True}


async def test_the_tokens_of_a_stream_are_counted_all_the_same(stack: Serving) -> None:
    """Usage that is left out of the relay is in the metrics and in the interaction."""
    await streamed(stack, BASE)
    kind = {"model": BASE, "kind": "completion"}
    assert stack.metric("graftline_tokens_total", **kind) == len(ANSWER)


async def test_an_interaction_is_stored_for_a_request(stack: Serving) -> None:
    """Feedback can name the answer's id as soon as the answer is complete."""
    await stack.serve()
    await stack.deploy("support", NAME)
    body = await streamed(stack, "support", safety_identifier="someone")
    identifier = json.loads(body.split(b"\n\n")[0].removeprefix(b"data: "))["id"]
    await stack.services.interaction_log.flush()
    found = await stack.services.store.interactions.get(identifier, project="default")
    assert (found.model, found.deployment, found.arm) == (NAME, "support", Arm.STABLE)
    assert (found.status, found.finish_reason) == (200, "stop")
    assert found.completion_tokens == len(ANSWER) + 2
    assert found.first_token_seconds is not None
    assert found.unit_hash is not None
    assert "someone" not in found.unit_hash


async def test_a_client_that_leaves_aborts_the_engine(stack: Serving) -> None:
    """A disconnect in mid-stream cancels the upstream request and is reported as 499."""
    stack.vllm.faults.gate = asyncio.Event()
    body = {"model": BASE, "messages": [], "stream": True}
    async with stack.client.post(CHAT, json=body) as response:
        await response.content.readany()
    async with asyncio.timeout(5), stack.vllm.changed:
        await stack.vllm.changed.wait_for(lambda: stack.vllm.aborted == 1)
    labels = {"endpoint": "chat.completions", "deployment": "", "arm": "none", "model": BASE}
    assert stack.metric("graftline_requests_total", **labels, code="499") == 1


async def test_a_client_that_leaves_a_plain_request_aborts_the_engine(stack: Serving) -> None:
    """The same before the first byte of a plain answer."""
    stack.vllm.faults.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(stack.chat(BASE))
        await stack.vllm.waiting.wait()
        asking.cancel()
        async with asyncio.timeout(5), stack.vllm.changed:
            await stack.vllm.changed.wait_for(lambda: stack.vllm.aborted == 1)


async def test_an_engine_that_is_down_is_503_with_retry_after(stack: Serving) -> None:
    """Connection refused: 503 in OpenAI's shape, with a time to come back."""
    await stack.vllm.stop()
    response = await stack.chat(BASE)
    assert response.status == 503
    assert int(response.headers["retry-after"]) > 0
    assert len(response.headers["x-request-id"]) == 32
    assert (await response.json())["error"]["type"] == "server_error"


async def test_an_engine_that_dies_in_mid_stream_is_an_error_in_the_stream(
    stack: Serving,
) -> None:
    """The stream says so in an `error` event; it never just ends."""
    stack.vllm.faults.die_after_events = 3
    *_, last, rest = (await streamed(stack, BASE)).split(b"\n\n")
    assert "error" in json.loads(last.removeprefix(b"data: "))
    assert rest == b""
    labels = {"endpoint": "chat.completions", "deployment": "", "arm": "none", "model": BASE}
    assert stack.metric("graftline_requests_total", **labels, code="502") == 1


async def test_an_error_inside_a_stream_is_relayed_and_counted(stack: Serving) -> None:
    """An error event of the engine's own reaches the client, and the request counts as failed."""
    stack.vllm.faults.error_after_events = 2
    got = await streamed(stack, BASE)
    assert b"a step failed" in got
    labels = {"endpoint": "chat.completions", "deployment": "", "arm": "none", "model": BASE}
    assert stack.metric("graftline_requests_total", **labels, code="502") == 1


async def test_the_engines_own_refusal_passes_through(stack: Serving) -> None:
    """A 400 of the engine reaches the client with the engine's words."""
    async with stack.client.post(CHAT, json={"model": BASE}) as response:
        answer = await response.json()
    assert response.status == 400
    assert "messages" in answer["error"]["message"]


async def test_an_unknown_model_is_404(stack: Serving) -> None:
    """In OpenAI's shape, and the engine is not asked."""
    response = await stack.chat("no-such-model")
    assert response.status == 404
    assert (await response.json())["error"]["code"] == "model_not_found"
    assert stack.vllm.bodies == []


async def test_another_projects_version_is_404(stack: Serving) -> None:
    """A version is visible to its own project alone."""
    await stack.publish(NAME, project="other")
    assert (await stack.chat(NAME)).status == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'{"messages":[]}', "model"),
        (b'{"model":7}', "model"),
        (b'{"model":"tiny-base","stream":"yes"}', "stream"),
        (b'{"model":"tiny-base","stream":true,"stream_options":3}', "stream_options"),
        (b'\xff\xfe{"model":"tiny-base"}', None),
    ],
)
async def test_a_malformed_request_is_400_and_names_the_field(
    stack: Serving, body: bytes, param: str | None
) -> None:
    """The answer says which parameter is at fault."""
    async with stack.client.post(CHAT, data=body) as response:
        answer = await response.json()
    assert response.status == 400
    assert answer["error"]["param"] == param


async def test_a_body_beyond_the_limit_is_413(stack: Serving) -> None:
    """33 MB is too much, and is not even read."""
    key = stack.client.headers["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
    writer.write(f"{head}Content-Length: {33 * 1024 * 1024}\r\n\r\n".encode())
    assert b" 413 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_large_body_reaches_the_engine(stack: Serving) -> None:
    """2 MB of prompt is relayed like any other."""
    response = await stack.chat(BASE, padding="x" * (2 * 1024 * 1024))
    assert response.status == 200
    assert len(stack.vllm.bodies[-1]["padding"]) == 2 * 1024 * 1024


async def test_no_key_is_401(stack: Serving) -> None:
    """Inference needs a key."""
    async with stack.client.post(CHAT, json={}, headers={"Authorization": ""}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    "path", ["/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/pause", "/sleep"]
)
async def test_the_engines_administration_is_out_of_reach(stack: Serving, path: str) -> None:
    """Nothing but the paths of the dialects leads to the engine."""
    async with stack.client.post(path, json={"lora_name": "x", "lora_path": "/"}) as response:
        assert response.status in {404, 405}
    assert stack.vllm.loads == []


async def test_fifty_first_requests_load_a_version_once(stack: Serving) -> None:
    """A checkpoint is loaded on demand, once for all that wait, and then answers them all."""
    await stack.publish(NAME, step=10)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stack.chat(NAME)) for _ in range(50)]
    answers = [await task.result().json() for task in tasks]
    assert [answer["model"] for answer in answers] == [NAME] * 50
    assert stack.vllm.loads == [NAME]


async def test_an_engine_that_forgot_a_version_loads_it_again_before_it_answers(
    stack: Serving,
) -> None:
    """A restart under our feet: 404 from the engine, load, answer; never the base model."""
    await stack.serve()
    stack.vllm.forget()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stack.chat(NAME)) for _ in range(20)]
    answers = [await task.result().json() for task in tasks]
    assert {answer["model"] for answer in answers} == {NAME}
    after = stack.vllm.log[stack.vllm.log.index("restart") :]
    assert after.index(f"load {NAME}") < after.index(f"answer {NAME}")
    assert f"answer {BASE}" not in after


async def test_a_version_that_stays_unknown_to_the_engine_is_503(stack: Serving) -> None:
    """Asked once more after a reload, not for ever, and never the base model instead."""
    await stack.serve()
    stack.vllm.bodies.clear()
    stack.vllm.faults.answer_status = 404
    response = await stack.chat(NAME)
    assert response.status == 503
    assert "retry-after" in response.headers
    assert [body["model"] for body in stack.vllm.bodies] == [NAME, NAME]


async def test_requests_wait_for_a_restarted_engine_to_load_or_get_503(stack: Serving) -> None:
    """The engine goes and comes back: each answer is the version's own, or a clear 503."""
    await stack.serve()
    await stack.vllm.stop()
    stack.vllm.forget()
    assert (await stack.chat(NAME)).status == 503
    await stack.vllm.start()
    async with asyncio.timeout(5):
        while not stack.services.reconciler.engine_up:
            await stack.passed()
    response = await stack.chat(NAME)
    assert response.status == 200
    assert (await response.json())["model"] == NAME


async def test_a_version_under_examination_is_not_served(tmp_path: Path) -> None:
    """Until it is ready, a request waits for a bounded time, then gets 503 with `Retry-After`."""
    async with serving(tmp_path) as stack:
        stack.services.reconciler._wait_seconds = 0.3
        stack.vllm.faults.load_gate = asyncio.Event()
        await stack.publish(NAME)
        response = await stack.chat(NAME)
        assert response.status == 503
        assert "being loaded and examined" in (await response.json())["error"]["message"]
        assert "retry-after" in response.headers
        stack.vllm.faults.load_gate.set()
