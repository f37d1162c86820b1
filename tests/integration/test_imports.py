"""A folder that peft wrote, imported by the command line into the real vLLM."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from registry.lifecycle import AdapterStatus
from service.importing import folder as place
from service.importing import sending
from tests.serving import serving
from tests.vllm_server import VllmServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]


async def test_an_imported_adapter_answers_otherwise_than_the_base(
    real_vllm: VllmServer, tmp_path: Path
) -> None:
    """Peft's own folder becomes a version that is loaded, probed and served."""
    made = tmp_path / "peft"
    command = [sys.executable, "-m", "tests.integration.peft_adapter", str(made)]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=240)
    async with serving(tmp_path, engine_url=real_vllm.url) as running:
        key = running.settings.admin_key_file.read_text().strip()
        url = f"http://127.0.0.1:{running.port}"
        told = await asyncio.to_thread(
            sending.send, url, key, place.choose(made), {"suffix": "peft"}
        )
        version = await running.services.store.adapters.get(told.id)
        async with asyncio.timeout(120):
            while version.status is AdapterStatus.PUBLISHED:  # a busy machine probes slowly
                await running.passed()
                version = await running.services.store.adapters.get(told.id)
        assert version.status is AdapterStatus.READY, version.reason
        answers = [
            (await (await running.chat(model, max_tokens=12, temperature=0)).json())["choices"]
            for model in ("tiny-base", told.id)
        ]
        assert answers[0][0]["message"] != answers[1][0]["message"]
