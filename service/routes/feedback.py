"""`/v1/feedback`: what users thought of answers.

It refuses to know the answers: a judgement names an interaction by its id.
"""

import time

from litestar import Router, post
from litestar.params import JSONBody

from registry.errors import Invalid, NotFound
from registry.identifiers import new_id
from registry.records import Feedback, Scope
from service.auth import needs
from service.context import Caller, Parts
from service.services import Services
from service.wire.feedback import CreateFeedback, FeedbackObject, feedback_object

_SCORES = {"up": 1.0, "down": 0.0}


@post("/", status_code=200)
async def create_feedback(
    services: Parts, caller: Caller, data: JSONBody[CreateFeedback]
) -> FeedbackObject:
    """Judge an interaction. The judgement is durable when this answers; a repeat replaces it."""
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
    try:
        return await services.store.interactions.judge(judgement)
    except NotFound:  # the interaction may still wait to be written
        await services.interaction_log.flush()
        return await services.store.interactions.judge(judgement)


async def _count(services: Services, stored: Feedback) -> None:
    seen = await services.store.interactions.get(stored.interaction_id, project=stored.project)
    services.metrics.record_feedback(deployment=seen.deployment, arm=seen.arm, score=stored.score)


def _score(data: CreateFeedback) -> float:
    score = data.score if data.score is not None else _SCORES.get(data.label or "")
    if score is None:
        raise Invalid("Give 'score' from 0 to 1, or the label 'up' or 'down'.", "score")
    if not 0 <= score <= 1:
        raise Invalid("'score' must lie between 0 and 1.", "score")
    return score


router = Router(
    "/v1/feedback",
    route_handlers=[create_feedback],
    guards=[needs(Scope.INFERENCE)],
    tags=["Feedback"],
)
