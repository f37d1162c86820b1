"""`/v1/deployments`: public names, trials, promotion and rollback.

It refuses to decide: `service/promotion.py` does. Each change is routed before it is answered.
"""

import secrets
import time

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from registry.errors import NotFound
from registry.records import AdapterVersion, ApiKey, Deployment, Scope
from service import promotion
from service.auth import needs
from service.context import Caller, Parts
from service.services import Services
from service.wire.deployments import (
    CreateDeployment,
    DeploymentObject,
    Promote,
    UpdateDeployment,
    deployment_object,
)
from service.wire.lists import Deleted, ListOf


@post("/", status_code=200)
async def create_deployment(
    services: Parts, caller: Caller, data: JSONBody[CreateDeployment]
) -> DeploymentObject:
    """Create a deployment. An adapter version needs the verdict `go` to be its stable version."""
    promotion.check_name(data.name, services.settings.base_name)
    reason = await _check_stable(services, caller, data.stable, data.override_reason)
    if data.candidate is not None:
        await _check_candidate(services, caller, data.candidate)
    now = int(time.time())
    deployment = Deployment(
        name=data.name,
        project=caller.project,
        stable=data.stable,
        candidate=data.candidate,
        candidate_weight=promotion.candidate_weight(data.candidate_weight, data.weights) or 0.0,
        salt=_new_salt(),
        generation=1,
        created_at=now,
        updated_at=now,
    )
    promotion.check_trial(deployment)
    change = promotion.change_of(deployment, "create", actor=caller.id, reason=reason)
    await services.store.deployments.add(deployment, change)
    return await _answer(services, deployment)


@get("/")
async def list_deployments(services: Parts, caller: Caller) -> ListOf[DeploymentObject]:
    """List the project's deployments by name."""
    deployments = await services.store.deployments.of(caller.project)
    return ListOf(data=[deployment_object(deployment) for deployment in deployments])


@get("/{name:str}")
async def get_deployment(services: Parts, caller: Caller, name: FromPath[str]) -> DeploymentObject:
    """Return a deployment with what its arms did and who changed it."""
    return await _in_full(services, await _get(services, caller, name))


@patch("/{name:str}")
async def update_deployment(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[UpdateDeployment]
) -> DeploymentObject:
    """Change the candidate or the weights."""
    return await _update(services, caller, name, data)


@post("/{name:str}", status_code=200)
async def update_deployment_by_post(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[UpdateDeployment]
) -> DeploymentObject:
    """Change the candidate or the weights, for clients without PATCH."""
    return await _update(services, caller, name, data)


@post("/{name:str}/promote", status_code=200)
async def promote(
    services: Parts, caller: Caller, name: FromPath[str], data: JSONBody[Promote | None] = None
) -> DeploymentObject:
    """Make the candidate stable. It needs the verdict `go`, or an override with a reason."""
    present = await _get(services, caller, name)
    following = promotion.promoted(present, int(time.time()))
    override = data.override_reason if data else None
    reason = await _check_stable(services, caller, following.stable, override)
    return await _replace(services, caller, following, "promote", reason)


@post("/{name:str}/rollback", status_code=200)
async def roll_back(services: Parts, caller: Caller, name: FromPath[str]) -> DeploymentObject:
    """Return to the stable version before the present one, and end a trial."""
    present = await _get(services, caller, name)
    history = await services.store.deployments.history(name, project=caller.project)
    following = promotion.rolled_back(present, history, int(time.time()))
    return await _replace(services, caller, following, "rollback", None)


@delete("/{name:str}", status_code=200)
async def delete_deployment(services: Parts, caller: Caller, name: FromPath[str]) -> Deleted:
    """Delete a deployment; its history stays."""
    present = await _get(services, caller, name)
    last = promotion.next_generation(present, int(time.time()))
    change = promotion.change_of(last, "delete", actor=caller.id)
    await services.store.deployments.delete(name, change)
    await _route(services)
    return Deleted(id=name, object="deployment")


async def _update(
    services: Services, caller: ApiKey, name: str, request: UpdateDeployment
) -> DeploymentObject:
    present = await _get(services, caller, name)
    following = promotion.updated(present, request, salt=_new_salt(), now=int(time.time()))
    if following.candidate is not None:
        await _check_candidate(services, caller, following.candidate)
    return await _replace(services, caller, following, "update", None)


async def _get(services: Services, caller: ApiKey, name: str) -> Deployment:
    return await services.store.deployments.get(name, project=caller.project)


async def _replace(
    services: Services, caller: ApiKey, following: Deployment, action: str, reason: str | None
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
    history = await services.store.deployments.history(name, project=project)
    return deployment_object(deployment, outcomes=outcomes, history=history)


async def _check_candidate(services: Services, caller: ApiKey, name: str) -> None:
    version = await _version(services, caller, name)
    if version is not None:
        promotion.check_serving(version)


async def _check_stable(
    services: Services, caller: ApiKey, name: str, override_reason: str | None
) -> str | None:
    """Check that a model may be stable; the base model always may."""
    version = await _version(services, caller, name)
    if version is None:
        return None
    latest = await services.store.evaluations.latest(name)
    return promotion.check_promotable(version, latest[0] if latest else None, override_reason)


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
        update_deployment,
        update_deployment_by_post,
        promote,
        roll_back,
        delete_deployment,
    ],
    guards=[needs(Scope.TRAINING)],
    tags=["Deployments"],
)
