"""Which model version answers a request, decided against an immutable picture in memory.

It refuses to know the database and the engine: the picture is handed in.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from registry.errors import GraftlineError, Invalid, NotFound, Unavailable
from registry.lifecycle import AdapterStatus
from registry.records import ANY_PROJECT, AdapterVersion, Arm, Deployment
from service.ramping import weight_at
from service.snapshot import Snapshot
from service.splitting import choose_arm, hash_unit, position_of

REFRESH_SECONDS = 0.5
"""Time between two looks for another process's changes: with reading, it is seen in a second."""

UnitOf = Callable[[Sequence[str]], str | None]
"""Returns the unit that stands in the first of some places of a request that name one."""

_GONE = frozenset({AdapterStatus.RETIRED, AdapterStatus.DELETED})

logger = logging.getLogger(__name__)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes."""

    model: str
    """Name under which the engine knows the model."""
    version: AdapterVersion | None
    """The adapter version; none for the base model."""
    project: str
    """Project that owns what was asked for; the caller's for the base model."""
    deployment: str | None
    """The deployment that was asked for."""
    arm: Arm
    """The deployment's side that answers."""
    unit_hash: str | None
    """Hash of the unit, when the request names one."""
    shadow: str | None = None
    """The version that may get a copy of the request."""
    shadow_share: float = 0.0
    """Share of requests of which it gets a copy."""


class RoutingTable:
    """The latest picture, and the routes through it."""

    def __init__(self, read: Callable[[], Awaitable[Snapshot]]) -> None:
        self._read = read
        self._snapshot: Snapshot | None = None
        # Protects the order: a picture that was read before a change never replaces one read after.
        self._refreshing = asyncio.Lock()

    @property
    def snapshot(self) -> Snapshot:
        """The latest picture.

        Raises:
            Unavailable: None was read yet.
        """
        if self._snapshot is None:
            raise Unavailable("service", "The service is starting; try again.", 1)
        return self._snapshot

    def resolve(
        self, model: str, *, caller_project: str, unit_of: UnitOf, draw: float, now: float
    ) -> Route:
        """Return the route of a request; see `resolve`."""
        return resolve(self.snapshot, model, caller_project, unit_of=unit_of, draw=draw, now=now)

    async def refresh(self) -> None:
        """Read the picture again, at once.

        Raises:
            Unavailable: The database cannot be reached; the picture stays as it was.
        """
        async with self._refreshing:
            self._snapshot = await self._read()

    async def run(self) -> None:
        """Refresh every `REFRESH_SECONDS` until cancelled."""
        while True:
            try:
                await self.refresh()
            except GraftlineError as exc:
                logger.warning("routes not refreshed: %s", exc)
            await asyncio.sleep(REFRESH_SECONDS)


def resolve(
    snapshot: Snapshot,
    model: str,
    caller_project: str,
    *,
    unit_of: UnitOf,
    draw: float,
    now: float,
) -> Route:
    """Return the route of a request.

    Args:
        snapshot: What can be asked for.
        model: The name in the request: the base model, a version, or a deployment.
        caller_project: Project of the key; `*` sees every project.
        unit_of: Reads what is randomised, such as an end user, from the places that the deployment
            names (from the default ones when it names none); none makes the arm depend on `draw`.
        draw: A random number in [0, 1).
        now: Unix time in seconds, at which a ramp stands.

    Raises:
        NotFound: Nothing of this name is visible to the caller.
        Invalid: Several projects have a deployment of this name and the key sees them all, or the
            unit is none.
    """
    if model == snapshot.base:
        return _direct(model, None, caller_project, unit_of(()))
    version = snapshot.versions.get(model)
    if version is not None and _visible(version.project, caller_project):
        return _direct(model, _standing(version), version.project, unit_of(()))
    deployment = _deployment(snapshot, model, caller_project)
    unit = unit_of(deployment.unit_from)
    hashed = None if unit is None else hash_unit(deployment.salt, unit)
    position = draw if hashed is None else position_of(hashed)
    arm = choose_arm(position, weight_at(deployment, now))
    target = deployment.candidate if arm is Arm.CANDIDATE else deployment.stable
    return Route(
        model=target or deployment.stable,
        version=_target(snapshot, target or deployment.stable),
        project=deployment.project,
        deployment=deployment.name,
        arm=arm,
        unit_hash=hashed,
        shadow=deployment.shadow,
        shadow_share=deployment.shadow_share,
    )


def _direct(model: str, version: AdapterVersion | None, project: str, unit: str | None) -> Route:
    return Route(
        model=model,
        version=version,
        project=project,
        deployment=None,
        arm=Arm.NONE,
        unit_hash=None if unit is None else hash_unit(project, unit),
    )


def _visible(project: str, caller_project: str) -> bool:
    return caller_project in {project, ANY_PROJECT}


def _standing(version: AdapterVersion) -> AdapterVersion:
    if version.status in _GONE:
        raise NotFound("model", version.name)
    return version


def _deployment(snapshot: Snapshot, name: str, caller_project: str) -> Deployment:
    if caller_project != ANY_PROJECT:
        found = snapshot.deployments.get((caller_project, name))
        if found is None:
            raise NotFound("model", name)
        return found
    same_name = [each for each in snapshot.deployments.values() if each.name == name]
    if not same_name:
        raise NotFound("model", name)
    if len(same_name) > 1:
        message = f"Several projects have a deployment '{name}'; use a key of one project."
        raise Invalid(message, "model")
    return same_name[0]


def _target(snapshot: Snapshot, name: str) -> AdapterVersion | None:
    if name == snapshot.base:
        return None
    version = snapshot.versions.get(name)
    if version is None:
        raise NotFound("model", name)
    return _standing(version)
