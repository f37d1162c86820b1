"""Signs of life of the processes.

It refuses to know what a process does.
"""

from registry.records.record import Record


class Heartbeat(Record, frozen=True, kw_only=True):
    """The last sign of life of a part."""

    part: str
    """`trainer`, `evals` or `service`."""
    pid: int
    """Its process id."""
    at: float
    """Unix time in seconds, with fractions."""


class Lease(Record, frozen=True, kw_only=True):
    """The right of one process, for a short time, to do what only one may do."""

    name: str
    """What it is the right to."""
    holder: str
    """The process that has it."""
    expires_at: float
    """Unix time in seconds, with fractions, until which it holds."""
