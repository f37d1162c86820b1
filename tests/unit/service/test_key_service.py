"""Keys through the whole service: limits, usage, secrets, and the end of a key."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from registry.errors import Unavailable
from registry.records import Scope, UsageRow
from tests.serving import BASE, CHAT, Serving, serving

BODY = {"model": BASE, "messages": [{"role": "user", "content": "body-swordfish"}]}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine, with a key before its metrics."""
    async with serving(tmp_path, metrics_key="metrics-swordfish") as running:
        yield running


async def new_key(stack: Serving, **fields: Any) -> dict[str, Any]:
    """Make a key over HTTP."""
    body = {"name": "x", "scopes": [Scope.INFERENCE], **fields}
    async with stack.client.post("/v1/api_keys", json=body) as answer:
        assert answer.status == 200, await answer.text()
        made: dict[str, Any] = await answer.json()
        return made


async def ask(stack: Serving, **headers: str) -> aiohttp.ClientResponse:
    """Send a chat request with headers of its own and return the answer, read."""
    url = f"http://127.0.0.1:{stack.port}{CHAT}"
    async with aiohttp.request("POST", url, json=BODY, headers=headers) as answer:
        await answer.read()
    return answer


async def usage(stack: Serving, query: str = "") -> list[dict[str, Any]]:
    """Return the usage."""
    async with stack.client.get(f"/v1/usage{query}") as answer:
        assert answer.status == 200, await answer.text()
        found: list[dict[str, Any]] = (await answer.json())["data"]
        return found


async def test_beyond_its_limit_a_key_gets_openais_429(stack: Serving) -> None:
    """Type, code, remedy, `retry-after` and the headers."""
    made = await new_key(stack, requests_per_minute=1)
    answers = [await ask(stack, Authorization=f"Bearer {made['secret']}") for _ in range(3)]
    refused = answers[-1]  # the second may already fall into the next minute
    error = (await refused.json())["error"]
    assert (answers[0].status, refused.status) == (200, 429)
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert "requests_per_minute" in error["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert answers[0].headers["x-ratelimit-limit-requests"] == "1"


@pytest.mark.parametrize(
    "form", ["Bearer {}", "bearer {}", "BEARER   {}  ", "  Bearer {}"], ids=str
)
async def test_the_bearer_scheme_is_read_generously(stack: Serving, form: str) -> None:
    """Case and spaces do not matter, the first time and from the cache."""
    made = await new_key(stack)
    for _ in range(2):
        assert (await ask(stack, Authorization=form.format(made["secret"]))).status == 200


async def test_anthropics_header_opens_too(stack: Serving) -> None:
    """`x-api-key` holds the key alone."""
    made = await new_key(stack)
    assert (await ask(stack, **{"x-api-key": made["secret"]})).status == 200
    assert (await ask(stack, **{"x-api-key": "sk-wrong"})).status == 401
    assert (await ask(stack, Authorization=made["secret"])).status == 401


async def test_usage_is_told_by_key_model_and_day(stack: Serving) -> None:
    """Two requests of one key are one row, with the engine's tokens."""
    made = await new_key(stack)
    for _ in range(2):
        await ask(stack, Authorization=f"Bearer {made['secret']}")
    (row,) = await usage(stack, f"?group_by=key,model,day&key_id={made['id']}")
    assert (row["requests"], row["model"], row["key_id"]) == (2, BASE, made["id"])
    assert row["prompt_tokens"] > 0
    assert row["completion_tokens"] > 0


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("start=yesterday", "start"),
        ("start=2026-01-02&end=2026-01-01", "start"),
        ("start=2020-01-01&end=2026-01-01", "start"),
        ("end=2026-02-30", "end"),
        ("end=0001-01-01", None),
        ("group_by=colour", "group_by"),
    ],
)
async def test_a_usage_query_at_fault_is_refused(
    stack: Serving, query: str, param: str | None
) -> None:
    """The parameter is named; the first day of all is no fault."""
    async with stack.client.get(f"/v1/usage?{query}") as answer:
        assert answer.status == (200 if param is None else 400)
        if param is not None:
            assert (await answer.json())["error"]["param"] == param


async def test_a_commit_whose_confirmation_is_lost_is_not_counted_twice(stack: Serving) -> None:
    """The batch and its usage are stored once."""
    log, store = stack.services.interaction_log, stack.services.store.interactions
    write = store.add_packed
    lost, broke = [True], asyncio.Event()

    async def commit_and_break(
        rows: Sequence[bytes], texts: Sequence[bytes] = (), usage: Sequence[UsageRow] = ()
    ) -> None:
        await write(rows, texts, usage)
        if lost and lost.pop():
            broke.set()
            raise Unavailable("database", "The connection broke.")

    store.add_packed = commit_and_break  # type: ignore[method-assign] # breaks once
    await stack.chat(BASE)
    async with asyncio.timeout(10):
        await broke.wait()
    await log.flush()
    assert [row["requests"] for row in await usage(stack)] == [1]
    assert stack.metric("graftline_interactions_dropped_total") == 0


async def test_secrets_reach_neither_logs_nor_metrics_nor_errors_nor_the_database(
    stack: Serving, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Good keys, bad keys, the metrics' key and what was said are found nowhere."""
    caplog.set_level(logging.DEBUG)
    good = (await new_key(stack, requests_per_minute=1))["secret"]
    told = []
    for secret in (good, good, good, "sk-graftline-swordfish"):
        sent = await ask(stack, Authorization=f"Bearer {secret}")
        told += [await sent.text(), await (await ask(stack, **{"x-api-key": secret})).text()]
    url = f"http://127.0.0.1:{stack.port}/metrics"
    for secret in ("wrong-swordfish", "metrics-swordfish"):
        async with aiohttp.request(
            "GET", url, headers={"Authorization": f"Bearer {secret}"}
        ) as answer:
            assert answer.status == (200 if secret == "metrics-swordfish" else 401)
            told.append(await answer.text())
    await stack.services.interaction_log.flush()
    files = stack.settings.data_dir.glob("graftline.db*")
    kept = b"".join(path.read_bytes() for path in files).decode("latin-1")
    printed = capfd.readouterr()
    everything = "\n".join([*told, caplog.text, printed.out, printed.err, kept])
    assert "swordfish" not in everything
    assert good not in everything
