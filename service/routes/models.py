"""`/v1/models`: every name that can be sent as `model`.

It refuses to know whether the engine holds a model now.
"""

from pathlib import Path
from typing import Any

from anyio import to_thread
from litestar import Request, Response, Router, delete, get
from litestar.enums import ParamType
from litestar.openapi.spec import OpenAPIType, Parameter, Schema
from litestar.params import FromPath

from registry.errors import CorruptArtifact, Invalid, NotFound
from registry.lifecycle import AdapterStatus
from registry.model_card import card_of
from registry.records import ANY_PROJECT, ApiKey, Scope
from registry.settings import Settings
from service.auth import needs, needs_any
from service.context import Caller, Parts
from service.description import MARKDOWN, described, may
from service.dialects.shapes import VERSION_HEADER, Shape, shape_of
from service.services import Services
from service.wire.anthropic import AnthropicModel, AnthropicModels, model_of
from service.wire.lists import Deleted, ListOf
from service.wire.models import ModelObject

_USABLE = (AdapterStatus.PUBLISHED, AdapterStatus.READY)
_VERSION = [
    Parameter(
        VERSION_HEADER,
        ParamType.HEADER,
        Schema(type=OpenAPIType.STRING),
        description="With it, answers and errors have the shape of Anthropic's API.",
    )
]
_ANY_CLIENT = described(parameters=_VERSION)
_CARD = "/card"
_MODEL_OR_CARD = described(
    parameters=_VERSION,
    also={MARKDOWN: Schema(type=OpenAPIType.STRING, description="With `/card`.")},
)
_READERS = needs_any(Scope.INFERENCE, Scope.TRAINING)


@get("/", guards=[_READERS], operation_class=_ANY_CLIENT)
async def list_models(
    services: Parts, caller: Caller, request: Request[Any, Any, Any]
) -> ListOf[ModelObject] | AnthropicModels:
    """List the base model, the project's adapter versions and its deployments.

    With the header `anthropic-version`, in the shape of Anthropic's API.
    """
    models = await _models(services, caller)
    if shape_of(request.url.path, request.headers) is Shape.OPENAI:
        return ListOf(data=models)
    cards = [model_of(model.id, model.created) for model in models]
    return AnthropicModels(data=cards, first_id=models[0].id, last_id=models[-1].id)


@get("/{name:path}", guards=[_READERS], operation_class=_MODEL_OR_CARD)
async def get_model(
    services: Parts, caller: Caller, name: FromPath[str], request: Request[Any, Any, Any]
) -> ModelObject | AnthropicModel:
    """Return one model; with `/card` after its name, an adapter version's card in Markdown."""
    wanted = name.removeprefix("/")
    models = await _models(services, caller)
    found = next((model for model in models if model.id == wanted), None)
    if found is None and wanted.endswith(_CARD):
        # Sent as it is; `_MODEL_OR_CARD` describes it.
        return await _card(services, caller, wanted.removesuffix(_CARD))  # type: ignore[return-value] # see above
    if found is None:
        raise NotFound("model", wanted)
    if shape_of(request.url.path, request.headers) is Shape.ANTHROPIC:
        return model_of(found.id, found.created)
    return found


@delete(
    "/{name:path}",
    status_code=200,
    guards=[needs(Scope.TRAINING)],
    operation_class=_ANY_CLIENT,
    responses=may(409),
)
async def delete_model(services: Parts, caller: Caller, name: FromPath[str]) -> Deleted:
    """Retire an adapter version, unless a deployment points at it."""
    wanted = name.removeprefix("/")
    if wanted == services.settings.base_name:
        raise Invalid("The base model cannot be deleted.", "model", "base_model")
    version = await services.store.adapters.get(wanted, project=caller.project)
    if version.status in {AdapterStatus.RETIRED, AdapterStatus.DELETED}:
        raise NotFound("model", wanted)
    await services.store.adapters.retire(wanted, project=caller.project)
    await services.routing.refresh()
    services.reconciler.wake()
    return Deleted(id=wanted, object="model")


async def _models(services: Services, caller: ApiKey) -> list[ModelObject]:
    project = None if caller.project == ANY_PROJECT else caller.project
    versions = [
        ModelObject(id=version.name, created=version.created_at, owned_by=version.project)
        for version in await services.store.adapters.usable()
        if project in {None, version.project}
    ]
    deployments = [
        ModelObject(id=deployment.name, created=deployment.created_at, owned_by="deployment")
        for deployment in await services.store.deployments.of(project)
    ]
    return [_base_model(services.settings), *versions, *deployments]


async def _card(services: Services, caller: ApiKey, name: str) -> Response[str]:
    """Return the card of an adapter version, with its newest exam."""
    project = None if caller.project == ANY_PROJECT else caller.project
    version = await services.store.adapters.get(name, project=project)
    try:
        manifest = await to_thread.run_sync(
            services.artifacts.manifest, version.directory, version.manifest_sha256
        )
    except CorruptArtifact as exc:
        raise NotFound("model card", name) from exc
    exams = await services.store.evaluations.latest(name)
    return Response(card_of(manifest, exams[-1] if exams else None), media_type=MARKDOWN)


def _base_model(settings: Settings) -> ModelObject:
    config = Path(settings.base_model) / "config.json"
    # A model that is only named has no time of its own here: 0, the same at every call.
    created = int(config.stat().st_mtime) if config.exists() else 0
    return ModelObject(id=settings.base_name, created=created, owned_by="graftline")


router = Router(
    "/v1/models", route_handlers=[list_models, get_model, delete_model], tags=["Models"]
)
