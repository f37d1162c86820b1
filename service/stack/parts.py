"""How each part of the stack stands, from what supervisor and the part itself say. Pure.

It refuses to ask them: `supervision` and `readiness` do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

MAX_DEATHS = 2
"""Deaths before its first answer after which a part counts as unable to start."""


class Standing(StrEnum):
    """How a part stands."""

    WAITING = "waiting"
    """Not started yet, or between two attempts."""
    STARTING = "starting"
    """It runs and does not answer yet."""
    READY = "ready"
    """It answers."""
    RESTARTING = "restarting"
    """It died after it had answered, and does not answer yet."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What supervisor says about one process."""

    name: str
    """The program's name."""
    pid: int | None
    """The process; none when it is not running."""
    stopped_at: int
    """Unix time in seconds of its last death; 0 when it never died."""
    started_at: int
    """Unix time in seconds of its last start; 0 when it never started."""
    exit_status: int
    """Exit status of the last death; -1 when a signal killed it."""
    spawn_error: str
    """Why it could not be started at all, else empty."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is known of one part so far."""

    name: str
    """The program's name."""
    waits_for: str
    """What it waits for while it does not answer."""
    standing: Standing = Standing.WAITING
    """How it stands."""
    pid: int | None = None
    """The process; none when it is not running."""
    started_at: int = 0
    """Unix time in seconds of its last start."""
    deaths: int = 0
    """How often it died."""
    last_death: int = 0
    """Unix time in seconds of its last death, which tells one death from the next."""
    was_ready: bool = False
    """Whether it ever answered."""
    fault: str = ""
    """What supervisor said about the last death."""

    @property
    def gave_up(self) -> bool:
        """Whether it died too often without ever answering."""
        return not self.was_ready and self.deaths >= MAX_DEATHS


def advance(part: Part, seen: Observation) -> Part:
    """Return how a part stands after an observation; a process that is new is not ready."""
    death = _death_of(seen)
    died = death > part.last_death
    standing = part.standing
    if seen.pid is None:
        standing = Standing.RESTARTING if part.was_ready else Standing.WAITING
    elif seen.pid != part.pid:
        standing = Standing.RESTARTING if part.was_ready else Standing.STARTING
    return replace(
        part,
        standing=standing,
        pid=seen.pid,
        started_at=seen.started_at,
        deaths=part.deaths + died,
        last_death=max(part.last_death, death),
        fault=_fault(seen) if died else part.fault,
    )


def answered(part: Part) -> Part:
    """Return the part after it answered."""
    return replace(part, standing=Standing.READY, was_ready=True)


def is_ready(parts: Sequence[Part]) -> bool:
    """Return whether every part answers."""
    return all(part.standing is Standing.READY for part in parts)


def _death_of(seen: Observation) -> int:
    """Return when the last attempt failed; one that could not even start has only its start."""
    not_started = seen.pid is None and seen.spawn_error
    return max(seen.stopped_at, seen.started_at if not_started else 0)


def _fault(seen: Observation) -> str:
    """Return why it died; supervisor forgets that once it is started again."""
    if seen.exit_status < 0:
        return "killed by a signal"
    return f"exit status {seen.exit_status}" if seen.exit_status else seen.spawn_error


def changes(before: Part, after: Part) -> list[str]:
    """Return a sentence for each thing an operator should know."""
    name, said = after.name, []
    if after.deaths > before.deaths:
        reason = f": {after.fault}" if after.fault else ""
        said.append(f"{name} (pid {before.pid}) died{reason}")
    if after.pid is not None and after.pid != before.pid:
        said.append(f"{name} started, pid {after.pid}; waits for {after.waits_for}")
    if after.standing is Standing.READY is not before.standing:
        said.append(f"{name} is ready")
    return said


def describe(part: Part, now: float) -> str:
    """Return what a line about the part says beside its name and process."""
    seconds = max(0, int(now - part.started_at))
    if part.standing is Standing.READY:
        return f"up {_clock(seconds)}" + (f", restarts {part.deaths}" if part.deaths else "")
    if part.pid is None:
        return f"starts soon ({part.fault})" if part.fault else "starts soon"
    return f"{seconds} s, waits for {part.waits_for}"


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
