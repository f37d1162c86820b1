"""`/v1/files/from-feedback`: judged interactions become the next training file.

It refuses to know which answers are good; `feedback_rows.py` does.
"""

import time
from hashlib import sha256

import msgspec
from anyio import to_thread
from litestar import Router, post
from litestar.params import JSONBody

from registry.chatdata import MIN_TRAINING_ROWS
from registry.errors import Invalid
from registry.identifiers import new_id
from registry.records import DataFile, Purpose, Scope
from registry.store.interactions import Choice
from service.auth import needs
from service.context import Caller, Parts
from service.description import may
from service.feedback_rows import Collection
from service.services import Services
from service.wire.feedback_files import CreateFeedbackFile, FeedbackFileObject
from service.wire.files import file_object

MAX_ROWS = 10_000
"""Most rows of one file."""
MAX_BYTES = 64 * 1024 * 1024
"""Most content that is collected for one file."""
MAX_CONSIDERED = 100_000
"""Most judgements looked at for one file."""
_PAGE = 200


@post("/", status_code=200, responses=may(507))
async def create_feedback_file(
    services: Parts, caller: Caller, data: JSONBody[CreateFeedbackFile]
) -> FeedbackFileObject:
    """Make a training file of good and corrected answers, or of pairs for DPO.

    Only interactions whose text was kept can become rows: see `PUT /v1/project`. The answer comes
    when the file is durable, and says what was left out and why.
    """
    _check(data)
    collection = Collection(
        data.purpose,
        min_score=data.min_score,
        max_rows=data.limit,
        max_bytes=min(MAX_BYTES, services.settings.max_upload_bytes),
    )
    considered = await _collect(services, caller.project, data, collection)
    if len(collection.rows) < MIN_TRAINING_ROWS:
        raise Invalid(_too_few(collection, considered), None, "too_few_rows")
    content = b"".join(collection.rows)
    file = DataFile(
        id=new_id("file"),
        project=caller.project,
        filename=f"feedback-{data.purpose}.jsonl",
        purpose=Purpose.FINE_TUNE,
        bytes=len(content),
        sha256=sha256(content).hexdigest(),
        rows=len(collection.rows),
        created_at=int(time.time()),
    )
    # The content goes first: a crash in between leaves content that nobody can name.
    await to_thread.run_sync(services.blobs.write, file.id, content)
    await services.store.files.add(file)
    return FeedbackFileObject(
        **msgspec.structs.asdict(file_object(file)),
        considered=considered,
        skipped={reason.value: count for reason, count in collection.skipped.items()},
    )


async def _collect(
    services: Services, project: str, data: CreateFeedbackFile, collection: Collection
) -> int:
    """Take judgements, newest first, until nothing more fits; return how many were looked at."""
    choice = Choice(
        project=project,
        deployment=data.deployment,
        model=data.model,
        since=data.since,
        until=data.until,
    )
    considered, before = 0, None
    while not collection.is_full and considered < MAX_CONSIDERED:
        page = await services.store.interactions.judged(choice, before=before, limit=_PAGE)
        for judged in page.data:
            collection.take(judged)
        considered += len(page.data)
        before = page.next
        if before is None:
            break
    collection.finish()
    return considered


def _check(data: CreateFeedbackFile) -> None:
    if not 0 <= data.min_score <= 1:
        raise Invalid("'min_score' must lie between 0 and 1.", "min_score")
    if not MIN_TRAINING_ROWS <= data.limit <= MAX_ROWS:
        message = f"'limit' must lie between {MIN_TRAINING_ROWS} and {MAX_ROWS}."
        raise Invalid(message, "limit")
    if data.since is not None and data.until is not None and data.since >= data.until:
        raise Invalid("'since' must lie before 'until'.", "since")


def _too_few(collection: Collection, considered: int) -> str:
    skipped = ", ".join(f"{count} {reason}" for reason, count in collection.skipped.items())
    return (
        f"Only {len(collection.rows)} rows came of {considered} judgements"
        f"{f' (left out: {skipped})' if skipped else ''}; a training file needs "
        f"{MIN_TRAINING_ROWS}. Collect more feedback, keep texts with PUT /v1/project, or widen "
        "the filters."
    )


router = Router(
    "/v1/files/from-feedback",
    route_handlers=[create_feedback_file],
    guards=[needs(Scope.TRAINING)],
    tags=["Files"],
)
