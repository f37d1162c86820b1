"""From a job's files to a plan: checked, divided, resolved, and written to the job's folder.

It refuses to know how a plan is trained.
"""

import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread

from registry.artifact_store import ArtifactStore
from registry.blobs import Blobs
from registry.chatdata import Row
from registry.durable import write_file
from registry.errors import Invalid, NotFound, TrainingFailed
from registry.formats.reading import read_rows, recognise
from registry.planning.rates import ModelShape
from registry.records import DataFile, FineTuningJob, Purpose
from registry.settings import Settings
from registry.store import Store
from registry.training_options import read_options
from trainer.base_config import read_shape
from trainer.continuation import Parent, adopt, find_parent
from trainer.inspection import notices_of
from trainer.journal import derived_id, message
from trainer.plan import Hyperparameters, resolve
from trainer.protocol import DPO, Notice, Plan
from trainer.validation import (
    Division,
    divide,
    read_training_rows,
    read_validation_rows,
    require_method,
)
from trainer.workplace import Workplace


class Preparation:
    """Makes plans. Running it twice for a job makes the same plan and the same files."""

    def __init__(self, settings: Settings, store: Store, blobs: Blobs) -> None:
        self._settings = settings
        self._store = store
        self._blobs = blobs

    async def prepare(self, job: FineTuningJob, place: Workplace) -> Plan:
        """Return the plan of a job, from its folder if it was made before.

        Raises:
            TrainingFailed: The files, the hyperparameters or the base model make it impossible.
            StorageFull: The disk is full.
        """
        if place.plan.exists():
            return msgspec.json.decode(place.plan.read_bytes(), type=Plan)
        parent = await self._parent(job, place)
        shape = await to_thread.run_sync(read_shape, self._settings.base_model)
        division = await to_thread.run_sync(self._divide, job)
        told = await to_thread.run_sync(list, self._told(job))
        looked = await to_thread.run_sync(list, notices_of(division))
        for notice in [*told, *division.notices, *looked]:
            await self._store.jobs.add_event(message(job.id, notice.message, level=notice.level))
        chosen = self._resolve(job, len(division.training), shape, parent)
        plan = await self._plan(job, division, chosen, parent)
        await to_thread.run_sync(_write, place, division, plan)
        return plan

    async def _parent(self, job: FineTuningJob, place: Workplace) -> Parent | None:
        """Return the version that the job goes on from; none when it names the base model."""
        base_name = self._settings.base_name
        if job.model == base_name:
            return None
        if not job.model.startswith("ft:"):
            raise TrainingFailed(
                "base_model_unavailable",
                f"The job wants the base model '{job.model}', and this trainer has '{base_name}'.",
                "model",
            )
        version = await find_parent(self._store, job, base_name)
        store = ArtifactStore(self._settings)
        return await to_thread.run_sync(adopt, version, store, place.parent)

    def _resolve(
        self, job: FineTuningJob, rows: int, shape: ModelShape, parent: Parent | None
    ) -> Hyperparameters:
        requested = job.hyperparameters
        if parent is not None:
            requested = parent.requested(requested)
        try:
            return resolve(
                requested,
                rows=rows,
                model=shape,
                max_lora_rank=self._settings.max_lora_rank,
                method=_method_of(job),
                options=read_options(job.training),
            )
        except Invalid as exc:
            raise TrainingFailed("invalid_hyperparameters", str(exc), exc.param) from exc

    def _divide(self, job: FineTuningJob) -> Division:
        training = read_training_rows(read_rows(self._path(job.training_file, "training")))
        method = _method_of(job)
        require_method(training, method, "training")
        if job.validation_file is None:
            return divide(training, None)
        path = self._path(job.validation_file, "validation")
        validation = read_validation_rows(read_rows(path))
        require_method(validation, method, "validation")
        return divide(training, validation)

    def _told(self, job: FineTuningJob) -> Iterator[Notice]:
        """Yield what the files, which are known to be sound, are read as."""
        for kind, file_id in (
            ("training", job.training_file),
            ("validation", job.validation_file),
        ):
            if file_id is not None:
                found = recognise(self._blobs.path(file_id))
                yield Notice(level="info", message=f"The {kind} file is read as {found}.")

    def _path(self, file_id: str, kind: str) -> Path:
        path = self._blobs.path(file_id)
        if not path.exists():
            raise TrainingFailed(
                f"invalid_{kind}_file",
                f"The content of the {kind} file '{file_id}' is gone. Upload it again.",
                f"{kind}_file",
            )
        return path

    async def _plan(
        self,
        job: FineTuningJob,
        division: Division,
        chosen: Hyperparameters,
        parent: Parent | None,
    ) -> Plan:
        options, longest = read_options(job.training), self._settings.max_model_len
        training = await self._file(job.training_file)
        heldout = None
        if job.validation_file is not None:
            heldout = await self._file(job.validation_file)
        elif division.heldout:
            heldout = await self._derive(job, training, division.heldout, "heldout")
        if division.excluded:
            training = await self._derive(job, training, division.training, "training")
        return Plan(
            job_id=job.id,
            base_model=_absolute(self._settings.base_model),
            base_name=self._settings.base_name,
            seed=job.seed,
            hyperparameters=chosen,
            options=options,
            method=_method_of(job),
            max_lora_rank=self._settings.max_lora_rank,
            parent=None if parent is None else parent.name,
            parent_sha256=None if parent is None else parent.manifest_sha256,
            parent_base_sha256=None if parent is None else parent.base_sha256,
            max_length=min(options.max_length or longest, longest),
            checkpoint_steps=self._settings.checkpoint_steps,
            memory_bytes=self._settings.training_memory_bytes,
            training_file=training.id,
            training_sha256=training.sha256,
            heldout_file=None if heldout is None else heldout.id,
            heldout_sha256=None if heldout is None else heldout.sha256,
        )

    async def _file(self, file_id: str) -> DataFile:
        try:
            return await self._store.files.get(file_id)
        except NotFound as exc:
            raise TrainingFailed("invalid_training_file", str(exc), "training_file") from exc

    async def _derive(
        self, job: FineTuningJob, source: DataFile, rows: Sequence[Row], part: str
    ) -> DataFile:
        """Store some rows of a job's training file as a file of their own."""
        content = msgspec.json.Encoder().encode_lines([_as_uploaded(row) for row in rows])
        identifier = derived_id("file", job.id, part)
        await to_thread.run_sync(self._blobs.write, identifier, content)
        file = DataFile(
            id=identifier,
            project=job.project,
            filename=f"{Path(source.filename).stem}-{part}.jsonl",
            purpose=Purpose.EVALS if part == "heldout" else Purpose.FINE_TUNE,
            bytes=len(content),
            sha256=sha256(content).hexdigest(),
            rows=len(rows),
            created_at=int(time.time()),
        )
        try:
            return await self._store.files.get(identifier)
        except NotFound:
            await self._store.files.add(file)
            return file


