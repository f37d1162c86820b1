"""Whether a verdict still holds: the weights, the rows and the policy it was reached on.

It refuses to know deployments, and what follows from a stale verdict.
"""

from hashlib import file_digest
from pathlib import Path

from anyio import to_thread

from registry.blobs import Blobs
from registry.errors import Invalid, PolicyUnusable
from registry.policy import Policy, differences_of, policy_in_force, resolve_policy
from registry.records import AdapterVersion, Evaluation
from registry.settings import Settings


async def stale_reason(
    version: AdapterVersion, evaluation: Evaluation, *, blobs: Blobs, settings: Settings
) -> str | None:
    """Return why a verdict no longer holds, in a sentence; none while it does.

    The held-out rows are hashed anew: a verdict is worth what it was reached on. The policy is
    compared only where the operator's file sets one; without it each evaluation has its own.

    A policy file that cannot be read leaves the verdict without a rule, which is a reason too.
    """
    hashes = (evaluation.results or {}).get("hashes") or {}
    if hashes.get("adapter") != version.manifest_sha256:
        return "It was reached on other weights."
    heldout = hashes.get("heldout")
    if heldout is not None:
        found = await to_thread.run_sync(_sha256, blobs.path(evaluation.heldout_file))
        if found is None:
            return f"The rows it was reached on ('{evaluation.heldout_file}') are gone."
        if found != heldout:
            return f"The rows it was reached on ('{evaluation.heldout_file}') changed since."
    return await to_thread.run_sync(_policy_change, evaluation, settings.policy_file)


def changed_fields(evaluation: Evaluation, now: Policy) -> list[str]:
    """Return in what an evaluation's policy differs from the one in force."""
    try:
        then = resolve_policy(evaluation.policy)
    except Invalid:
        return ["it had fields that no policy has now"]
    return differences_of(then, now)


def _policy_change(evaluation: Evaluation, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        changed = changed_fields(evaluation, policy_in_force(path))
    except PolicyUnusable as exc:
        return str(exc)
    return f"It was reached under another policy: {'; '.join(changed)}." if changed else None


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
