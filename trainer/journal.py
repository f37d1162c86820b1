"""A job's events, as records.

It refuses to know where they are stored.
"""

import time
from hashlib import sha256
from typing import Any

from registry.identifiers import new_id
from registry.records import JobEvent


def message(job_id: str, text: str, *, level: str = "info") -> JobEvent:
    """Return an event that says something."""
    return JobEvent(
        id=new_id("ftevent"), job_id=job_id, created_at=int(time.time()), level=level, message=text
    )


def metrics(job_id: str, text: str, data: dict[str, Any]) -> JobEvent:
    """Return an event that carries figures."""
    return JobEvent(
        id=new_id("ftevent"),
        job_id=job_id,
        created_at=int(time.time()),
        level="info",
        message=text,
        type="metrics",
        data=data,
    )


def derived_id(prefix: str, *parts: str) -> str:
    """Return the id of a thing that a job makes: the same whenever the job is run again."""
    return f"{prefix}-{sha256(':'.join(parts).encode()).hexdigest()[:24]}"
