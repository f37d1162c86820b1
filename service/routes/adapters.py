"""`/v1/adapters`: adapter versions with their manifest, their probe and whether they are loaded.

It refuses to change any of them.
"""

from pathlib import Path

from anyio import to_thread
from litestar import Router, get
from litestar.params import FromPath

from registry.artifacts import Manifest, read_manifest
from registry.errors import CorruptArtifact
from registry.records import Scope
from service.auth import needs
from service.context import After, Caller, Limit, Parts
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
        data=[adapter_object(version, loaded=version.name in loaded) for version in page.data],
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
    loaded = version.name in services.reconciler.loaded
    return adapter_object(version, loaded=loaded, manifest=manifest)


def _manifest(directory: Path) -> Manifest | None:
    try:
        return read_manifest(directory)
    except CorruptArtifact:
        return None


router = Router(
    "/v1/adapters",
    route_handlers=[list_adapters, get_adapter],
    guards=[needs(Scope.TRAINING)],
    tags=["Adapters"],
)
