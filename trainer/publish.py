"""From a finished job's folder to adapter versions: files first, then one transaction.

It refuses to know how the weights came to be.
"""

import logging
import shutil
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread

from registry.artifact_store import ArtifactStore
from registry.artifacts import CARD, Manifest, full_directory
from registry.blobs import Blobs
from registry.durable import storage_errors, write_file
from registry.errors import NotFound, PolicyUnusable
from registry.identifiers import adapter_name, new_id
from registry.lifecycle import AdapterStatus, EvaluationStatus
from registry.model_card import card_of
from registry.policy import Policy, policy_in_force
from registry.records import (
    AdapterVersion,
    DataFile,
    Evaluation,
    FineTuningJob,
    JobCheckpoint,
    Purpose,
)
from registry.settings import Settings
from registry.store import Store
from trainer.journal import derived_id, message
from trainer.plan import manifest_hyperparameters
from trainer.protocol import Plan, Result, TrainedVersion, portable_plan
from trainer.results import as_csv
from trainer.workplace import Workplace

logger = logging.getLogger(__name__)


class Publisher:
    """Makes a job's adapters visible, all of them or none. Every step may run twice."""

    def __init__(self, settings: Settings, store: Store, blobs: Blobs) -> None:
        self._policy_file = settings.policy_file
        self._store = store
        self._blobs = blobs
        self._artifacts = ArtifactStore(settings)

    async def publish(
        self,
        job: FineTuningJob,
        plan: Plan,
        result: Result,
        place: Workplace,
        *,
        holder: str | None = None,
    ) -> None:
        """Publish every version of a job and record its success.

        Raises:
            IllegalTransition: The job was cancelled or paused meanwhile; nothing is recorded.
            LostLease: `holder` is named and lost the lease to work on the job; nothing is recorded.
            StorageFull: The disk is full; nothing is recorded.
            StoreAway: The artifact store does not answer; nothing is recorded.
        """
        now = int(time.time())
        results_file = await self._store_results(job, result)
        final: AdapterVersion | None = None
        checkpoints = []
        for trained in result.versions:
            version = await to_thread.run_sync(
                self._publish_files, job, plan, result, trained, place
            )
            if trained.is_final:
                final = version
            else:
                checkpoints.append((_checkpoint(job, trained, version.name, now), version))
        if final is None:
            raise ValueError("a result without a final adapter")
        await self._store.jobs.succeed(
            job.id,
            version=final,
            checkpoints=checkpoints,
            holder=holder,
            event=message(job.id, f"New fine-tuned model created: {final.name}"),
            finished_at=now,
            estimated_finish=None,
            trained_tokens=result.trained_tokens,
            result_files=[results_file.id],
        )

    async def queue_evaluation(self, job: FineTuningJob) -> None:
        """Ask for the exam of a published job's final adapter; a repeat asks nothing new."""
        if job.fine_tuned_model is None:
            return
        version = await self._store.adapters.get(job.fine_tuned_model)
        if version.heldout_file is None:
            return
        await self._store.evaluations.add(
            Evaluation(
                id=derived_id("eval", version.name),
                project=version.project,
                adapter=version.name,
                heldout_file=version.heldout_file,
                training_file=version.training_file,
                policy=msgspec.to_builtins(await self._policy()),
                status=EvaluationStatus.QUEUED,
                created_at=int(time.time()),
            )
        )

    async def withdraw(self, job_id: str) -> None:
        """Delete files that a job published and never recorded.

        Raises:
            StoreAway: The artifact store does not answer.
        """
        await to_thread.run_sync(self._artifacts.withdraw, job_id)

    async def _policy(self) -> Policy:
        """Return the policy in force; a job that succeeded does not fail for a faulty file."""
        try:
            return await to_thread.run_sync(policy_in_force, self._policy_file)
        except PolicyUnusable as exc:
            logger.error("the exam follows the built-in policy: %s", exc)  # noqa: TRY400 - the sentence says all
            return Policy()

    async def _store_results(self, job: FineTuningJob, result: Result) -> DataFile:
        content = as_csv(result.history)
        identifier = derived_id("file", job.id, "results")
        await to_thread.run_sync(self._blobs.write, identifier, content)
        file = DataFile(
            id=identifier,
            project=job.project,
            filename="step_metrics.csv",
            purpose=Purpose.FINE_TUNE_RESULTS,
            bytes=len(content),
            sha256=sha256(content).hexdigest(),
            rows=len(result.history),
            created_at=int(time.time()),
        )
        try:
            return await self._store.files.get(identifier)
        except NotFound:
            await self._store.files.add(file)
            return file

    def _publish_files(
        self,
        job: FineTuningJob,
        plan: Plan,
        result: Result,
        trained: TrainedVersion,
        place: Workplace,
    ) -> AdapterVersion:
        step = None if trained.is_final else trained.step
        name = adapter_name(
            base=plan.base_name, project=job.project, suffix=job.suffix, job_id=job.id, step=step
        )
        directory = job.id if step is None else f"{job.id}-step-{step}"
        staged = _stage(place.root / trained.folder, place.staged / directory)
        self._publish_full(name, plan, result, trained, place)
        manifest = _manifest(name, plan, result, trained)
        write_file(staged / CARD, card_of(manifest).encode())
        published = self._artifacts.publish(staged, directory, manifest)
        return AdapterVersion(
            name=name,
            project=job.project,
            base_model=plan.base_name,
            job_id=job.id,
            step=step,
            directory=directory,
            manifest_sha256=published.manifest_sha256,
            rank=trained.rank or plan.hyperparameters.lora_rank,
            heldout_file=plan.heldout_file,
            training_file=plan.training_file,
            status=AdapterStatus.PUBLISHED,
            created_at=int(time.time()),
        )

    def _publish_full(
        self, name: str, plan: Plan, result: Result, trained: TrainedVersion, place: Workplace
    ) -> None:
        """Publish the full checkpoint before the adapter whose manifest names it."""
        if trained.full is None:
            return
        directory = full_directory(plan.job_id)
        staged = _stage(place.root / trained.full, place.staged / directory)
        manifest = msgspec.structs.replace(_manifest(name, plan, result, trained), probe=[])
        self._artifacts.publish(staged, directory, manifest)


