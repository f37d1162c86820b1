"""What a run takes of the machine at a time: chosen once, kept in its folder, lowered on need.

It refuses to know why memory ran out. A run that resumes takes what it took before, whatever else
the machine does meanwhile, so that its weights come out the same.
"""

from pathlib import Path

import msgspec
import psutil

from registry.durable import write_file
from registry.planning.memory import Footprint, halved
from registry.records import Record
from trainer.workplace import Workplace

_CGROUP = Path("/sys/fs/cgroup")
_SHARE = 0.9
"""Share of the free memory that a run plans with."""


class Taken(Record, frozen=True, kw_only=True):
    """What a run takes, as its folder tells."""

    footprint: Footprint
    """How much goes through the model at a time."""
    longest: int
    """Tokens of the longest row."""


def recall(place: Workplace) -> Taken | None:
    """Return what the run took before, or none when it had not chosen."""
    try:
        return msgspec.json.decode(place.footprint.read_bytes(), type=Taken)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(place: Workplace, taken: Taken) -> None:
    """Write down what the run takes."""
    write_file(place.footprint, msgspec.json.encode(taken))


def lower(place: Workplace) -> Footprint | None:
    """Halve what the run takes, and return it; none when that is not possible.

    A run that had not chosen yet died of what it takes before the first row.
    """
    present = recall(place)
    smaller = None if present is None else halved(present.footprint, present.longest)
    if present is None or smaller is None:
        return None
    keep(place, msgspec.structs.replace(present, footprint=smaller))
    return smaller


def free_memory() -> int:
    """Return the bytes that a process without a GPU may plan with here."""
    return int(_SHARE * min([psutil.virtual_memory().available, *_left_in_group()]))


def kills_for_memory() -> int:
    """Return how often the kernel ended a process here because memory ran out, since its start."""
    words = ["oom_kill"]
    found = 0
    for path in (Path("/proc/vmstat"), _CGROUP / "memory.events"):
        try:
            lines = [line.split() for line in path.read_text().splitlines()]
        except OSError:  # not every kernel counts, and not every group shows
            continue
        found += sum(int(line[1]) for line in lines if line[:1] == words)
    return found


def _left_in_group() -> list[int]:
    """Return what the control group leaves, where there is one with a limit.

    Cached pages of files count as used there, and go when they are in the way.
    """
    try:
        most = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        lines = [line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines()]
    except (OSError, ValueError):  # no such group, or `max`
        return []
    cached = sum(int(line[1]) for line in lines if line[0] == "file")
    return [most - used + cached]
