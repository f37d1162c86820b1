"""`/v1/adapters`: adapter versions with their manifest, their probe and where they are loaded.

It refuses to change anything of them but their pin.
"""

from pathlib import Path

from anyio import to_thread
from litestar import Router, get, post
from litestar.params import FromPath

from registry.artifacts import Manifest, read_manifest
from registry.errors import CorruptArtifact, NotFound
from registry.records import ApiKey, Scope
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.services import Services
from service.wire.lists import ListOf
from service.wire.models import AdapterObject, adapter_object


@get("/")
async def list_adapters(
    services: Parts, caller: Caller, after: After = None, limit: Limit = 20
) -> ListOf[AdapterObject]:
    """List the project's adapter versions, newest first."""
    page = await services.store.adapters.page(project=caller.project, after=after, limit=limit)
    loaded = services.reconciler.loaded
    return ListOf(
        data=[
            adapter_object(version, replicas=loaded.get(version.name, [])) for version in page.data
        ],
        has_more=page.has_more,
    )


@get("/{name:path}")
async def get_adapter(services: Parts, caller: Caller, name: FromPath[str]) -> AdapterObject:
    """Return an adapter version with its manifest."""
    wanted = name.removeprefix("/")
    version = await services.store.adapters.get(wanted, project=caller.project)
    manifest = await to_thread.run_sync(
        _manifest, services.settings.adapters_dir / version.directory
    )
    replicas = services.reconciler.loaded.get(version.name, [])
    return adapter_object(version, replicas=replicas, manifest=manifest)


@post("/{name:path}", status_code=200)
async def change_pin(services: Parts, caller: Caller, name: FromPath[str]) -> AdapterObject:
    """Pin a version (`{name}/pin`): it stays loaded on every replica; or let it go (`/unpin`)."""
    # One route for both: a version's name may have slashes, and only a path's end may be open.
    version, _, action = name.removeprefix("/").rpartition("/")
    if action not in _PINS:
        raise NotFound("action", action)
    return await _set_pin(services, caller, version, pinned=_PINS[action])


_PINS = {"pin": True, "unpin": False}


async def _set_pin(services: Services, caller: ApiKey, name: str, *, pinned: bool) -> AdapterObject:
    version = await services.store.adapters.pin(name, project=caller.project, pinned=pinned)
    await services.routing.refresh()
    services.reconciler.wake()
    return adapter_object(version, replicas=services.reconciler.loaded.get(version.name, []))


def _manifest(directory: Path) -> Manifest | None:
    try:
        return read_manifest(directory)
    except CorruptArtifact:
        return None


router = Router(
    "/v1/adapters",
    route_handlers=[list_adapters, get_adapter, change_pin],
    guards=[needs(Scope.TRAINING)],
    tags=["Adapters"],
)
