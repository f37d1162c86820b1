"""When a delivery that was not taken is tried again.

It refuses to know why it was not. Pure.
"""

FIRST_SECONDS = 5.0
"""Mean time between the first try and the second."""
LONGEST_SECONDS = 4 * 3600.0
"""Mean time between two tries, at most."""
_MOST_DOUBLINGS = 32


def next_attempt(
    *, tries: int, created_at: float, now: float, chance: float, retry_seconds: float
) -> float | None:
    """Return when to try again, in Unix seconds; none when it is too late.

    The time between two tries doubles, up to `LONGEST_SECONDS`, and is spread by half of itself to
    both sides: receivers that come back are not met by everybody at once.

    Args:
        tries: How often it was tried.
        created_at: Unix time in seconds of the event.
        now: Unix time in seconds.
        chance: From 0 up to below 1, drawn anew for each try.
        retry_seconds: Time from the event after which nothing is tried any more.
    """
    doublings = min(tries - 1, _MOST_DOUBLINGS)
    pause = min(FIRST_SECONDS * 2**doublings, LONGEST_SECONDS) * (0.5 + chance)
    again = now + pause
    return again if again <= created_at + retry_seconds else None
