"""`/v1/api_keys`: making, changing, rotating and revoking keys. Only for the scope `admin`.

It refuses to know secrets: one is shown once, and only its hash is stored.
"""

import time

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from registry.errors import NotFound
from registry.identifiers import new_id, new_secret
from registry.records import ApiKey, Scope
from service import key_request
from service.auth import hash_secret, needs
from service.context import Caller, Parts
from service.description import may
from service.services import Services
from service.wire.keys import CreateKey, KeyObject, RotateKey, UpdateKey, key_object
from service.wire.lists import Deleted, ListOf


@post("/", status_code=200)
async def create_key(services: Parts, caller: Caller, data: JSONBody[CreateKey]) -> KeyObject:
    """Make a key. The answer is the only place where its secret is ever shown."""
    secret, now = new_secret(), int(time.time())
    key = key_request.new_key(
        data,
        identifier=new_id("key"),
        project=key_request.project_for(caller, data.project),
        secret_sha256=hash_secret(secret),
        now=now,
    )
    await services.store.keys.add(key)
    await services.keyring.refresh()
    return key_object(key, secret)


@get("/")
async def list_keys(services: Parts, caller: Caller) -> ListOf[KeyObject]:
    """List the keys, expired ones included: the project's, or every project's for an operator."""
    keys = await services.store.keys.valid()
    return ListOf(data=[key_object(key) for key in keys if key_request.governs(caller, key)])


@patch("/{key_id:str}", responses=may(409))
async def update_key(
    services: Parts, caller: Caller, key_id: FromPath[str], data: JSONBody[UpdateKey]
) -> KeyObject:
    """Change name, end or limits; the change holds from the moment of the answer."""
    key = await _get(services, caller, key_id)
    changes = key_request.changes_of(data, int(time.time()))
    check = None
    if changes.get("expires_at") is not None:
        key_request.check_lent(key)
        check = key_request.check_operator_stays
    changed = await services.store.keys.change(key_id, check=check, **changes)
    await services.keyring.refresh()
    return key_object(changed)


@post("/{key_id:str}/rotate", status_code=200, responses=may(409))
async def rotate_key(
    services: Parts,
    caller: Caller,
    key_id: FromPath[str],
    data: JSONBody[RotateKey | None] = None,
) -> KeyObject:
    """Make a successor with the same project, scopes and limits; the old key ends after the grace.

    A successor of a key with an end lives as long as that key was made to live.
    """
    key, now = await _get(services, caller, key_id), int(time.time())
    key_request.check_lent(key)
    grace = (data or RotateKey()).grace_seconds
    secret = new_secret()
    successor = key_request.successor_of(
        key, identifier=new_id("key"), secret_sha256=hash_secret(secret), now=now
    )
    end = key_request.end_of_grace(grace, now)
    await services.store.keys.rotate(key_id, successor, expires_at=end)
    await services.keyring.refresh()
    return key_object(successor, secret)


@delete("/{key_id:str}", status_code=200, responses=may(409))
async def revoke_key(services: Parts, caller: Caller, key_id: FromPath[str]) -> Deleted:
    """Revoke a key; it opens nothing from the moment of the answer."""
    await _get(services, caller, key_id)
    check = key_request.check_operator_stays
    await services.store.keys.revoke(key_id, at=int(time.time()), check=check)
    await services.keyring.refresh()
    return Deleted(id=key_id, object="api_key")


async def _get(services: Services, caller: ApiKey, key_id: str) -> ApiKey:
    key = await services.store.keys.get(key_id)
    if not key_request.governs(caller, key):
        raise NotFound("API key", key_id)
    return key


router = Router(
    "/v1/api_keys",
    route_handlers=[create_key, list_keys, update_key, rotate_key, revoke_key],
    guards=[needs(Scope.ADMIN)],
    tags=["API keys"],
)
