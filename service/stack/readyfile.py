"""What `graftline up --ready-file` tells other programs. Pure, but for one atomic write.

It refuses to know how the parts came to stand as they do.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from registry.durable import write_file
from registry.settings import Settings
from service.stack.configuration import LOGS
from service.stack.parts import Part, Standing


class StackStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The stack as other programs see it; the file exists from the first time it is ready."""

    ready: bool
    """Whether every part answers now; false while one is being restarted."""
    url: str
    """Address of the service."""
    engine_url: str
    """Address of the first vLLM server."""
    engine_urls: list[str]
    """Address of each vLLM server; empty when they are found by name."""
    base_model: str
    """Name clients use for the base model."""
    admin_key_file: str
    """File with the first admin key."""
    data_dir: str
    """The data directory."""
    logs_dir: str
    """Folder of the log files, one for each part."""
    pid: int
    """Process id of `graftline up`."""
    supervisor_pid: int
    """Process id of supervisord."""
    pids: dict[str, int | None]
    """Process id of each part; null between two lives."""
    standings: dict[str, Standing]
    """How each part stands."""
    restarts: dict[str, int]
    """How often each part died and came back."""


def status_of(
    settings: Settings, parts: Sequence[Part], *, ready: bool, supervisor_pid: int
) -> StackStatus:
    """Return the status for a set of parts."""
    return StackStatus(
        ready=ready,
        url=settings.service_url,
        engine_url=settings.engine_base_url,
        engine_urls=list(settings.engine_urls),
        base_model=settings.base_name,
        admin_key_file=str(settings.admin_key_file),
        data_dir=str(settings.data_dir.absolute()),
        logs_dir=str(settings.data_dir.absolute() / LOGS),
        pid=os.getpid(),
        supervisor_pid=supervisor_pid,
        pids={part.name: part.pid for part in parts},
        standings={part.name: part.standing for part in parts},
        restarts={part.name: part.deaths for part in parts},
    )


def write_status(path: Path, status: StackStatus) -> None:
    """Write the file so that a reader sees all of it or the one before."""
    write_file(path, msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n")
