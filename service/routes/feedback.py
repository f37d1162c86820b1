"""`/v1/feedback`: what users thought of answers.

It refuses to know the answers: a judgement names an interaction by its id.
"""

import asyncio
import time
from contextlib import suppress

from litestar import Router, post
from litestar.params import JSONBody

from registry.errors import Dropped, Invalid, NotFound
from registry.identifiers import new_id
from registry.records import Feedback, Scope
from service.auth import needs
from service.context import Caller, Parts
from service.description import may
from service.interaction_log import BATCH_SECONDS
from service.services import Services
from service.wire.feedback import CreateFeedback, FeedbackObject, feedback_object

_SCORES = {"up": 1.0, "down": 0.0}
_OTHERS_SECONDS = 2 * BATCH_SECONDS
_MOST_CHARACTERS = {
    "interaction_id": 255,
    "label": 100,
    "comment": 10_000,
    "correction": 100_000,
}


@post("/", status_code=200, responses=may(404))
async def create_feedback(
    services: Parts, caller: Caller, data: JSONBody[CreateFeedback]
) -> FeedbackObject:
    """Judge an interaction. The judgement is durable when this answers; a repeat replaces it."""
    _check(data)
    judgement = Feedback(
        id=new_id("feedback"),
        interaction_id=data.interaction_id,
        project=caller.project,
        score=_score(data),
        label=data.label,
        comment=data.comment,
        correction=data.correction,
        created_at=int(time.time()),
    )
    stored = await _judge(services, judgement)
    if stored.id == judgement.id:  # a repeat is not a second judgement
        await _count(services, stored)
    return feedback_object(stored)


async def _judge(services: Services, judgement: Feedback) -> Feedback:
    """Store a judgement, also on an interaction that still waits to be written.

    Raises:
        Dropped: The interaction could not be kept.
        NotFound: The project has no such interaction.
    """
    interactions, log = services.store.interactions, services.interaction_log
    with suppress(NotFound):
        return await interactions.judge(judgement)
    if log.was_dropped(judgement.interaction_id):
        raise Dropped("interaction", judgement.interaction_id)
    await log.flush()
    with suppress(NotFound):
        return await interactions.judge(judgement)
    await asyncio.sleep(_OTHERS_SECONDS)  # it may wait in another process
    return await interactions.judge(judgement)


async def _count(services: Services, stored: Feedback) -> None:
    seen = await services.store.interactions.get(stored.interaction_id, project=stored.project)
    services.metrics.record_feedback(deployment=seen.deployment, arm=seen.arm, score=stored.score)


def _check(data: CreateFeedback) -> None:
    for name, most in _MOST_CHARACTERS.items():
        value = getattr(data, name)
        if value is None:
            continue
        if len(value) > most:
            raise Invalid(f"'{name}' has more than {most} characters; shorten it.", name)
        if "\x00" in value:
            raise Invalid(f"'{name}' contains a NUL character; remove it.", name)


def _score(data: CreateFeedback) -> float | None:
    score = data.score if data.score is not None else _SCORES.get(data.label or "")
    if score is None:
        if not (data.label or data.comment or data.correction):
            message = "Give 'score' from 0 to 1, or a 'label', a 'comment' or a 'correction'."
            raise Invalid(message, "score")
        return None
    if not 0 <= score <= 1:
        raise Invalid("'score' must lie between 0 and 1.", "score")
    return score


router = Router(
    "/v1/feedback",
    route_handlers=[create_feedback],
    guards=[needs(Scope.INFERENCE)],
    tags=["Feedback"],
)
