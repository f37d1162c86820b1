"""How a replica is, from what it answers to a probe and what befalls requests on it. Pure.

It refuses to ask the replica, and to know the time.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

EJECT_AFTER = 3
"""Requests in a row that a replica breaks off before it is ejected."""
EJECT_AFTER_ERRORS = 5
"""Requests in a row that a replica answers with a server error before it is ejected: more, since
a request may be what the error is about."""
EJECT_SECONDS = 1.0
"""Shortest ejection; each further one lasts twice as long."""
MAX_EJECT_SECONDS = 30.0
"""Longest ejection."""
CALM_SECONDS = 120.0
"""Time without an ejection after which the next one is a first one again."""


class Failure(StrEnum):
    """What befell a request on a replica."""

    UNREACHABLE = "unreachable"
    """No connection could be opened: nothing listens there."""
    INTERRUPTED = "interrupted"
    """The replica had the request and went away."""
    DECLINED = "declined"
    """The replica said that it cannot begin now (503)."""
    ERROR = "error"
    """The replica answered with another server error, or its stream ended in one."""


class Standing(StrEnum):
    """Whether a replica gets requests."""

    UP = "up"
    """It does."""
    EJECTED = "ejected"
    """It answers probes but failed requests lately: only when no other replica is up."""
    DOWN = "down"
    """It does not answer, or was never asked."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is known of one replica's health."""

    answers: bool = False
    """Whether it answered the last probe, and nothing showed since that it is gone."""
    failures: int = 0
    """Requests in a row that it broke off."""
    errors: int = 0
    """Requests in a row that it answered with a server error."""
    ejections: int = 0
    """Ejections with less than `CALM_SECONDS` between them."""
    ejected_at: float = float("-inf")
    """When it was ejected last, in seconds of a clock that only goes forward."""
    ejected_until: float = float("-inf")
    """Until when; a probe that is answered after that brings it back."""
    is_ejected: bool = False
    """Whether it is ejected and was not brought back yet."""

    @property
    def standing(self) -> Standing:
        """Whether it gets requests."""
        if not self.answers:
            return Standing.DOWN
        return Standing.EJECTED if self.is_ejected else Standing.UP


def probed(health: Health, *, answered: bool, now: float) -> Health:
    """Return the health after an active probe; a good one ends an ejection whose time is over."""
    if not answered:
        return replace(health, answers=False)
    still = health.is_ejected and now < health.ejected_until
    counts = health.answers and not health.is_ejected
    return replace(
        health,
        answers=True,
        is_ejected=still,
        failures=health.failures if counts else 0,
        errors=health.errors if counts else 0,
    )


def failed(health: Health, failure: Failure, now: float, *, is_needed: bool = False) -> Health:
    """Return the health after a request failed on the replica.

    Args:
        health: The health before.
        failure: What befell the request.
        now: Seconds of a clock that only goes forward.
        is_needed: Whether too few others are up: server errors then count, and do not eject.
    """
    if failure is Failure.UNREACHABLE:
        return _ejected(replace(health, answers=False), now)
    if failure is Failure.INTERRUPTED:
        after = replace(health, failures=health.failures + 1)
        return _ejected(after, now) if after.failures >= EJECT_AFTER else after
    after = replace(health, errors=health.errors + 1)
    is_over = after.errors >= EJECT_AFTER_ERRORS and not is_needed
    return _ejected(after, now) if is_over else after


def succeeded(health: Health) -> Health:
    """Return the health after the replica answered a request, be it with a refusal of it."""
    return replace(health, failures=0, errors=0)


def _ejected(health: Health, now: float) -> Health:
    if health.is_ejected:  # requests that were under way when it was ejected
        return health
    is_calm = now - health.ejected_at > CALM_SECONDS
    ejections = 1 if is_calm else health.ejections + 1
    pause = min(EJECT_SECONDS * 2.0 ** (ejections - 1), MAX_EJECT_SECONDS)
    return replace(
        health,
        failures=0,
        errors=0,
        ejections=ejections,
        ejected_at=now,
        ejected_until=now + pause,
        is_ejected=True,
    )
