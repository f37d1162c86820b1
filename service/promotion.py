"""Changes of a deployment, decided: what may become stable, where a rollback leads.

It refuses to know the store and the engine; it works on records that were read.
"""

import re
from collections.abc import Iterable

import msgspec

from registry.errors import Conflict, Invalid, NotPromotable
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, Deployment, DeploymentChange, Evaluation, Verdict
from service.wire.deployments import UpdateDeployment, Weights

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SMALLEST = 1e-9


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


def candidate_weight(weight: float | None, weights: Weights | None) -> float | None:
    """Return the share of the candidate that a request asks for; none when it asks for none.

    Raises:
        Invalid: Both forms are given, or the shares are not shares.
    """
    if weights is not None:
        if weight is not None:
            raise Invalid("Give 'weights' or 'candidate_weight', not both.", "weights")
        if abs(weights.stable + weights.candidate - 1) > _SMALLEST:
            raise Invalid("'weights' must add up to 1.", "weights")
        weight = weights.candidate
    if weight is not None and not 0 <= weight <= 1:
        name = "candidate_weight" if weights is None else "weights"
        raise Invalid("A weight must lie between 0 and 1.", name)
    return weight


def check_trial(deployment: Deployment) -> None:
    """Check that candidate and weight fit together.

    Raises:
        Invalid: There is a weight without a candidate, or the candidate is stable already.
    """
    if deployment.candidate is None and deployment.candidate_weight > 0:
        message = "There is no candidate that could meet a share of the units."
        raise Invalid(message, "candidate_weight")
    if deployment.candidate == deployment.stable:
        raise Invalid("The candidate is the stable version already.", "candidate")


def updated(present: Deployment, request: UpdateDeployment, *, salt: str, now: int) -> Deployment:
    """Return the next generation of a deployment after an update.

    Args:
        present: As it is.
        request: What changes.
        salt: A new salt. A new candidate starts a new experiment, whose units must be drawn
            independently of the last one's; a mere change of weight keeps every unit's place.
        now: Unix time in seconds.

    Raises:
        Invalid: The request contradicts itself.
        Conflict: The caller saw an older generation.
    """
    if request.stable is not None:
        message = "'stable' changes by promotion or rollback, not by an update."
        raise Invalid(message, "stable")
    if request.generation is not None and request.generation != present.generation:
        message = (
            f"The deployment '{present.name}' is at generation {present.generation}, "
            f"not {request.generation}; read it again."
        )
        raise Conflict(message)
    weight = candidate_weight(request.candidate_weight, request.weights)
    following = next_generation(present, now)
    if request.candidate is not msgspec.UNSET and request.candidate != present.candidate:
        following = msgspec.structs.replace(
            following, candidate=request.candidate, candidate_weight=0.0, salt=salt
        )
    if weight is not None:
        following = msgspec.structs.replace(following, candidate_weight=weight)
    check_trial(following)
    return following


def promoted(present: Deployment, now: int) -> Deployment:
    """Return the next generation with the candidate as stable.

    Raises:
        Conflict: There is no candidate.
    """
    if present.candidate is None:
        raise Conflict(f"The deployment '{present.name}' has no candidate to promote.")
    return _settled(present, present.candidate, now)


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
    return _settled(present, earlier, now)


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
    version: AdapterVersion, latest: Evaluation | None, override_reason: str | None
) -> str | None:
    """Check that a version may become stable, and return the override's reason if it needed one.

    Args:
        version: The version.
        latest: Its newest succeeded evaluation.
        override_reason: Why it may without the verdict `go`.

    Raises:
        NotPromotable: It has no verdict on these very weights, or not `go`, and no override.
        Conflict: It was not examined in the engine yet, or cannot serve.
        Invalid: The override gives no reason.
    """
    check_serving(version)
    if override_reason is not None and not override_reason.strip():
        raise Invalid("'override_reason' is empty; say why.", "override_reason")
    if version.status is not AdapterStatus.READY:
        message = f"The model '{version.name}' was not examined in the engine yet; try again."
        raise Conflict(message)
    verdict = _verdict(version, latest)
    if verdict is Verdict.GO:
        return None
    if override_reason is None:
        raise NotPromotable(version.name, verdict)
    return override_reason


def next_generation(present: Deployment, now: int) -> Deployment:
    """Return a deployment with the next generation's number."""
    return msgspec.structs.replace(present, generation=present.generation + 1, updated_at=now)


def change_of(
    deployment: Deployment, action: str, *, actor: str, reason: str | None = None
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
        reason=reason,
    )


def _settled(present: Deployment, stable: str, now: int) -> Deployment:
    following = next_generation(present, now)
    return msgspec.structs.replace(following, stable=stable, candidate=None, candidate_weight=0.0)


def _verdict(version: AdapterVersion, latest: Evaluation | None) -> Verdict | None:
    """Return the verdict on a version, if it was reached on the weights it has now."""
    if latest is None:
        return None
    hashes = (latest.results or {}).get("hashes") or {}
    return latest.verdict if hashes.get("adapter") == version.manifest_sha256 else None
