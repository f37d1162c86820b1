"""The ports the stack listens on, and who has one that is taken.

It refuses to choose another port: the operator does.
"""

import errno
import socket
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from registry.errors import Conflict
from registry.settings import Settings
from service.stack.programs import engine_name


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A port that a part of the stack will listen on."""

    part: str
    """Who listens."""
    host: str
    """The address."""
    port: int
    """The port."""
    setting: str
    """The setting that chooses it; the option of `graftline up` is spelled alike."""

    @property
    def remedy(self) -> str:
        """How to choose another port."""
        option = f"--{self.setting.replace('_', '-')}"
        return f"choose another port with {option} or GRAFTLINE_{self.setting.upper()}"


def claims_of(settings: Settings) -> tuple[Claim, ...]:
    """Return the ports the stack needs."""
    loopback = "127.0.0.1"
    return (
        Claim(part="service", host=settings.host, port=settings.port, setting="port"),
        *(
            Claim(part=engine_name(index), host=loopback, port=port, setting="engine_port")
            for index, port in enumerate(settings.engine_ports)
            if settings.runs_engines
        ),
        Claim(part="trainer", host=loopback, port=settings.trainer_port, setting="trainer_port"),
        Claim(part="evals", host=loopback, port=settings.evals_port, setting="evals_port"),
    )


def check_ports(claims: Iterable[Claim]) -> None:
    """Check that every port can be had.

    Raises:
        Conflict: One cannot; the message says which, who has it, and what to change.
    """
    wanted = tuple(claims)
    faults = [*clashes(wanted), *(fault for claim in wanted if (fault := _fault(claim)))]
    if faults:
        raise Conflict("\n".join(faults))


def clashes(claims: Iterable[Claim]) -> list[str]:
    """Return a sentence for each port that two parts were given."""
    wanted = tuple(claims)
    counts = Counter(claim.port for claim in wanted)
    return [
        f"{' and '.join(claim.part for claim in sharing)} were both given port {port}; "
        f"{sharing[-1].remedy}."
        for port, count in counts.items()
        if count > 1 and (sharing := [claim for claim in wanted if claim.port == port])
    ]


def _fault(claim: Claim) -> str | None:
    family = socket.AF_INET6 if ":" in claim.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((claim.host, claim.port))
        except (OSError, OverflowError) as exc:
            return _explain(claim, exc)
    return None


def _explain(claim: Claim, error: Exception) -> str:
    if getattr(error, "errno", None) != errno.EADDRINUSE:
        return (
            f"The {claim.part} cannot listen on {claim.host}:{claim.port} ({error}); "
            f"{claim.remedy}, or another address."
        )
    holder = holder_of(claim.port)
    by = f" by {holder}" if holder else ""
    return (
        f"Port {claim.port}, which the {claim.part} needs, is taken{by}. "
        f"Stop that process, or {claim.remedy}."
    )


def holder_of(port: int) -> str | None:
    """Return the process that listens on a port, if we are allowed to see it."""
    try:
        listening = [
            connection
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        ]
        pid = next((connection.pid for connection in listening if connection.pid), None)
        return None if pid is None else f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return None
