"""Works out what a job would take: counts its tokens, looks up earlier speeds, applies the rules.

It refuses to know the rules themselves, which lie in `registry/planning`.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread

from registry.chatdata import Row, rows_of
from registry.errors import Invalid, InvalidData, Unavailable
from registry.planning.memory import (
    EAGER_ATTENTION_TOKENS,
    Footprint,
    Precision,
    estimate,
)
from registry.planning.rules import (
    AUTO_LORA_RANK,
    auto_batch_size,
    auto_epochs,
    heldout_rows,
    total_steps,
)
from registry.planning.shape import BaseShape, shape_of
from registry.planning.speed import PROCESSOR_FLOPS, Speed, seconds_of, seen_speed, stated_speed
from registry.processor import has_fast_bfloat16
from registry.records import FineTuningJob, Record
from registry.settings import Settings
from registry.store import Store
from registry.training_options import Technique, TrainingOptions, read_options
from service.importing.foundation import find_folder
from service.services import Services
from service.wire.estimates import EstimateObject

MESSAGE_TOKENS = 5
"""Tokens that a chat template adds to a message, about: role, line ends, end of turn."""
JOBS_LOOKED_AT = 10
"""Finished jobs whose speed counts."""
_CHUNK_ROWS = 1_000


class Counted(Record, frozen=True, kw_only=True):
    """The tokens of a file's rows."""

    lengths: list[int]
    """Tokens of each row, at most the longest that may be."""
    cut: int
    """Rows that are longer."""


async def estimate_of(services: Services, job: FineTuningJob) -> EstimateObject:
    """Return what a job would take.

    Raises:
        Invalid: A file's rows are at fault.
        Unavailable: The base model's files are not on this machine.
    """
    settings = services.settings
    options = read_options(job.training)
    longest = min(options.max_length or settings.max_model_len, settings.max_model_len)
    folder = await to_thread.run_sync(find_folder, settings.base_model)
    counted = await to_thread.run_sync(
        _count, services.blobs.path(job.training_file), folder, longest
    )
    heldout = 0
    if job.validation_file is None:
        heldout = heldout_rows(len(counted.lengths))
    else:
        heldout = (await services.store.files.get(job.validation_file)).rows
    return await _put_together(services, job, options, counted, heldout, _shape(folder))


async def _put_together(
    services: Services,
    job: FineTuningJob,
    options: TrainingOptions,
    counted: Counted,
    heldout: int,
    shape: BaseShape | None,
) -> EstimateObject:
    settings, rows = services.settings, len(counted.lengths)
    share = 1.0 if job.validation_file else max(1, rows - heldout) / rows
    trained = max(1, round(rows * share))
    epochs = _chosen(job, "n_epochs") or auto_epochs(trained, job.method["type"])
    batch_size = _chosen(job, "batch_size") or auto_batch_size(trained)
    tokens = round(sum(counted.lengths) * share) * epochs
    speed = seen_speed(await speeds_of(services.store, job)) or _stated(
        settings, options, shape, sum(counted.lengths) / rows
    )
    seconds = seconds_of(tokens, speed)
    memory = _memory(settings, options, shape, job, max(counted.lengths), batch_size)
    return EstimateObject(
        model=job.model,
        training_rows=trained,
        heldout_rows=heldout,
        n_epochs=epochs,
        batch_size=batch_size,
        total_steps=total_steps(rows=trained, epochs=epochs, batch_size=batch_size),
        tokens=tokens,
        longest_row_tokens=max(counted.lengths),
        cut_rows=counted.cut,
        tokens_per_second=round(speed.tokens_per_second, 1),
        seconds=round(seconds, 1),
        memory_bytes=memory,
        cost=round(seconds / 3600 * settings.price_per_hour, 6),
        currency=settings.price_currency,
        basis={
            "tokens": "The base model's tokenizer on each text, and "
            f"{MESSAGE_TOKENS} tokens a message for its chat template.",
            "seconds": speed.basis,
            "memory_bytes": "A formula of the base model's sizes, on a machine without a GPU, "
            "with as many tokens at a time as memory may allow.",
        },
    )


