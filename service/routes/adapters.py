"""`/v1/adapters`: adapter versions, where they are loaded, their pin, and the import of new ones.

It refuses to change any of them but its pin, and to know what makes an adapter fit.
"""

import shutil
from pathlib import Path
from typing import Any

from anyio import to_thread
from litestar import Request, Router, get, post
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import FromPath

from registry.artifacts import Manifest
from registry.errors import CorruptArtifact, Invalid, NotFound, StoreAway, TooLarge
from registry.records import AdapterVersion, ApiKey, Purpose, Scope
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import MULTIPART, described, form_schema, may
from service.forms import FilePart, Form, boundary_of
from service.importing.configuration import CONFIG, MAX_CONFIG_BYTES
from service.importing.header import WEIGHTS
from service.importing.orphans import staging_folder
from service.job_request import checked_suffix
from service.services import Services
from service.wire.lists import ListOf
from service.wire.models import AdapterObject, adapter_object

_FORM_BYTES = 1024 * 1024
_SETTING = "GRAFTLINE_MAX_ADAPTER_BYTES"
_FORM = form_schema(
    files={
        "adapter_config": "`adapter_config.json`, as PEFT wrote it.",
        "adapter_model": "`adapter_model.safetensors`, as PEFT wrote it.",
    },
    fields={
        "suffix": Schema(type=OpenAPIType.STRING, min_length=1, max_length=64),
        "heldout_file": Schema(type=OpenAPIType.STRING),
    },
    required=("adapter_config", "adapter_model"),
)


@post(
    "/",
    request_max_body_size=None,
    status_code=200,
    operation_class=described(body={MULTIPART: _FORM}),
    responses=may(409, 507),
)
async def import_adapter(
    request: Request[Any, Any, Any], services: Parts, caller: Caller
) -> AdapterObject:
    """Import an adapter that PEFT saved: `adapter_config`, `adapter_model`, `suffix`.

    Both files are checked against the base model and the engine first; an adapter with faults is
    refused with a list of them. `heldout_file` may name rows it never saw. The answer comes when
    the version is durable; loading and the probe follow, as for one that was trained here.
    """
    # Numpy and tokenizers take 15 MB, and only an import needs them.
    from service.importing import publication  # noqa: PLC0415

    limit = services.settings.max_adapter_bytes
    if int(request.headers.get("content-length") or 0) > limit + MAX_CONFIG_BYTES + _FORM_BYTES:
        raise TooLarge(limit, _SETTING)
    boundary = boundary_of(
        request.headers.get("content-type", ""), "adapter_config, adapter_model and suffix"
    )
    staged = staging_folder(services.settings)
    form = Form(
        {
            "adapter_config": FilePart(
                staged / CONFIG, limit_bytes=MAX_CONFIG_BYTES, setting=_SETTING
            ),
            "adapter_model": FilePart(staged / WEIGHTS, limit_bytes=limit, setting=_SETTING),
        }
    )
    try:
        await form.receive(request.stream(), boundary)
        wanted = publication.Request(
            project=caller.project,
            suffix=checked_suffix(form.fields.get("suffix")),
            heldout_file=await _heldout(services, caller.project, form),
        )
        _require_both(form)
        importer = publication.Importer(services.settings, services.store)
        imported = await importer.publish(staged, wanted)
    finally:
        await to_thread.run_sync(form.close)
        await to_thread.run_sync(_forget, staged)
    await services.routing.refresh()
    services.reconciler.wake()
    notices = [*imported.notices, *(f"'{name}' was left behind." for name in form.left_behind)]
    return adapter_object(imported.version, replicas=[], notices=notices)


@get("/")
async def list_adapters(
    services: Parts, caller: Caller, after: After = None, limit: Limit = 20
) -> ListOf[AdapterObject]:
    """List the project's adapter versions, newest first."""
    page = await services.store.adapters.page(project=caller.project, after=after, limit=limit)
    return ListOf(
        data=[_object(services, version) for version in page.data],
        has_more=page.has_more,
    )


@get("/{name:path}")
async def get_adapter(services: Parts, caller: Caller, name: FromPath[str]) -> AdapterObject:
    """Return an adapter version with its manifest."""
    wanted = name.removeprefix("/")
    version = await services.store.adapters.get(wanted, project=caller.project)
    manifest = await to_thread.run_sync(_manifest, services, version)
    return _object(services, version, manifest)


@post("/{name:path}", status_code=200, responses=may(409))
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
    return _object(services, version)


def _object(
    services: Services, version: AdapterVersion, manifest: Manifest | None = None
) -> AdapterObject:
    reconciler = services.reconciler
    return adapter_object(
        version,
        replicas=reconciler.holders_of(version.name),
        load_error=reconciler.fault_of(version.name),
        manifest=manifest,
    )


def _manifest(services: Services, version: AdapterVersion) -> Manifest | None:
    try:
        return services.artifacts.manifest(version.directory, version.manifest_sha256)
    except (CorruptArtifact, StoreAway):
        return None


def _require_both(form: Form) -> None:
    for name, file in form.files.items():
        if file.filename is None:
            raise Invalid(f"The form has no file named '{name}'.", name)
        if file.filename.endswith((".bin", ".pt", ".pth", ".pkl")):
            raise Invalid(
                f"'{file.filename}' is a pickle, which is never opened here. Load the adapter with "
                "peft on your own machine and save it with save_pretrained(folder, "
                "safe_serialization=True); then send adapter_model.safetensors.",
                name,
            )


async def _heldout(services: Services, project: str, form: Form) -> str | None:
    file_id = form.fields.get("heldout_file")
    if not file_id:
        return None
    try:
        file = await services.store.files.get(file_id, project=project)
    except NotFound as exc:
        raise Invalid(str(exc), "heldout_file", "file_not_found") from exc
    if file.purpose not in {Purpose.FINE_TUNE, Purpose.EVALS}:
        raise Invalid(f"The file '{file.id}' holds no rows to examine.", "heldout_file")
    return file.id


def _forget(staged: Path) -> None:
    shutil.rmtree(staged, ignore_errors=True)


router = Router(
    "/v1/adapters",
    route_handlers=[import_adapter, list_adapters, get_adapter, change_pin],
    guards=[needs(Scope.TRAINING)],
    tags=["Adapters"],
)
