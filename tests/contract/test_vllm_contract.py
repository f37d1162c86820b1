"""What the service relies on in vLLM, asserted against the fake and against the real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.errors import EngineError
from service.answer_text import AnswerText
from service.dialects.table import DIALECTS_BY_PATH
from service.vllm import Engine
from tests.fakes.vllm import FakeVllm
from tests.pieces import pieces_of, whole_of
from tests.vllm_server import write_adapter

pytestmark = pytest.mark.contract
BASE = "tiny-base"
NAME = "ft:tiny-base:default:contract:0001"
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
ASK = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 6, "temperature": 0}


@dataclass
class Peer:
    """A server under test."""

    engine: Engine
    """The client."""
    adapter: str
    """Path of an adapter it can load."""
    too_high: str
    """Path of an adapter whose rank it refuses."""
    fake: FakeVllm | None
    """The fake, if it is the one."""


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
async def peer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Peer]:
    """Return the fake, then the real server, each without any adapter loaded."""
    write_adapter(tmp_path / "adapter")
    write_adapter(tmp_path / "too-high", rank=64)
    fake = FakeVllm() if request.param == "fake" else None
    if fake is not None:
        await fake.start()
        url = fake.url
    else:
        url = request.getfixturevalue("real_vllm").url
    engine = Engine(url, None, deadline_seconds=60)
    await engine.open()
    adapter, too_high = str(tmp_path / "adapter"), str(tmp_path / "too-high")
    yield Peer(engine=engine, adapter=adapter, too_high=too_high, fake=fake)
    for name in await engine.loaded():
        await engine.unload(name)
    await engine.close()
    if fake is not None:
        await fake.stop()


async def ask(peer: Peer, path: str, body: dict[str, Any], request_id: str = "a" * 32) -> Any:
    """Send a request and return its status and its decoded body."""
    async with peer.engine.generate(path, json.dumps(body).encode(), request_id) as upstream:
        return upstream.status, json.loads(await upstream.body())


async def stream(
    peer: Peer, path: str, body: dict[str, Any], request_id: str = "b" * 32
) -> list[bytes]:
    """Send a streamed request and return the payload of every event."""
    sent = json.dumps({**body, "stream": True}).encode()
    async with peer.engine.generate(path, sent, request_id) as upstream:
        assert upstream.status == 200
        assert upstream.is_stream
        whole = await whole_of(upstream)
    events = whole.split(b"\n\n")
    assert events.pop() == b""
    assert all(event.startswith(b"data: ") for event in events)
    return [event.removeprefix(b"data: ") for event in events]


async def test_a_running_server_is_healthy(peer: Peer) -> None:
    """`/health` answers 200."""
    assert await peer.engine.is_healthy()


async def test_a_loaded_adapter_is_listed_under_its_path(peer: Peer) -> None:
    """After a load, the adapter's name maps to its path, and the base is not among them."""
    await peer.engine.load(NAME, peer.adapter)
    assert await peer.engine.loaded() == {NAME: peer.adapter}


async def test_loading_twice_from_one_path_succeeds(peer: Peer) -> None:
    """A load that was done already is not an error."""
    await peer.engine.load(NAME, peer.adapter)
    await peer.engine.load(NAME, peer.adapter)
    assert NAME in await peer.engine.loaded()


async def test_loading_a_taken_name_from_another_path_is_refused(
    peer: Peer, tmp_path: Path
) -> None:
    """A name never changes its bytes: 400."""
    write_adapter(tmp_path / "other", seed=1)
    await peer.engine.load(NAME, peer.adapter)
    with pytest.raises(EngineError) as caught:
        await peer.engine.load(NAME, str(tmp_path / "other"))
    assert caught.value.status == 400


async def test_loading_from_nowhere_is_not_found(peer: Peer, tmp_path: Path) -> None:
    """A path without an adapter: 404."""
    with pytest.raises(EngineError) as caught:
        await peer.engine.load(NAME, str(tmp_path / "nowhere"))
    assert caught.value.status == 404


async def test_loading_under_the_base_models_name_is_refused(peer: Peer) -> None:
    """The base model's name is taken: 400."""
    with pytest.raises(EngineError) as caught:
        await peer.engine.load(BASE, peer.adapter)
    assert caught.value.status == 400


async def test_an_adapter_the_engine_cannot_use_is_answered_with_500(peer: Peer) -> None:
    """A rank above the limit: 500, with vLLM's own words."""
    if peer.fake is not None:
        peer.fake.faults.load_status = 500
    with pytest.raises(EngineError) as caught:
        await peer.engine.load(NAME, peer.too_high)
    assert caught.value.status == 500
    assert "rank" in caught.value.message
    assert await peer.engine.loaded() == {}


async def test_unloading_forgets_the_name_and_may_be_repeated(peer: Peer) -> None:
    """An unload of what is not loaded is a success."""
    await peer.engine.load(NAME, peer.adapter)
    await peer.engine.unload(NAME)
    await peer.engine.unload(NAME)
    assert await peer.engine.loaded() == {}