def _method_of(job: FineTuningJob) -> str:
    method: str = job.method.get("type", "supervised")
    if method not in ("supervised", DPO):
        raise TrainingFailed(
            "unsupported_method",
            f"The method '{method}' is not supported. Use 'supervised' or 'dpo'.",
            "method",
        )
    return method


def _as_uploaded(row: Row) -> dict[str, Any]:
    if row.rejected is not None:
        messages = row.messages or []
        asked: dict[str, Any] = {"messages": messages[:-1]}
        return {
            "input": asked if row.tools is None else asked | {"tools": row.tools},
            "preferred_output": messages[-1:],
            "non_preferred_output": row.rejected,
        }
    said = ("messages", "tools", "prompt", "completion", "cluster", "segment", "metric")
    found = {name: getattr(row, name) for name in said if getattr(row, name) is not None}
    return {**found, "canary": True} if row.canary else found


def _absolute(base_model: str) -> str:
    folder = Path(base_model)
    return str(folder.absolute()) if folder.exists() else base_model


def _write(place: Workplace, division: Division, plan: Plan) -> None:
    """Write the rows, then the plan: whoever finds the plan finds the rows."""
    encoder = msgspec.json.Encoder()
    write_file(place.training, encoder.encode_lines(division.training))
    if division.heldout:
        write_file(place.validation, encoder.encode_lines(division.heldout))
    write_file(place.plan, msgspec.json.encode(plan))
