"""Every technique, and DPO, through the real vLLM: trained, converted, published, answering."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from registry.blobs import Blobs
from registry.identifiers import new_id
from registry.lifecycle import AdapterStatus, JobStatus
from registry.records import AdapterVersion, JobEvent
from registry.settings import Settings
from registry.store import open_store
from registry.training_options import Technique
from tests.records import fine_tuning_job
from tests.serving import Serving, service_over, settings_for
from tests.unit.trainer.bench import Run, pairs, sums
from tests.vllm_server import VllmServer
from trainer.publish import Publisher

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.slow]

ROWS = 24
CONTEXT = 256
REQUESTS: dict[str, dict[str, Any]] = {
    **{technique.value: {"technique": technique.value} for technique in Technique},
    "pissa": {"lora_start": "pissa"},
    "dpo": {},
}
"""What each job asks for, by what it tries."""
EPOCHS = 12
"""36 steps."""
RATES = {"tinylora": 0.1, "unilora": 0.2, "vera": 0.05}
"""Learning rates of techniques whose few numbers move little; 1e-2 for the others."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random Llama of two layers."""
    folder = tmp_path_factory.mktemp("base") / "llama"
    command = [sys.executable, "-m", "tests.families.bases", "llama", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


async def test_every_techniques_version_is_served_as_it_was_trained(
    base: Path, tmp_path: Path
) -> None:
    """Each changes vLLM's answers as it changed transformers', and answers by its name."""
    server = VllmServer(tmp_path / "vllm.log", base_model=str(base), max_model_len=CONTEXT)
    settings = settings_for(
        tmp_path,
        server.url,
        base_model=str(base),
        max_model_len=CONTEXT,
    )
    names = {what: await _published(what, base, tmp_path, settings) for what in REQUESTS}
    try:
        server.start()
        async with service_over([], settings) as running:
            seen = {what: await _settled(running, name) for what, name in names.items()}
            answered = {what: (await running.chat(names[what])).status for what in names}
    finally:
        server.kill()
    refused = {what: version.reason for what, version in seen.items() if not _is_sound(version)}
    assert refused == {}
    assert set(answered.values()) == {200}


def _is_sound(version: AdapterVersion) -> bool:
    probe = version.probe or {}
    return (
        version.status is AdapterStatus.READY
        and probe["difference_nats"] <= 0.05 + 2 * probe["base_difference_nats"]
    )


async def _published(what: str, base: Path, folder: Path, settings: Settings) -> str:
    """Train a few steps, publish what came of it, and return the version's name."""
    job_id = new_id("ftjob")
    run = Run(base, folder / "work" / what)
    method = "dpo" if what == "dpo" else "supervised"
    rows = pairs(ROWS) if method == "dpo" else sums(ROWS)
    run.prepare(
        REQUESTS[what] | {"max_conversion_loss": 10.0},
        method=method,
        rows=rows,
        max_rank=settings.max_lora_rank,
        lora_rank="auto",
        n_epochs=EPOCHS,
        learning_rate=RATES.get(what, 1e-2),
    )
    run.plan = msgspec.structs.replace(
        run.plan, job_id=job_id, base_name=settings.base_name, heldout_file=None
    )
    await asyncio.to_thread(run.train)
    store = await open_store(settings)
    try:
        job = fine_tuning_job(
            job_id, model=settings.base_name, suffix=what, status=JobStatus.RUNNING
        )
        event = JobEvent(
            id=new_id("ftevent"), job_id=job_id, created_at=1, level="info", message="Created."
        )
        await store.jobs.add(job, event)
        publisher = Publisher(settings, store, Blobs(settings.files_dir))
        await publisher.publish(job, run.plan, run.result, run.place)
        return str((await store.jobs.get(job_id)).fine_tuned_model)
    finally:
        await store.close()


async def _settled(running: Serving, name: str) -> AdapterVersion:
    """Return a version once the engine has taken or refused it."""
    while True:
        version = await running.services.store.adapters.get(name)
        if version.status is not AdapterStatus.PUBLISHED:
            return version
        await running.passed()
