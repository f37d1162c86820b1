"""`graftline reproduce`: the same bytes from manifest and stored files, or what differs."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from registry.artifacts import MANIFEST, Manifest, read_manifest
from registry.lifecycle import JobStatus
from registry.settings import Settings, child_environment
from tests.integration.trainer_bench import JOB, SHORT, trainer_bench

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ROWS = 44


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Settings:
    """Train one job, and return the settings of the data directory that holds it."""
    place = tmp_path_factory.mktemp("reproduce")

    async def run() -> Settings:
        async with trainer_bench(place / "data", base) as bench:
            await bench.add_job(ROWS, SHORT)
            bench.start()
            job = await bench.until_over()
            assert job.status is JobStatus.SUCCEEDED, job.error
            await bench.until_tidy()
            bench.stop()
            return bench.settings

    return asyncio.run(run())


def reproduce(settings: Settings, target: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "service.cli", "reproduce", target],
        env=child_environment(settings),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def with_plan(settings: Settings, folder: Path, **changes: object) -> Path:
    """Copy the job's version with another plan in its manifest, and return the manifest."""
    shutil.copytree(settings.adapters_dir / JOB, folder)
    manifest = read_manifest(folder)
    altered = msgspec.structs.replace(manifest, plan={**manifest.plan, **changes})
    (folder / MANIFEST).write_bytes(msgspec.json.encode(altered))
    return folder / MANIFEST


def test_a_job_trains_again_to_the_same_bytes(settings: Settings) -> None:
    """Nothing but the manifest and the stored files is needed, and nothing is left behind."""
    ended = reproduce(settings, JOB)
    assert ended.returncode == 0, ended.stderr
    assert "The bytes of adapter_model.safetensors are the same." in ended.stdout
    assert not list(settings.data_dir.glob("reproduce-*"))


def test_another_seed_is_told(settings: Settings, tmp_path: Path) -> None:
    """The bytes differ, and the status says so."""
    ended = reproduce(settings, str(with_plan(settings, tmp_path / "other", seed=8)))
    assert ended.returncode == 1
    assert "The bytes of adapter_model.safetensors differ" in ended.stderr


def test_other_data_is_told_before_anything_is_trained(settings: Settings, tmp_path: Path) -> None:
    """The file and both hashes are named."""
    other = with_plan(settings, tmp_path / "other", training_sha256="0" * 64)
    ended = reproduce(settings, str(other))
    assert ended.returncode == 1
    assert "is not the one it was trained on" in ended.stderr
    assert "0" * 64 in ended.stderr
    assert "Step" not in ended.stdout


def test_the_manifest_says_all_that_the_run_depends_on(settings: Settings) -> None:
    """Files, options, seed, template, libraries and what the machine computed with."""
    manifest: Manifest = read_manifest(settings.adapters_dir / JOB)
    assert manifest.plan["seed"] == 7
    assert manifest.plan["training_sha256"] == manifest.training_sha256
    assert manifest.plan["heldout_sha256"] == manifest.validation_sha256
    assert manifest.plan["options"]["technique"] == "lora"
    assert manifest.plan["base_model"] == settings.base_name
    assert len(str(manifest.template_sha256)) == 64
    assert {"torch", "transformers", "peft", "graftline"} <= set(manifest.libraries)
    assert {"precision", "threads", "device", "processor"} <= set(manifest.hyperparameters)
