"""What is left of a key's limits, as OpenAI's response headers.

It refuses to know how anything is counted.
"""

from collections.abc import Iterable

from registry.errors import Allowance

_MINUTE_SECONDS = 60


def rate_limit_headers(allowances: Iterable[Allowance]) -> dict[str, str]:
    """Return `x-ratelimit-limit-…`, `-remaining-…` and `-reset-…` for each limit of a key."""
    return {
        name: value
        for one in allowances
        for name, value in (
            (f"x-ratelimit-limit-{one.kind}", str(one.limit)),
            (f"x-ratelimit-remaining-{one.kind}", str(one.remaining)),
            (f"x-ratelimit-reset-{one.kind}", as_reset(one.reset_seconds)),
        )
    }


def as_reset(seconds: int) -> str:
    """Return a duration in OpenAI's form: `1s`, `6m0s`."""
    minutes, rest = divmod(seconds, _MINUTE_SECONDS)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