@pytest.mark.parametrize(("path", "prefix"), [(CHAT, "chatcmpl-"), (COMPLETIONS, "cmpl-")])
async def test_an_answer_is_named_after_the_request_id(peer: Peer, path: str, prefix: str) -> None:
    """The id of an answer is a prefix and our `X-Request-Id`."""
    body = (
        {"model": BASE, "prompt": "yes", **ASK} if path == COMPLETIONS else {"model": BASE, **ASK}
    )
    body.pop("messages" if path == COMPLETIONS else "prompt", None)
    status, answer = await ask(peer, path, body, "c" * 32)
    assert status == 200
    assert answer["id"] == prefix + "c" * 32
    assert answer["model"] == BASE
    assert answer["usage"]["prompt_tokens"] > 0
    assert answer["choices"][0]["finish_reason"] in {"stop", "length"}


async def test_an_unknown_model_is_not_found(peer: Peer) -> None:
    """404 in OpenAI's shape: this is how a restarted engine answers for its lost adapters."""
    status, answer = await ask(peer, CHAT, {"model": NAME, **ASK})
    assert status == 404
    assert "does not exist" in answer["error"]["message"]
    assert answer["error"]["type"] == "NotFoundError"


async def test_an_adapter_answers_under_its_own_name(peer: Peer) -> None:
    """The answer's `model` is the version's name."""
    await peer.engine.load(NAME, peer.adapter)
    _, answer = await ask(peer, CHAT, {"model": NAME, **ASK})
    assert answer["model"] == NAME


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
async def test_a_stream_ends_with_usage_and_done(peer: Peer, path: str) -> None:
    """With `include_usage`, the event before `[DONE]` has no choices and the usage."""
    ask_for = dict(ASK)
    if path == COMPLETIONS:
        ask_for.pop("messages")
        ask_for["prompt"] = "yes"
    body = {"model": BASE, **ask_for, "stream_options": {"include_usage": True}}
    *events, usage, done = await stream(peer, path, body)
    assert done == b"[DONE]"
    assert json.loads(usage)["choices"] == []
    assert json.loads(usage)["usage"]["completion_tokens"] > 0
    assert all(json.loads(event).get("usage") is None for event in events)
    assert all(json.loads(event)["id"].endswith("b" * 32) for event in events)
    assert json.loads(events[-1])["choices"][0]["finish_reason"] in {"stop", "length"}


async def test_a_stream_without_usage_has_none(peer: Peer) -> None:
    """Without `include_usage` no event reports any."""
    *events, done = await stream(peer, CHAT, {"model": BASE, **ASK})
    assert done == b"[DONE]"
    assert all(json.loads(event).get("usage") is None for event in events)
    assert all(json.loads(event)["choices"] for event in events)


async def test_stream_options_need_a_stream(peer: Peer) -> None:
    """`stream_options` in a plain request is refused, so we add them only to streams."""
    body = {"model": BASE, **ASK, "stream_options": {"include_usage": True}}
    status, answer = await ask(peer, CHAT, body)
    assert status == 400
    assert answer["error"]["message"]


async def test_log_probabilities_of_a_prompt_come_for_every_token_but_the_first(
    peer: Peer,
) -> None:
    """Token ids in, one finite log-probability for each token after the first out."""
    found = await peer.engine.prompt_logprobs(BASE, [5, 6, 7, 8, 9])
    assert len(found) == 4
    assert all(-50 < value <= 0 for value in found)


async def test_an_adapter_changes_log_probabilities(peer: Peer) -> None:
    """The probe's signal: base and adapter differ."""
    await peer.engine.load(NAME, peer.adapter)
    tokens = list(range(5, 25))
    base = await peer.engine.prompt_logprobs(BASE, tokens)
    adapter = await peer.engine.prompt_logprobs(NAME, tokens)
    assert sum(abs(one - other) for one, other in zip(base, adapter, strict=True)) / 19 > 0.001


