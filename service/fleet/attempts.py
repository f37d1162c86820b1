"""Whether a request that failed on one replica may be sent to another. Pure.

It refuses to send anything. It is asked only before the first byte of an answer reached the client.
"""

from registry.errors import Declined, Interrupted, Unreachable
from service.fleet.health import Failure
from service.fleet.replica import Replica

MAX_INTERRUPTIONS = 1
"""Replicas that may go away under one request and it is sent again: it may be what kills them."""
MAX_ABSENCES = 1
"""Times that a version was not where we believed it loaded and the request is sent again."""


def failure_of(error: Unreachable | Declined | Interrupted) -> Failure:
    """Return what befell the replica."""
    if isinstance(error, Unreachable):
        return Failure.UNREACHABLE
    return Failure.DECLINED if isinstance(error, Declined) else Failure.INTERRUPTED


class Attempts:
    """The history of one request that met a failure; a request without one needs none."""

    __slots__ = ("absences", "interruptions", "tried")

    def __init__(self) -> None:
        self.tried: set[Replica] = set()
        """Replicas that failed it."""
        self.absences = 0
        """How often the version was not where it was believed to be."""
        self.interruptions = 0
        """Replicas that went away after they had the request."""

    def may_follow(self, replica: Replica, failure: Failure) -> bool:
        """Note that a replica failed the request; return whether another one may be asked.

        One that could not be reached was sent nothing, and one that declined did nothing, so any
        other may be asked. One that went away may have been killed by the request: one other is
        asked, and no more.
        """
        self.tried.add(replica)
        if failure is Failure.INTERRUPTED:
            self.interruptions += 1
        return self.interruptions <= MAX_INTERRUPTIONS

    def may_reload(self) -> bool:
        """Note that a replica did not know the version; return whether to load it and ask again."""
        self.absences += 1
        return self.absences <= MAX_ABSENCES
