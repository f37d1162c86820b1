"""The real vLLM answers each request with the weights that it names, whatever shares the step."""

import asyncio
import json
from pathlib import Path

import pytest

from service.vllm import Engine
from tests.integration.markers import MarkerForge
from tests.vllm_server import VllmServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CHAT = "/v1/chat/completions"
ADAPTERS = 5
ROUNDS = 4


async def say(engine: Engine, model: str) -> str:
    """Return the answer of a model to one question."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Write one word."}],
        "temperature": 0,
        "max_tokens": 12,
        "ignore_eos": True,
    }
    async with engine.generate(CHAT, json.dumps(body).encode(), "a" * 32) as upstream:
        answer = json.loads(await upstream.body())
    return str(answer["choices"][0]["message"]["content"])


async def test_nobody_answers_with_anothers_weights(real_vllm: VllmServer, tmp_path: Path) -> None:
    """With every slot for adapters taken, base and adapters asked at once keep their words."""
    forge = MarkerForge()
    engine = Engine(real_vllm.url, None, deadline_seconds=120)
    await engine.open()
    names = []
    for marker in forge.markers(ADAPTERS):
        name = f"marker-{marker.text}"
        forge.write(tmp_path / name, marker)
        await engine.load(name, str(tmp_path / name))
        names.append(name)
    alone = {name: await say(engine, name) for name in ["tiny-base", *names]}
    assert all(set(alone[name]) == {name[-1]} for name in names), alone
    for _ in range(ROUNDS):
        async with asyncio.TaskGroup() as group:
            asked = [
                (name, group.create_task(say(engine, name)))
                for name in (*names, "tiny-base", *names, "tiny-base", "tiny-base")
            ]
        for name, task in asked:
            assert task.result() == alone[name]
    for name in names:
        await engine.unload(name)
    await engine.close()