async def test_the_engine_goes_on_when_a_client_leaves(peer: Peer) -> None:
    """A stream left in the middle costs the server nothing: the next request is answered."""
    body = {"model": BASE, **ASK, "max_tokens": 1500, "ignore_eos": True, "stream": True}
    async with (
        peer.engine.generate(CHAT, json.dumps(body).encode(), "d" * 32) as upstream,
        pieces_of(upstream) as pieces,
    ):
        assert await pieces.get()
    async with asyncio.timeout(30):
        status, _ = await ask(peer, CHAT, {"model": BASE, **ASK})
    assert status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_other_dialects_name_answers_after_our_id(peer: Peer, path: str) -> None:
    """By the header for messages, by a field for responses; usage is there."""
    dialect = DIALECTS_BY_PATH[path]
    status, answer = await ask(peer, path, _asking(path, "e" * 32), "e" * 32)
    assert status == 200
    assert answer["id"] == dialect.id_prefix + "e" * 32
    reading = dialect.read(json.dumps(answer).encode())
    assert reading.usage is not None
    assert reading.usage.completion_tokens
    assert reading.finish_reason


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_other_dialects_streams_are_read_to_their_end(peer: Peer, path: str) -> None:
    """Relayed byte for byte, with usage and a reason of the end."""
    reader = DIALECTS_BY_PATH[path].stream_reader()
    body = json.dumps({**_asking(path, "f" * 32), "stream": True}).encode()
    async with peer.engine.generate(path, body, "f" * 32) as upstream:
        assert upstream.is_stream
        whole = await whole_of(upstream)
    assert reader.feed(whole) == whole
    assert reader.is_done
    assert not reader.has_failed
    assert reader.usage is not None
    assert reader.finish_reason


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/v1/messages", "/v1/responses"])
async def test_a_stream_has_the_words_of_a_plain_answer(peer: Peer, path: str) -> None:
    """Both are found where the dialect says, and the bytes that are no words are passed over."""
    dialect, body = DIALECTS_BY_PATH[path], _asking(path, "f" * 32)
    _, plain = await ask(peer, path, body)
    text = AnswerText(dialect.words_of, limit=1000)
    reader = dialect.stream_reader(listener=text.feed)
    sent = json.dumps({**body, "stream": True}).encode()
    async with peer.engine.generate(path, sent, "f" * 32) as upstream:
        reader.feed(await whole_of(upstream))
    assert text.value
    assert text.value == dialect.words_of(json.dumps(plain).encode())


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/tokenize"])
async def test_other_dialects_do_not_find_an_unknown_model(peer: Peer, path: str) -> None:
    """404, which makes the service load the version again."""
    body = {"model": NAME, "messages": ASK["messages"], "max_tokens": 5}
    status, answer = await ask(peer, path, body)
    assert status == 404
    assert "does not exist" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, b'{"model": "tiny-base", "messages": 1}'),
        (COMPLETIONS, b'{"model": "tiny-base", "prompt": true}'),
        ("/v1/messages", b'{"model": "tiny-base", "messages": 1, "max_tokens": 5}'),
        ("/v1/responses", b'{"model": "tiny-base", "input": 1}'),
        ("/tokenize", b'{"model": "tiny-base", "prompt": 1}'),
        ("/detokenize", b'{"model": "tiny-base", "tokens": 1}'),
    ],
    ids=["chat", "completions", "messages", "responses", "tokenize", "detokenize"],
)
async def test_a_body_that_makes_no_sense_is_the_clients_fault(
    peer: Peer, path: str, body: bytes
) -> None:
    """A field of another type is answered with 400 in OpenAI's shape."""
    async with peer.engine.generate(path, body, "c" * 32) as upstream:
        assert upstream.status == 400
        assert json.loads(await upstream.body())["error"]["message"]


@pytest.mark.parametrize("messages", [b'"\xff"', b"[" * 3000 + b"]" * 3000], ids=["text", "depth"])
async def test_a_body_that_cannot_be_read_is_the_clients_fault(peer: Peer, messages: bytes) -> None:
    """Bytes that are no text and a bottomless list get 400, in a shape of vLLM's own."""
    body = b'{"model": "tiny-base", "messages": ' + messages + b"}"
    async with peer.engine.generate(CHAT, body, "c" * 32) as upstream:
        assert upstream.status == 400
        assert json.loads(await upstream.body())["detail"]


async def test_a_message_without_its_field_is_refused_in_openais_shape(peer: Peer) -> None:
    """So the service translates errors itself."""
    status, answer = await ask(peer, "/v1/messages", {"model": BASE, "messages": ASK["messages"]})
    assert status == 400
    assert "type" not in answer
    assert answer["error"]["param"] == "body.max_tokens"


async def test_tokens_are_counted_and_turned_back(peer: Peer) -> None:
    """Count, tokenize and detokenize."""
    chat = {"model": BASE, "messages": ASK["messages"]}
    _, counted = await ask(peer, "/v1/messages/count_tokens", chat)
    _, tokens = await ask(peer, "/tokenize", chat)
    status, text = await ask(peer, "/detokenize", {"model": BASE, "tokens": tokens["tokens"]})
    assert counted["input_tokens"] == tokens["count"] == len(tokens["tokens"])
    assert status == 200
    assert text["prompt"]


def _asking(path: str, request_id: str) -> dict[str, Any]:
    if path in {CHAT, "/v1/messages"}:
        return {"model": BASE, **ASK}
    if path == COMPLETIONS:
        asked = {"model": BASE, "prompt": "Say yes.", "max_tokens": 6, "temperature": 0}
        return {**asked, "ignore_eos": True}
    said = {"model": BASE, "input": "Say yes.", "temperature": 0}
    return {**said, "request_id": "resp_" + request_id}
