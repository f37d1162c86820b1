"""`/v1/deployments`: public names, trials, promotion and rollback.

It refuses to decide: `service/promotion.py` does. Each change is routed before it is answered.
"""

import secrets
import time
from typing import Annotated

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from registry.errors import NotFound
from registry.records import AdapterVersion, ApiKey, Deployment, Scope, Verdict
from service import promotion
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import may
from service.ramping import weight_at
from service.services import Services
from service.staleness import stale_reason
from service.wire.deployments import (
    CHANGE_PREFIX,
    ChangeObject,
    CreateDeployment,
    DeploymentObject,
    Promote,
    RollBack,
    UpdateDeployment,
    change_object,
    deployment_object,
)
from service.wire.lists import Deleted, ListOf

SHOWN_CHANGES = 20
"""Changes that a deployment's object shows; the others are in its history."""
_MOST_DIGITS = 18  # of a number that fits in 64 bits


@post("/", status_code=200, responses=may(404, 409))
async def create_deployment(
    services: Parts, caller: Caller, data: JSONBody[CreateDeployment]
) -> DeploymentObject:
    """Create a deployment. An adapter version needs the verdict `go` to be its stable version."""
    deployment = promotion.created(
        data,
        project=caller.project,
        base_name=services.settings.base_name,
        salt=_new_salt(),
        now=int(time.time()),
    )
    override = await _check_stable(services, caller, data.stable, data.override_reason)
    reason = promotion.reason_of(data.reason, override)
    await _check_trial(services, caller, deployment)
    change = promotion.change_of(deployment, "create", actor=caller.id, reason=reason)
    await services.store.deployments.add(deployment, change)
    return await _answer(services, deployment)


@get("/")
async def list_deployments(services: Parts, caller: Caller) -> ListOf[DeploymentObject]:
    """List the project's deployments by name."""
    deployments = await services.store.deployments.of(caller.project)
    now = time.time()
    data = [deployment_object(each, weight_now=weight_at(each, now)) for each in deployments]
    return ListOf(data=data)


@get("/{name:str}")
async def get_deployment(services: Parts, caller: Caller, name: FromPath[str]) -> DeploymentObject:
    """Return a deployment with what its arms did and who changed it."""
    return await _in_full(services, await _get(services, caller, name))


@get("/{name:str}/history")
async def list_changes(
    services: Parts,
    caller: Caller,
    name: FromPath[str],
    after: After = None,
    limit: Limit = 20,
) -> ListOf[ChangeObject]:
    """List who changed what, newest first; a deleted deployment has its history too."""
    page = await services.store.deployments.history_page(
        name, project=caller.project, after=_place(after), limit=limit
    )
    if not page.data and after is None:  # nothing of this name was ever there
        raise NotFound("deployment", name)
    data = [change_object(change) for change in page.data]
    return ListOf(data=data, has_more=page.has_more)


@patch("/{name:str}", responses=may(409))
async def update_deployment(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[UpdateDeployment]
) -> DeploymentObject:
    """Change the candidate, the weights, the ramp, the shadow or the units."""
    return await _update(services, caller, name, data)


@post("/{name:str}", status_code=200, responses=may(409))
async def update_deployment_by_post(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[UpdateDeployment]
) -> DeploymentObject:
    """Change a deployment, for clients without PATCH."""
    return await _update(services, caller, name, data)


@post("/{name:str}/promote", status_code=200, responses=may(409))
async def promote(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[Promote | None] = None
) -> DeploymentObject:
    """Make the candidate stable. It needs the verdict `go`, or an override with a reason."""
    asked = data or Promote()
    present = await _get(services, caller, name)
    promotion.check_generation(present, asked.generation)
    following = promotion.promoted(present, int(time.time()))
    override = await _check_stable(services, caller, following.stable, asked.override_reason)
    reason = promotion.reason_of(asked.reason, override)
    return await _replace(services, caller, following, "promote", reason)


@post("/{name:str}/rollback", status_code=200, responses=may(409))
async def roll_back(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[RollBack | None] = None
) -> DeploymentObject:
    """Return to the stable version before the present one, and end a trial."""
    asked = data or RollBack()
    present = await _get(services, caller, name)
    promotion.check_generation(present, asked.generation)
    history = await services.store.deployments.history(name, project=caller.project)
    following = promotion.rolled_back(present, history, int(time.time()))
    reason = promotion.reason_of(asked.reason)
    return await _replace(services, caller, following, "rollback", reason)


