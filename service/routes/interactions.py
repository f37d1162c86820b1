"""`/v1/interactions`: what was asked and how it went.

It refuses to change anything: the log is written behind the requests.
"""

from typing import Annotated

from litestar import Router, get
from litestar.params import FromPath, FromQuery, QueryParameter

from registry.records import Arm, Scope
from registry.store.interactions import Choice
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.wire.interactions import InteractionObject, interaction_object
from service.wire.lists import ListOf

Moment = Annotated[float | None, QueryParameter(description="Unix time in seconds.")]


@get("/")
async def list_interactions(
    services: Parts,
    caller: Caller,
    deployment: FromQuery[str | None] = None,
    arm: FromQuery[Arm | None] = None,
    model: FromQuery[str | None] = None,
    since: Moment = None,
    until: Moment = None,
    has_feedback: FromQuery[bool | None] = None,
    after: After = None,
    limit: Limit = 20,
) -> ListOf[InteractionObject]:
    """List the project's interactions, newest first; `until` is exclusive."""
    choice = Choice(
        project=caller.project,
        deployment=deployment,
        arm=None if arm is None else arm.value,
        model=model,
        since=since,
        until=until,
        has_feedback=has_feedback,
    )
    page = await services.store.interactions.page(choice, after=after, limit=limit)
    return ListOf(data=[interaction_object(each) for each in page.data], has_more=page.has_more)


@get("/{interaction_id:str}")
async def get_interaction(
    services: Parts, caller: Caller, interaction_id: FromPath[str]
) -> InteractionObject:
    """Return an interaction, with its text if it was kept and its judgement."""
    store, project = services.store, caller.project
    found = await store.interactions.get(interaction_id, project=project)
    return interaction_object(
        found,
        await store.projects.text(interaction_id, project=project),
        await store.interactions.judgement_on(interaction_id, project=project),
    )


router = Router(
    "/v1/interactions",
    route_handlers=[list_interactions, get_interaction],
    guards=[needs(Scope.TRAINING)],
    tags=["Interactions"],
)
