"""`/v1/api_keys`: making, listing and revoking keys. Only for the scope `admin`.

It refuses to know secrets: one is shown once, and only its hash is stored.
"""

import re
import time

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from registry.errors import Conflict, Invalid, NotFound
from registry.identifiers import new_id, new_secret
from registry.records import ApiKey, Scope
from service.auth import hash_secret, needs
from service.bootstrap import DEFAULT_PROJECT
from service.context import Caller, Parts
from service.wire.keys import CreateKey, KeyObject, key_object
from service.wire.lists import Deleted, ListOf

_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MAX_NAME = 100


@post("/", status_code=200)
async def create_key(services: Parts, caller: Caller, data: JSONBody[CreateKey]) -> KeyObject:
    """Make a key. The answer is the only place where its secret is ever shown."""
    secret = new_secret()
    key = ApiKey(
        id=new_id("key"),
        project=_project(caller, data.project),
        name=_name(data.name),
        secret_sha256=hash_secret(secret),
        scopes=_scopes(data.scopes),
        created_at=int(time.time()),
    )
    await services.store.keys.add(key)
    await services.keyring.refresh()
    return key_object(key, secret)


@get("/")
async def list_keys(services: Parts, caller: Caller) -> ListOf[KeyObject]:
    """List the valid keys: the project's, or every project's for an operator."""
    keys = await services.store.keys.valid()
    return ListOf(data=[key_object(key) for key in keys if _governs(caller, key)])


@delete("/{key_id:str}", status_code=200)
async def revoke_key(services: Parts, caller: Caller, key_id: FromPath[str]) -> Deleted:
    """Revoke a key; it opens nothing from the moment of the answer."""
    keys = await services.store.keys.valid()
    chosen = next((key for key in keys if key.id == key_id and _governs(caller, key)), None)
    if chosen is None:
        raise NotFound("API key", key_id)
    if not any(_is_operator(key) for key in keys if key.id != key_id):
        message = "This is the last admin key of the project 'default'; make another one first."
        raise Conflict(message)
    await services.store.keys.revoke(key_id, project=chosen.project, at=int(time.time()))
    await services.keyring.refresh()
    return Deleted(id=key_id, object="api_key")


def _is_operator(key: ApiKey) -> bool:
    """Return whether a key may govern every project: an admin key of the first project."""
    return Scope.ADMIN in key.scopes and key.project == DEFAULT_PROJECT


def _governs(caller: ApiKey, key: ApiKey) -> bool:
    return key.project == caller.project or _is_operator(caller)


def _project(caller: ApiKey, wanted: str | None) -> str:
    if wanted is None or wanted == caller.project:
        return caller.project
    if not _is_operator(caller):
        message = "Only an admin key of the project 'default' makes keys for other projects."
        raise Invalid(message, "project")
    if not _PROJECT.fullmatch(wanted):
        message = "A project's name has 1 to 64 lower-case letters, digits and dashes."
        raise Invalid(message, "project")
    return wanted


def _name(name: str) -> str:
    if not 1 <= len(name) <= _MAX_NAME:
        raise Invalid(f"'name' must have 1 to {_MAX_NAME} characters.", "name")
    return name


def _scopes(scopes: list[Scope]) -> list[Scope]:
    if not scopes:
        raise Invalid("'scopes' must name at least one of inference, training, admin.", "scopes")
    return sorted(set(scopes))


router = Router(
    "/v1/api_keys",
    route_handlers=[create_key, list_keys, revoke_key],
    guards=[needs(Scope.ADMIN)],
    tags=["API keys"],
)
