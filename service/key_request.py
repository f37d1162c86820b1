"""What a key must satisfy: its project, name, scopes, end and limits.

It refuses to know the store, the clock and secrets: records, times and hashes are handed in.
"""

import re
from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from registry.errors import Conflict, Invalid
from registry.records import ANY_PROJECT, ApiKey, Scope
from service.bootstrap import DEFAULT_PROJECT
from service.wire.keys import CreateKey, UpdateKey

_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MAX_NAME = 100
_MAX_SECONDS = 100 * 366 * 86_400
_MAX_LIMIT = 10**12
_MAX_GRACE_SECONDS = 30 * 86_400


def is_operator(key: ApiKey) -> bool:
    """Return whether a key may govern every project: an admin key of the first project."""
    return Scope.ADMIN in key.scopes and key.project == DEFAULT_PROJECT


def governs(caller: ApiKey, key: ApiKey) -> bool:
    """Return whether a caller sees and changes a key."""
    return key.project == caller.project or is_operator(caller)


def check_operator_stays(key: ApiKey, keys: Iterable[ApiKey]) -> None:
    """Check that a key may end: an operator's key without an end must be left.

    Raises:
        Conflict: It is the last one; nobody locks everybody out.
    """
    if not is_operator(key) or key.expires_at is not None:
        return
    others = (other for other in keys if other.id != key.id and other.expires_at is None)
    if not any(is_operator(other) for other in others):
        message = (
            "This is the last admin key of the project 'default' that never expires; "
            "make another one first."
        )
        raise Conflict(message)


def check_lent(key: ApiKey) -> None:
    """Check that a key is not the one of Graftline's own process.

    Raises:
        Conflict: It is: its process would not learn of the change.
    """
    if key.project == ANY_PROJECT:
        message = (
            "This key belongs to Graftline's own exams and is read from a file. To change its "
            "secret, revoke it and restart the service, which makes a new one."
        )
        raise Conflict(message)


def project_for(caller: ApiKey, wanted: str | None) -> str:
    """Return the project of a new key.

    Raises:
        Invalid: The caller makes no keys for it, or it is no project's name.
    """
    if wanted is None or wanted == caller.project:
        return caller.project
    if not is_operator(caller):
        message = "Only an admin key of the project 'default' makes keys for other projects."
        raise Invalid(message, "project")
    return checked_project(wanted)


def checked_project(name: str) -> str:
    """Return a project's name.

    Raises:
        Invalid: It is none.
    """
    if not _PROJECT.fullmatch(name):
        message = "A project's name has 1 to 64 lower-case letters, digits and dashes."
        raise Invalid(message, "project")
    return name


def new_key(
    request: CreateKey, *, identifier: str, project: str, secret_sha256: str, now: int
) -> ApiKey:
    """Return the record of a new key.

    Raises:
        Invalid: A field of the request is at fault.
    """
    return ApiKey(
        id=identifier,
        project=project,
        name=checked_name(request.name),
        secret_sha256=secret_sha256,
        scopes=checked_scopes(request.scopes),
        created_at=now,
        expires_at=end_of(request.expires_at, request.expires_in_seconds, now),
        requests_per_minute=checked_limit("requests_per_minute", request.requests_per_minute),
        tokens_per_minute=checked_limit("tokens_per_minute", request.tokens_per_minute),
    )


def successor_of(key: ApiKey, *, identifier: str, secret_sha256: str, now: int) -> ApiKey:
    """Return the record of a key's successor: the same project, scopes and limits.

    A successor of a key with an end lives as long as that key was made to live.
    """
    lifetime = None if key.expires_at is None else max(1, key.expires_at - key.created_at)
    return msgspec.structs.replace(
        key,
        id=identifier,
        secret_sha256=secret_sha256,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )


def checked_name(name: str) -> str:
    """Return a key's name.

    Raises:
        Invalid: It is empty or too long.
    """
    if not 1 <= len(name) <= _MAX_NAME:
        raise Invalid(f"'name' must have 1 to {_MAX_NAME} characters.", "name")
    return name


def checked_scopes(scopes: list[Scope]) -> list[Scope]:
    """Return a key's scopes, each once.

    Raises:
        Invalid: There is none.
    """
    if not scopes:
        raise Invalid("'scopes' must name at least one of inference, training, admin.", "scopes")
    return sorted(set(scopes))


def checked_limit(name: str, limit: int | None) -> int | None:
    """Return a limit a minute.

    Raises:
        Invalid: It is below 1 or absurd.
    """
    if limit is not None and not 1 <= limit <= _MAX_LIMIT:
        message = (
            f"'{name}' must be from 1 to {_MAX_LIMIT}, or null for no limit. "
            "To stop a key altogether, revoke it."
        )
        raise Invalid(message, name)
    return limit


def end_of(expires_at: int | None, expires_in_seconds: int | None, now: int) -> int | None:
    """Return when a key ends, as a Unix time in seconds.

    Raises:
        Invalid: Both ways are used, or the end is not in the next hundred years.
    """
    if expires_in_seconds is None:
        if expires_at is not None and not now < expires_at <= now + _MAX_SECONDS:
            message = (
                "'expires_at' must be a Unix time in seconds, in the future and within 100 years."
            )
            raise Invalid(message, "expires_at")
        return expires_at
    if expires_at is not None:
        message = "Give 'expires_at' or 'expires_in_seconds', not both."
        raise Invalid(message, "expires_in_seconds")
    if not 1 <= expires_in_seconds <= _MAX_SECONDS:
        message = "'expires_in_seconds' must be from 1 second to 100 years."
        raise Invalid(message, "expires_in_seconds")
    return now + expires_in_seconds


def end_of_grace(grace_seconds: int, now: int) -> int:
    """Return when a rotated key ends, as a Unix time in seconds.

    Raises:
        Invalid: The grace is negative or longer than 30 days.
    """
    if not 0 <= grace_seconds <= _MAX_GRACE_SECONDS:
        message = f"'grace_seconds' must be from 0 to {_MAX_GRACE_SECONDS} (30 days)."
        raise Invalid(message, "grace_seconds")
    return now + grace_seconds


def changes_of(request: UpdateKey, now: int) -> dict[str, str | int | None]:
    """Return the fields that a request changes, with their new values.

    Raises:
        Invalid: A value is at fault.
    """
    changes: dict[str, str | int | None] = {}
    if request.name is not UNSET:
        changes["name"] = checked_name(request.name)
    if request.expires_in_seconds is not None or request.expires_at is not UNSET:
        end = None if isinstance(request.expires_at, UnsetType) else request.expires_at
        changes["expires_at"] = end_of(end, request.expires_in_seconds, now)
    for name, limit in (
        ("requests_per_minute", request.requests_per_minute),
        ("tokens_per_minute", request.tokens_per_minute),
    ):
        if not isinstance(limit, UnsetType):
            changes[name] = checked_limit(name, limit)
    return changes
