"""Requests that no client sends on purpose: each is refused in OpenAI's shape, in clear words."""

import httpx
import msgspec
import pytest

from service.dialects.shapes import Shape
from service.front import Front
from service.problems import ErrorBody, in_shape

_TRICKS = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f",
    "..%5c..%5cwindows",
    "%00",
    "a%00b",
    "%0d%0aset-cookie:a=b",
    "%ff%fe",
    "%ed%a0%80",
    "%f0%9f%98%80",
    "%e2%80%ae",
    "x" * 5000,
    "'%20OR%201=1",
    "*",
    "%25",
]


def error_in(answer: httpx.Response) -> ErrorBody:
    """Return the error of an answer, which must have OpenAI's shape."""
    assert answer.headers["content-type"] == "application/json"
    return msgspec.json.decode(answer.content, type=ErrorBody)


@pytest.mark.parametrize("trick", _TRICKS, ids=lambda trick: trick[:20])
async def test_no_identifier_leads_astray(
    app: Front, client: httpx.AsyncClient, trick: str
) -> None:
    """Whatever stands for a name in a path, there is nothing of that name."""
    for path, operations in app.litestar.openapi_schema.to_schema()["paths"].items():
        if "{" not in path:
            continue
        target = path[: path.index("{")] + trick + path[path.index("}") + 1 :]
        for method in operations:
            body = None if method in {"get", "delete"} else b"{}"
            answer = await client.request(method, target, content=body)
            assert 400 <= answer.status_code < 500, (method, target)
            assert error_in(answer).error.message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/fine_tuning/jobs"),
        ("POST", "/v1/deployments"),
        ("PATCH", "/v1/deployments/support"),
        ("POST", "/v1/evaluations"),
        ("POST", "/v1/feedback"),
        ("PUT", "/v1/project"),
        ("POST", "/v1/api_keys"),
        ("POST", "/v1/files/from-feedback"),
    ],
)
async def test_json_that_is_not_utf8_is_the_clients_fault(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    """400 with what to do, not an error of the server."""
    answer = await client.request(method, path, content=b'{"name": "\xff"}')
    assert answer.status_code == 400
    assert "UTF-8" in error_in(answer).error.message


@pytest.mark.parametrize("key", ["%00", "a%00b", "%22", "%5B", "", "x" * 65])
async def test_an_odd_metadata_filter_is_refused(client: httpx.AsyncClient, key: str) -> None:
    """The database never sees it, and is not blamed for it."""
    answer = await client.get(f"/v1/fine_tuning/jobs?metadata[{key}]=x")
    assert answer.status_code == 400
    assert error_in(answer).error.param == "metadata"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/files", {"GET", "POST", "OPTIONS"}),
        ("GET", "/v1/chat/completions", {"POST", "OPTIONS"}),
        ("DELETE", "/v1/usage", {"GET", "OPTIONS"}),
        ("POST", "/health/live", {"GET", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    """In the header `Allow`, and in the message."""
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.headers["allow"] in error_in(answer).error.message


@pytest.mark.parametrize(
    "words", [b"Internal Server Error", b"", b"\xff", b'{"detail": "no"}', b'{"error": "no"}']
)
def test_an_engines_bare_words_become_an_error(words: bytes) -> None:
    """A client's error handling finds what it looks for when vLLM itself falls over."""
    found = msgspec.json.decode(in_shape(words, 500, Shape.OPENAI, "a" * 32), type=ErrorBody)
    assert found.error.message
    assert found.error.code == "engine_error"


def test_an_engines_own_error_stays_as_it_is() -> None:
    """Byte for byte."""
    own = b'{"error":{"message":"no","type":"BadRequestError","param":null,"code":400}}'
    assert in_shape(own, 400, Shape.OPENAI, "a" * 32) == own


def test_an_engine_that_cannot_read_a_body_is_quoted() -> None:
    """The words are vLLM's, without the JSON around them."""
    words = b'{"detail":"There was an error parsing the body"}'
    found = msgspec.json.decode(in_shape(words, 400, Shape.OPENAI, "a" * 32), type=ErrorBody)
    assert found.error.message == "There was an error parsing the body"
