"""The real vLLM dies in the middle of its work, and comes back."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from registry.artifacts import ProbeRow
from service.vllm import Engine
from tests.serving import BASE, CHAT, Serving, serving
from tests.vllm_server import VllmServer, write_adapter

pytestmark = [pytest.mark.integration, pytest.mark.slow]
NAME = "ft:tiny-base:default:killed:00000001"
LONG = {
    "model": NAME,
    "messages": [{"role": "user", "content": "Tell a story."}],
    "max_tokens": 1900,
    "ignore_eos": True,
    "stream": True,
}


async def measured(url: str, folder: Path) -> ProbeRow:
    """Return what the trainer would have seen: the engine's own figures for an adapter."""
    tokens, start = list(range(10, 40)), 20
    engine = Engine(url, None, deadline_seconds=60)
    await engine.open()
    await engine.load("measured", str(folder))
    base = await engine.prompt_logprobs(BASE, tokens)
    adapter = await engine.prompt_logprobs("measured", tokens)
    await engine.unload("measured")
    await engine.close()
    return ProbeRow(
        token_ids=tokens,
        target_start=start,
        base_logprobs=base[start - 1 :],
        adapter_logprobs=adapter[start - 1 :],
    )


async def served(stack: Serving, url: str) -> None:
    """Publish a real adapter and wait until it serves."""
    staged = stack.settings.work_dir / NAME.replace(":", "-")
    write_adapter(staged)
    version = await stack.publish(NAME, probe=await measured(url, staged))
    await stack.services.reconciler.ensure(version)


async def running_requests(url: str) -> float:
    """Return how many requests the engine is working on, by its own metrics."""
    async with aiohttp.request("GET", f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("vllm:num_requests_running")
    )


async def test_a_killed_engine_serves_again_without_help(
    real_vllm: VllmServer, tmp_path: Path
) -> None:
    """A client that leaves frees it; kill -9: an error in the stream, 503, then served again."""
    vllm = real_vllm
    async with serving(tmp_path, engine_url=vllm.url) as stack:
        await served(stack, vllm.url)
        assert (await stack.chat(NAME, max_tokens=5)).status == 200
        async with stack.client.post(CHAT, json=LONG) as response:
            await response.content.readany()
            assert await running_requests(vllm.url) == 1
        async with asyncio.timeout(3):
            while await running_requests(vllm.url):
                pass  # the engine tells nobody when it aborts a request: ask again

        async with stack.client.post(CHAT, json=LONG) as response:
            await response.content.readany()
            await asyncio.to_thread(vllm.kill)
            *_, last, rest = (await response.content.read()).split(b"\n\n")
        assert "error" in json.loads(last.removeprefix(b"data: "))
        assert rest == b""

        answer = await stack.chat(NAME, max_tokens=5)
        assert answer.status == 503
        assert "retry-after" in answer.headers

        await asyncio.to_thread(vllm.start)
        async with asyncio.timeout(10):
            while not stack.services.reconciler.engine_up:
                await stack.passed()
        answer = await stack.chat(NAME, max_tokens=5)
        assert answer.status == 200
        assert (await answer.json())["model"] == NAME
