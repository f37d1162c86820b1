"""Names of new things.

It refuses to know what the things are.
"""

import re
import secrets


def new_id(prefix: str) -> str:
    """Return `prefix-` and 24 random hexadecimal digits."""
    return f"{prefix}-{secrets.token_hex(12)}"


def new_secret() -> str:
    """Return an API key: `sk-graftline-` and 256 random bits."""
    return f"sk-graftline-{secrets.token_urlsafe(32)}"


def adapter_name(
    *, base: str, project: str, suffix: str | None, job_id: str, step: int | None = None
) -> str:
    """Return the immutable name of the adapter version that a job makes.

    The last part is taken from the job's id, so a job that is run again names the same version.
    """
    short = job_id.removeprefix("ftjob-")[:8]
    name = f"ft:{base}:{project}:{slug(suffix or '')}:{short}"
    return name if step is None else f"{name}:ckpt-step-{step}"


def slug(text: str) -> str:
    """Return `text` with everything but letters, digits, dots and dashes turned into dashes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-")[:64]