async def speeds_of(store: Store, job: FineTuningJob) -> list[float]:
    """Return the last speeds of the project's newest finished jobs on the same base model."""
    page = await store.jobs.page(project=job.project, after=None, limit=100)
    ended = [past for past in page.data if past.fine_tuned_model and past.model == job.model]
    found = []
    for past in ended[:JOBS_LOOKED_AT]:
        events = await store.jobs.events(past.id, after=None, limit=20)
        speeds = (event.data.get("tokens_per_second") for event in events.data)
        newest = next((speed for speed in speeds if speed), None)
        if newest is not None:
            found.append(float(newest))
    return found


def count_tokens(rows: Iterable[Row], folder: Path, longest: int) -> Counted:
    """Return the tokens of rows, by the base model's own tokenizer."""
    # Tokenizers take 15 MB, and only an estimate needs them.
    from tokenizers import Tokenizer  # noqa: PLC0415 - see above

    path = folder / "tokenizer.json"
    if not path.exists():
        message = "The base model has no 'tokenizer.json', so tokens cannot be counted here."
        raise Unavailable("base model", message, retry_after_seconds=60)
    tokenizer = Tokenizer.from_file(str(path))
    lengths: list[int] = []
    for chunk in _chunks(rows):
        texts = [text for row in chunk for text in _texts(row)]
        sizes = iter([len(found.ids) for found in tokenizer.encode_batch(texts)])
        for row in chunk:
            parts = len(list(_texts(row)))
            extra = MESSAGE_TOKENS * len(row.messages or ())
            lengths.append(sum(islice(sizes, parts)) + extra)
    cut = sum(length > longest for length in lengths)
    return Counted(lengths=[max(1, min(length, longest)) for length in lengths], cut=cut)


def _count(path: Path, folder: Path, longest: int) -> Counted:
    try:
        with path.open("rb") as stream:
            return count_tokens(rows_of(stream), folder, longest)
    except InvalidData as exc:
        raise Invalid(str(exc), "training_file", "invalid_training_file") from exc
    except FileNotFoundError as exc:
        message = "The content of the training file is gone. Upload it again."
        raise Invalid(message, "training_file", "file_not_found") from exc


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK_ROWS)):
        yield chunk


def _texts(row: Row) -> Iterator[str]:
    if row.messages is None:
        yield row.prompt or ""
        yield row.completion or ""
        return
    for message in row.messages:
        content = message.get("content")
        yield content if isinstance(content, str) else _json(content)
        if message.get("tool_calls"):
            yield _json(message["tool_calls"])
    if row.tools:
        yield _json(row.tools)


def _json(value: Any) -> str:  # noqa: ANN401 - JSON
    return "" if value is None else msgspec.json.encode(value).decode()


def _shape(folder: Path) -> BaseShape | None:
    try:
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, Any])
        return shape_of(config)
    except (OSError, ValueError):  # a model of another make
        return None


def _stated(
    settings: Settings, options: TrainingOptions, shape: BaseShape | None, length: float
) -> Speed:
    if shape is None:
        message = (
            "No job of this project on this base model has ended, and its configuration does not "
            "tell its size, so the time cannot be estimated. Train a small job first."
        )
        raise Unavailable("base model", message, retry_after_seconds=60)
    flops = settings.training_flops or PROCESSOR_FLOPS * (os.cpu_count() or 1)
    trains_all = options.technique is Technique.FULL
    return stated_speed(shape, length=length, flops=flops, trains_all=trains_all)


def _memory(
    settings: Settings,
    options: TrainingOptions,
    shape: BaseShape | None,
    job: FineTuningJob,
    longest: int,
    batch_size: int,
) -> int | None:
    if shape is None:
        return None
    is_fast = has_fast_bfloat16()
    precision = Precision(
        weight_bytes=0.6 if options.technique is Technique.QLORA else 2 if is_fast else 4,
        compute_bytes=2 if is_fast else 4,
        trains_all=options.technique is Technique.FULL,
        written_out=longest <= EAGER_ATTENTION_TOKENS,
    )
    footprint = Footprint(gradient_checkpointing=options.gradient_checkpointing is True)
    rank = _chosen(job, "lora_rank") or min(AUTO_LORA_RANK, settings.max_lora_rank)
    return estimate(
        shape, precision, footprint, rank=rank, longest=longest, batch_size=batch_size
    ).total


def _chosen(job: FineTuningJob, name: str) -> int | None:
    value = job.hyperparameters.get(name)
    return value if isinstance(value, int) else None
