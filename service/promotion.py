"""Changes of a deployment, decided: what may become stable, where a rollback leads.

It refuses to know the store and the engine; it works on records that were read.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from registry.errors import Conflict, Invalid, NotPromotable
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, Deployment, DeploymentChange, Evaluation, Verdict
from service.trial import settled, with_trial
from service.wire.deployments import CreateDeployment, UpdateDeployment

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_REASON_CHARACTERS = 2000
"""Longest reason."""


@dataclass(frozen=True)
class Reason:
    """Why a deployment was changed."""

    words: str | None
    """What the caller said; none when nothing was said."""
    is_override: bool = False
    """Whether a version became stable without the verdict `go`."""


def reason_of(said: str | None, override: str | None = None) -> Reason:
    """Return the reason to record.

    Args:
        said: The reason of the change.
        override: The reason of an override, if one was needed.

    Raises:
        Invalid: It is empty or too long.
    """
    if said is not None and not said.strip():
        raise Invalid("'reason' is empty; say why, or leave it out.", "reason")
    words = "\n".join(dict.fromkeys(each for each in (override, said) if each is not None))
    if len(words) > MAX_REASON_CHARACTERS:
        raise Invalid(f"A reason has at most {MAX_REASON_CHARACTERS} characters.", "reason")
    return Reason(words or None, override is not None)


def check_name(name: str, base_name: str) -> None:
    """Check a new deployment's name.

    An adapter version's name holds a colon, which a deployment's may not: the two never collide.

    Raises:
        Invalid: It is not a name.
        Conflict: The base model has it.
    """
    if not _NAME.fullmatch(name):
        message = (
            "A deployment's name has 1 to 64 letters, digits, dots, dashes and underscores, "
            "and begins with a letter or digit."
        )
        raise Invalid(message, "name")
    if name == base_name:
        raise Conflict(f"'{name}' is the base model's name.")


def created(
    request: CreateDeployment, *, project: str, base_name: str, salt: str, now: int
) -> Deployment:
    """Return a new deployment.

    Args:
        request: What is asked for.
        project: The caller's.
        base_name: The base model's name.
        salt: A new salt.
        now: Unix time in seconds.

    Raises:
        Invalid: The name is none, or the request contradicts itself.
        Conflict: The base model has the name.
    """
    check_name(request.name, base_name)
    bare = Deployment(
        name=request.name,
        project=project,
        stable=request.stable,
        candidate=None,
        candidate_weight=0.0,
        salt=salt,
        generation=1,
        created_at=now,
        updated_at=now,
    )
    return with_trial(bare, request, salt=salt, now=now)


def updated(present: Deployment, request: UpdateDeployment, *, salt: str, now: int) -> Deployment:
    """Return the next generation of a deployment after an update.

    Args:
        present: As it is.
        request: What changes.
        salt: A new salt, for a new candidate.
        now: Unix time in seconds.

    Raises:
        Invalid: The request contradicts itself.
        Conflict: The caller saw an older generation.
    """
    if request.stable is not None:
        message = "'stable' changes by promotion or rollback, not by an update."
        raise Invalid(message, "stable")
    check_generation(present, request.generation)
    return with_trial(next_generation(present, now), request, salt=salt, now=now)


def check_generation(present: Deployment, seen: int | None) -> None:
    """Check that the caller saw the newest generation, if it says which one it saw.

    Raises:
        Conflict: There was another since.
    """
    if seen is not None and seen != present.generation:
        message = (
            f"The deployment '{present.name}' is at generation {present.generation}, "
            f"not {seen}; read it again."
        )
        raise Conflict(message)


def promoted(present: Deployment, now: int) -> Deployment:
    """Return the next generation with the candidate as stable.

    Raises:
        Conflict: There is no candidate.
    """
    if present.candidate is None:
        raise Conflict(f"The deployment '{present.name}' has no candidate to promote.")
    return settled(next_generation(present, now), present.candidate)


def rolled_back(present: Deployment, history: Iterable[DeploymentChange], now: int) -> Deployment:
    """Return the next generation with the previous stable version; a trial ends.

    Args:
        present: As it is.
        history: Its changes, newest first.
        now: Unix time in seconds.

    Raises:
        Conflict: No earlier stable version is left.
    """
    earlier = previous_stable(history)
    if earlier is None:
        raise Conflict(f"The deployment '{present.name}' has no earlier stable version.")
    return settled(next_generation(present, now), earlier)


def previous_stable(history: Iterable[DeploymentChange]) -> str | None:
    """Return the stable version before the present one.

    A rollback takes back the promotion before it, so two rollbacks lead two versions back, and
    never forward again to the version that was rolled back.

    Args:
        history: Changes of deployments of one name, newest first.
    """
    versions: list[str] = []
    for change in reversed(list(history)):
        if change.action == "create":
            versions = [change.stable]
        elif change.action == "promote":
            versions.append(change.stable)
        elif change.action == "rollback":
            versions.pop()
    return versions[-2] if len(versions) > 1 else None


def check_serving(version: AdapterVersion) -> None:
    """Check that a version may be pointed at.

    Raises:
        Conflict: It was rejected or retired.
    """
    if version.status not in {AdapterStatus.PUBLISHED, AdapterStatus.READY}:
        why = f": {version.reason}" if version.reason else ""
        raise Conflict(f"The model '{version.name}' is {version.status} and cannot serve{why}.")


def check_promotable(
    version: AdapterVersion,
    latest: Evaluation | None,
    override_reason: str | None,
    stale: str | None = None,
) -> str | None:
    """Check that a version may become stable, and return the override's reason if it needed one.

    Args:
        version: The version.
        latest: Its newest succeeded evaluation.
        override_reason: Why it may without the verdict `go`.
        stale: Why the verdict no longer holds; none while it does.

    Raises:
        NotPromotable: It has no verdict, a stale one, or not `go`, and no override.
        Conflict: It was not examined in the engine yet, or cannot serve.
        Invalid: The override gives no reason.
    """
    check_serving(version)
    if override_reason is not None and not override_reason.strip():
        raise Invalid("'override_reason' is empty; say why.", "override_reason")
    if version.status is not AdapterStatus.READY:
        message = f"The model '{version.name}' was not examined in the engine yet; try again."
        raise Conflict(message)
    verdict = None if latest is None else latest.verdict
    if verdict is Verdict.GO and stale is None:
        return None
    if override_reason is None:
        raise NotPromotable(version.name, verdict, stale if verdict is Verdict.GO else None)
    return override_reason


def next_generation(present: Deployment, now: int) -> Deployment:
    """Return a deployment with the next generation's number."""
    return msgspec.structs.replace(present, generation=present.generation + 1, updated_at=now)


def change_of(
    deployment: Deployment, action: str, *, actor: str, reason: Reason
) -> DeploymentChange:
    """Return the line of history for a deployment's newest generation."""
    return DeploymentChange(
        deployment=deployment.name,
        project=deployment.project,
        generation=deployment.generation,
        action=action,
        actor=actor,
        created_at=deployment.updated_at,
        stable=deployment.stable,
        candidate=deployment.candidate,
        candidate_weight=deployment.candidate_weight,
        reason=reason.words,
        is_override=reason.is_override,
        ramp=deployment.ramp,
        shadow=deployment.shadow,
        shadow_share=deployment.shadow_share,
        unit_from=deployment.unit_from,
    )
