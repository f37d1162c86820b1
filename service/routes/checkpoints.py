"""`/v1/fine_tuning/checkpoints`: who may use a checkpoint, which is its own project alone.

It refuses to share: there are no permissions to give, and it says so.
"""

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from registry.errors import Invalid, NotFound
from registry.records import Scope
from service.auth import needs
from service.context import Caller, Parts
from service.services import Services
from service.wire.lists import Deleted
from service.wire.permissions import CreatePermission, PermissionList

_WORD = "permissions"

# The whole rest of the path is taken at once: a checkpoint's name may have slashes, and only a
# path's end may be open.


@get("/{name:path}")
async def list_permissions(services: Parts, caller: Caller, name: FromPath[str]) -> PermissionList:
    """List who may use a checkpoint (`{name}/permissions`) beside its own project: nobody."""
    checkpoint, _, word = name.removeprefix("/").rpartition("/")
    if word != _WORD:
        raise NotFound("action", word)
    await _require(services, caller.project, checkpoint)
    return PermissionList(data=[])


@post("/{name:path}", status_code=400)
async def create_permission(
    services: Parts,
    caller: Caller,
    name: FromPath[str],
    data: JSONBody[CreatePermission],  # noqa: ARG001 - read, so that a wrong body is told as such
) -> None:
    """Not supported (`{name}/permissions`): a version belongs to one project."""
    checkpoint, _, word = name.removeprefix("/").rpartition("/")
    if word != _WORD:
        raise NotFound("action", word)
    await _require(services, caller.project, checkpoint)
    raise Invalid(
        "A version belongs to one project and is not shared. Import its files into the other "
        "project: POST /v1/adapters with a key of that project.",
        "project_ids",
        "unsupported_operation",
    )


@delete("/{name:path}", status_code=200)
async def delete_permission(services: Parts, caller: Caller, name: FromPath[str]) -> Deleted:
    """Take a permission back (`{name}/permissions/{id}`): always 404, for there are none."""
    rest, _, permission = name.removeprefix("/").rpartition("/")
    checkpoint, _, word = rest.rpartition("/")
    if word != _WORD:
        raise NotFound("action", word)
    await _require(services, caller.project, checkpoint)
    raise NotFound("permission", permission)


async def _require(services: Services, project: str, checkpoint: str) -> None:
    await services.store.adapters.get(checkpoint, project=project)


router = Router(
    "/v1/fine_tuning/checkpoints",
    route_handlers=[list_permissions, create_permission, delete_permission],
    guards=[needs(Scope.TRAINING)],
    tags=["Fine-tuning"],
)
