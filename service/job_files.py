"""Whether the files, and the earlier version, that a job names are there and fit.

It refuses to know what is in them.
"""

from registry.errors import Invalid, NotFound
from registry.lifecycle import AdapterStatus
from registry.records import DataFile, FineTuningJob, Purpose
from registry.store import Store


async def require_files(store: Store, job: FineTuningJob) -> None:
    """Make sure that a new job's files can be trained and examined on.

    Raises:
        Invalid: One does not exist in the project or has another purpose; its field is named.
    """
    await require_file(store, job, "training_file", {Purpose.FINE_TUNE})
    await require_file(store, job, "validation_file", {Purpose.FINE_TUNE, Purpose.EVALS})


async def require_file(
    store: Store, job: FineTuningJob, param: str, purposes: set[Purpose]
) -> DataFile | None:
    """Return the file that a field of a job names, none when it names none.

    Raises:
        Invalid: It does not exist in the project, or has another purpose; the field is named.
    """
    file_id: str | None = getattr(job, param)
    if file_id is None:
        return None
    try:
        file = await store.files.get(file_id, project=job.project)
    except NotFound as exc:
        raise Invalid(str(exc), param, "file_not_found") from exc
    if file.purpose not in purposes:
        wanted = " or ".join(f"'{purpose}'" for purpose in sorted(purposes))
        message = f"The file '{file.id}' has the purpose '{file.purpose}', not {wanted}."
        raise Invalid(message, param)
    return file


async def require_parent(store: Store, job: FineTuningJob, base_name: str) -> None:
    """Make sure that a job can go on from the version it names.

    Raises:
        NotFound: The project has no such version.
        Invalid: Training cannot go on from it.
    """
    if job.model == base_name:
        return
    version = await store.adapters.get(job.model, project=job.project)
    if version.status not in (AdapterStatus.PUBLISHED, AdapterStatus.READY):
        message = f"The model '{version.name}' is {version.status}; training cannot go on from it."
        raise Invalid(message, "model", "model_not_trainable")
    if version.base_model != base_name:
        message = (
            f"The model '{version.name}' belongs to the base model '{version.base_model}', and "
            f"this server has '{base_name}'."
        )
        raise Invalid(message, "model", "model_not_trainable")
