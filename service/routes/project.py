"""`/v1/project`: what the caller's project chose about its data. Only for the scope `admin`.

It refuses to know which texts are kept.
"""

import time

from litestar import Router, delete, get, put
from litestar.params import JSONBody

from registry.errors import Invalid
from registry.records import Project, Scope
from service.auth import needs
from service.context import Caller, Parts
from service.wire.project import ChangeProject, ProjectObject, TextsDeleted, project_object

_MAX_DAYS = 3650


@get("/")
async def get_project(services: Parts, caller: Caller) -> ProjectObject:
    """Return what the project chose."""
    return project_object(await services.store.projects.get(caller.project))


@put("/")
async def put_project(
    services: Parts, caller: Caller, data: JSONBody[ChangeProject]
) -> ProjectObject:
    """Choose which texts are kept, and for how long.

    A share of 0 keeps no new text, from now on in this process and within a second in others.
    Texts that are kept already stay for their time: `DELETE /v1/project/texts` deletes them. A
    shorter retention deletes what is older at once.
    """
    present = await services.store.projects.get(caller.project)
    changed = Project(
        name=caller.project,
        text_share=_share(data.text_share, present.text_share),
        text_retention_days=_days(data.text_retention_days, present.text_retention_days),
        updated_at=int(time.time()),
    )
    await services.store.projects.put(changed)
    await services.texts.refresh()
    if changed.text_retention_days < present.text_retention_days:
        await services.texts.sweep(time.time())
    return project_object(changed)


@delete("/texts", status_code=200)
async def delete_texts(services: Parts, caller: Caller) -> TextsDeleted:
    """Delete every text of the project that was kept up to now; the interactions stay."""
    await services.interaction_log.flush()  # none that waits may come to light afterwards
    removed = await services.store.projects.forget_texts(caller.project)
    return TextsDeleted(texts=removed)


def _share(wanted: float | None, present: float) -> float:
    if wanted is None:
        return present
    if not 0 <= wanted <= 1:
        raise Invalid("'text_share' must lie between 0 and 1.", "text_share")
    return wanted


def _days(wanted: int | None, present: int) -> int:
    if wanted is None:
        return present
    if not 1 <= wanted <= _MAX_DAYS:
        message = f"'text_retention_days' must lie between 1 and {_MAX_DAYS}."
        raise Invalid(message, "text_retention_days")
    return wanted


router = Router(
    "/v1/project",
    route_handlers=[get_project, put_project, delete_texts],
    guards=[needs(Scope.ADMIN)],
    tags=["Project"],
)