def _stage(source: Path, staged: Path) -> Path:
    shutil.rmtree(staged, ignore_errors=True)
    with storage_errors(staged):
        staged.mkdir(parents=True)
        for path in source.iterdir():  # copytree would hide the error's number
            shutil.copyfile(path, staged / path.name)
    return staged


def _manifest(name: str, plan: Plan, result: Result, trained: TrainedVersion) -> Manifest:
    chosen = manifest_hyperparameters(plan.hyperparameters, plan.max_length)
    return Manifest(
        name=name,
        job_id=plan.job_id,
        base_model=plan.base_name,
        base_sha256=result.base_sha256,
        training_sha256=plan.training_sha256,
        validation_sha256=plan.heldout_sha256,
        hyperparameters=chosen | result.settings | _lineage(plan, trained),
        seed=plan.seed,
        step=trained.step,
        libraries=result.libraries,
        probe=trained.probe,
        metrics=trained.metrics,
        created_at=int(time.time()),
        plan=portable_plan(plan),
        parent=plan.parent,
        template_sha256=result.template_sha256,
    )


def _lineage(plan: Plan, trained: TrainedVersion) -> dict[str, Any]:
    """Return how the weights were made, beyond hyperparameters, and from what."""
    full = None if trained.full is None else full_directory(plan.job_id)
    return {
        "method": plan.method,
        "training": msgspec.to_builtins(plan.options),
        "parent_manifest_sha256": plan.parent_sha256,
        "full_checkpoint": full,
    }


def _checkpoint(job: FineTuningJob, trained: TrainedVersion, name: str, now: int) -> JobCheckpoint:
    return JobCheckpoint(
        id=new_id("ftckpt"),
        job_id=job.id,
        step=trained.step,
        fine_tuned_model_checkpoint=name,
        metrics=trained.metrics,
        created_at=now,
    )
