"""`/health/live`, `/health/ready` and `/metrics`: no API key opens them, nothing secret is shown.

It refuses to repair what it finds.
"""

import asyncio
import hmac
import time
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from registry.errors import GraftlineError, Unauthenticated
from registry.liveness import is_alive
from registry.records import Heartbeat
from service.context import Parts
from service.description import METRICS_KEY, OPEN, may
from service.fleet.health import Standing
from service.services import Services

PROBE_SECONDS = 2.0
"""Time a part gets to answer."""
_PROCESSES = ("trainer", "evals")
_WORDS = {
    Standing.UP: "answers",
    Standing.EJECTED: "answers, but failed requests lately",
    Standing.DOWN: "does not answer",
}


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one part is."""

    ok: bool
    """Whether it does its work."""
    detail: str
    """What was seen."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the system is."""

    status: Literal["ready", "not_ready"]
    """`ready` when the database and at least one replica of the engine answer."""
    parts: dict[str, PartHealth]
    """Each part; `trainer`, `evals` and `reconcile` are shown but do not decide."""


@get("/health/live", tags=["Health"], security=[OPEN])
async def live() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "live"}


@get(
    "/health/ready",
    tags=["Health"],
    security=[OPEN],
    responses={503: ResponseSpec(Health, generate_examples=False, description="Not ready.")},
)
async def ready(services: Parts) -> Response[Health]:
    """Answer 200 when requests can be served, else 503; the body says which part is missing."""
    beats = await _heartbeats(services)
    database = PartHealth(ok=True, detail="answers")
    if not isinstance(beats, dict):
        database, beats = beats, {}
    parts = {
        "database": database,
        "engine": _engine(services),
        **{part: _process(part, beats.get(part)) for part in _PROCESSES},
        "reconcile": _reconcile(services),
    }
    is_ready = parts["database"].ok and parts["engine"].ok
    health = Health(status="ready" if is_ready else "not_ready", parts=parts)
    return Response(health, status_code=200 if is_ready else 503)


@get(
    "/metrics",
    media_type="text/plain",
    tags=["Health"],
    security=[OPEN, METRICS_KEY],
    responses=may(401),
)
async def metrics(services: Parts, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Every figure of every project, in Prometheus' text format.

    With GRAFTLINE_METRICS_KEY set, it is asked for as a bearer token.
    """
    wanted = services.settings.metrics_key
    if wanted is not None:
        _check_bearer(request.headers.get("authorization", ""), wanted.get_secret_value())
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _check_bearer(authorization: str, wanted: str) -> None:
    kind, _, given = authorization.strip().partition(" ")
    is_right = hmac.compare_digest(given.strip().encode(), wanted.encode())
    if kind.lower() != "bearer" or not is_right:
        message = (
            "The metrics of all projects need 'Authorization: Bearer <GRAFTLINE_METRICS_KEY>'; "
            "those of one project are at /v1/metrics."
        )
        raise Unauthenticated(message)


async def _heartbeats(services: Services) -> dict[str, Heartbeat] | PartHealth:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return {beat.part: beat for beat in await services.store.parts.alive()}
    except TimeoutError:
        return PartHealth(ok=False, detail=f"no answer within {PROBE_SECONDS:g} s")
    except GraftlineError:
        return PartHealth(ok=False, detail="does not answer")


def _engine(services: Services) -> PartHealth:
    """Say how the replicas were when they were last looked at, about a second ago."""
    replicas = services.fleet.replicas
    if not replicas:
        return PartHealth(ok=False, detail=f"no address for {services.settings.engine_dns} yet")
    detail = ", ".join(f"{one.url} {_WORDS[one.health.standing]}" for one in replicas)
    return PartHealth(ok=any(one.health.answers for one in replicas), detail=detail)


def _process(part: str, beat: Heartbeat | None) -> PartHealth:
    if beat is None:
        return PartHealth(ok=False, detail=f"{part} was never heard of")
    age = time.time() - beat.at
    return PartHealth(
        ok=is_alive(beat, time.time()), detail=f"last heard of {age:.1f} s ago, pid {beat.pid}"
    )


def _reconcile(services: Services) -> PartHealth:
    up, count = services.reconciler.engine_up, len(services.reconciler.loaded)
    detail = f"{count} adapters loaded" if up else "waits for the engine"
    return PartHealth(ok=up, detail=detail)


handlers = [live, ready, metrics]
