"""The compiled mock upstream answers what the service asks of a vLLM server."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.benchmarks.serving.check import check
from tests.benchmarks.serving.systems import relay
from tests.benchmarks.serving.upstream import Upstream, running_upstream

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Compile and run the mock."""
    with running_upstream(tmp_path_factory.mktemp("upstream")) as running:
        yield running


def exchange(upstream: Upstream, request: bytes) -> bytes:
    """Send bytes on one connection, close our side, and return all that comes."""
    with socket.create_connection(("127.0.0.1", upstream.port), 5.0) as peer:
        peer.sendall(request)
        seen = b""
        while seen.count(b"HTTP/1.1") < request.count(b"HTTP/1.1") or not seen.endswith(b"}"):
            seen += peer.recv(65536)
        return seen


def test_pipelined_requests_are_answered_in_order(upstream: Upstream) -> None:
    """A stream is whole before the answer to the next request begins."""
    stream = b'{"stream":true,"max_tokens":2}'
    head = b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    requests = head % (CHAT.encode(), len(stream)) + stream + head % (CHAT.encode(), 2) + b"{}"
    seen = exchange(upstream, requests)
    assert seen.index(b"0\r\n\r\nHTTP/1.1") < seen.index(b"on its way")


def test_a_body_in_chunks_is_understood(upstream: Upstream) -> None:
    """The pieces of a body are joined."""
    pieces = iter([b'{"mod', b'el":"odd"', b"}"])
    assert httpx.post(upstream.url + CHAT, content=pieces).json()["model"] == "odd"


def test_a_stream_has_as_many_events_as_asked(upstream: Upstream) -> None:
    """`max_tokens` events with text, then the usage, then the end."""
    body = {"stream": True, "max_tokens": 3, "stream_options": {"include_usage": True}}
    lines = [line for line in httpx.post(upstream.url + CHAT, json=body).text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2].removeprefix("data: "))["usage"]["completion_tokens"] == 3
    assert len(lines) == 5


def test_the_answer_is_named_after_the_request(upstream: Upstream) -> None:
    """As vLLM does, with the endpoint's prefix."""
    answer = httpx.post(upstream.url + CHAT, json={}, headers={"X-Request-Id": "one"})
    assert answer.json()["id"] == "chatcmpl-one"


def test_an_adapter_comes_and_goes(upstream: Upstream) -> None:
    """It is listed with its path and its base from its load to its unload."""
    adapter = {"lora_name": "ft:one", "lora_path": "/adapters/one"}
    with httpx.Client(base_url=upstream.url) as client:
        statuses = [client.post("/v1/load_lora_adapter", json=adapter).status_code for _ in "12"]
        listed = client.get("/v1/models").json()["data"][1]
        statuses += [client.post("/v1/unload_lora_adapter", json=adapter).status_code for _ in "12"]
    assert statuses == [200, 400, 200, 404]
    assert (listed["root"], listed["parent"]) == ("/adapters/one", "tiny-base")


@pytest.mark.parametrize(("model", "expected"), [("tiny-base", -1.0), ("ft:one", -0.5)])
def test_an_adapter_changes_log_probabilities(
    upstream: Upstream, model: str, expected: float
) -> None:
    """Each token after the first has one, so that the service's probe is content."""
    body = {"model": model, "prompt": [7, 8, 9], "prompt_logprobs": 0}
    rows = httpx.post(upstream.url + "/v1/completions", json=body).json()["choices"][0]
    first, *others = rows["prompt_logprobs"]
    assert first is None
    assert [row[token]["logprob"] for row, token in zip(others, "89", strict=True)] == [
        expected
    ] * 2


def test_the_bare_relay_changes_no_byte(upstream: Upstream, tmp_path: Path) -> None:
    """Whole and streamed answers come through it as they are."""
    with relay(upstream, tmp_path) as bare:
        check(bare)
