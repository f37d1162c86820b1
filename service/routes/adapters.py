"""`/v1/adapters`: adapter versions with their manifest, their probe and where they are loaded.

It refuses to change anything of them but their pin.
"""

from pathlib import Path

from anyio import to_thread
from litestar import Router, get, post
from litestar.params import FromPath

from registry.artifacts import Manifest, read_manifest
from registry.errors import CorruptArtifact
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


@post("/{name:path}/pin", status_code=200)
async def pin_adapter(services: Parts, caller: Caller, name: FromPath[str]) -> AdapterObject:
    """Keep an adapter version loaded on every replica, used or not; 409 when it cannot serve."""
    return await _set_pin(services, caller, name, pinned=True)


@post("/{name:path}/unpin", status_code=200)
async def unpin_adapter(services: Parts, caller: Caller, name: FromPath[str]) -> AdapterObject:
    """Let an adapter version make room for others again."""
    return await _set_pin(services, caller, name, pinned=False)


async def _set_pin(services: Services, caller: ApiKey, name: str, *, pinned: bool) -> AdapterObject:
    wanted = name.removeprefix("/")
    version = await services.store.adapters.pin(wanted, project=caller.project, pinned=pinned)
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
    route_handlers=[list_adapters, get_adapter, pin_adapter, unpin_adapter],
    guards=[needs(Scope.TRAINING)],
    tags=["Adapters"],
)