@delete("/{name:str}", status_code=200, responses=may(409))
async def delete_deployment(
    services: Parts,
    caller: Caller,
    name: FromPath[str],
    reason: Annotated[str | None, QueryParameter(description="Why; recorded.")] = None,
) -> Deleted:
    """Delete a deployment; its history stays."""
    present = await _get(services, caller, name)
    last = promotion.next_generation(present, int(time.time()))
    why = promotion.reason_of(reason)
    change = promotion.change_of(last, "delete", actor=caller.id, reason=why)
    await services.store.deployments.delete(name, change)
    await _route(services)
    return Deleted(id=name, object="deployment")


async def _update(
    services: Services, caller: ApiKey, name: str, request: UpdateDeployment
) -> DeploymentObject:
    present = await _get(services, caller, name)
    following = promotion.updated(present, request, salt=_new_salt(), now=int(time.time()))
    await _check_trial(services, caller, following)
    reason = promotion.reason_of(request.reason)
    return await _replace(services, caller, following, "update", reason)


async def _get(services: Services, caller: ApiKey, name: str) -> Deployment:
    return await services.store.deployments.get(name, project=caller.project)


async def _replace(
    services: Services,
    caller: ApiKey,
    following: Deployment,
    action: str,
    reason: promotion.Reason,
) -> DeploymentObject:
    change = promotion.change_of(following, action, actor=caller.id, reason=reason)
    await services.store.deployments.replace(following, change)
    return await _answer(services, following)


async def _answer(services: Services, deployment: Deployment) -> DeploymentObject:
    await _route(services)
    return await _in_full(services, deployment)


async def _route(services: Services) -> None:
    await services.routing.refresh()
    services.reconciler.wake()


async def _in_full(services: Services, deployment: Deployment) -> DeploymentObject:
    project, name = deployment.project, deployment.name
    outcomes = await services.store.interactions.outcomes(project=project, deployment=name)
    history = await services.store.deployments.history_page(
        name, project=project, after=None, limit=SHOWN_CHANGES
    )
    return deployment_object(
        deployment,
        weight_now=weight_at(deployment, time.time()),
        outcomes=outcomes,
        history=history.data,
    )


def _place(after: str | None) -> int | None:
    """Return the number in a change's id."""
    if after is None:
        return None
    digits = after.removeprefix(CHANGE_PREFIX)
    if not digits.isdecimal() or len(digits) > _MOST_DIGITS:
        raise NotFound("cursor", after)
    return int(digits)


async def _check_trial(services: Services, caller: ApiKey, deployment: Deployment) -> None:
    """Check that candidate and shadow may be pointed at."""
    for name in (deployment.candidate, deployment.shadow):
        version = None if name is None else await _version(services, caller, name)
        if version is not None:
            promotion.check_serving(version)


async def _check_stable(
    services: Services, caller: ApiKey, name: str, override_reason: str | None
) -> str | None:
    """Check that a model may be stable; the base model always may."""
    version = await _version(services, caller, name)
    if version is None:
        return None
    found = await services.store.evaluations.latest(name)
    latest = found[0] if found else None
    stale = None
    if latest is not None and latest.verdict is Verdict.GO:
        stale = await stale_reason(
            version, latest, blobs=services.blobs, settings=services.settings
        )
    return promotion.check_promotable(version, latest, override_reason, stale)


async def _version(services: Services, caller: ApiKey, name: str) -> AdapterVersion | None:
    """Return an adapter version of the caller's project; none for the base model."""
    if name == services.settings.base_name:
        return None
    version = await services.store.adapters.get(name, project=caller.project)
    if version.base_model != services.settings.base_name:
        raise NotFound("model", name)
    return version


def _new_salt() -> str:
    return secrets.token_hex(16)


router = Router(
    "/v1/deployments",
    route_handlers=[
        create_deployment,
        list_deployments,
        get_deployment,
        list_changes,
        update_deployment,
        update_deployment_by_post,
        promote,
        roll_back,
        delete_deployment,
    ],
    guards=[needs(Scope.TRAINING)],
    tags=["Deployments"],
)
