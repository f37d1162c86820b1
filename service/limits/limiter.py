"""A key's requests and tokens a minute: admitted before, settled after.

It refuses to know where counts are kept, and what a request asks for. A minute is the clock's, in
UTC: all processes agree on it without asking one another.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from registry.errors import Allowance, RateLimited
from registry.records import ApiKey
from service.limits.counting import Counters
from service.limits.headers import rate_limit_headers

WINDOW_SECONDS = 60
"""Length of a window, in seconds."""
MAX_UNSETTLED = 20_000
"""Keys whose tokens may wait to be counted; the writer needs milliseconds for them."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Admission:
    """A request that its key's limits let through."""

    key: ApiKey
    """Whose limits they are."""
    allowances: tuple[Allowance, ...]
    """What is left of each limit, this request counted, its tokens not yet."""
    _limiter: "Limiter"

    def headers(self) -> dict[str, str]:
        """Return OpenAI's rate-limit headers."""
        return rate_limit_headers(self.allowances)

    def settle(self, tokens: int) -> None:
        """Count the tokens the engine used for this request; never waits."""
        if self.key.tokens_per_minute is not None and tokens > 0:
            self._limiter.spend(self.key.id, tokens)


class Limiter:
    """Decides whether a key may send one more request in the present minute."""

    def __init__(self, counters: Counters, *, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._unsettled: dict[str, int] = {}
        self._arrived = asyncio.Event()

    async def admit(self, key: ApiKey) -> Admission | None:
        """Let a request through and count it; none for a key without limits.

        Tokens are not foreseen: a request is let through while any are left, and what it used
        counts once it is answered, so the last request of a minute may go beyond the limit.

        Raises:
            RateLimited: Requests or tokens of this minute are used up.
        """
        if not key.is_limited:
            return None
        now = self._clock()
        reset_seconds = max(1, math.ceil(WINDOW_SECONDS - now % WINDOW_SECONDS))
        tokens = await self._tokens(key, now, reset_seconds)
        if tokens is not None and tokens.remaining == 0:
            raise RateLimited(tokens, (tokens,))
        if key.requests_per_minute is None:
            return Admission(key, () if tokens is None else (tokens,), self)
        count = await self._counters.add(_name("requests", key.id, now), 1)
        requests = _allowance("requests", key.requests_per_minute, count, reset_seconds)
        allowances = (requests,) if tokens is None else (requests, tokens)
        if count > key.requests_per_minute:
            raise RateLimited(requests, allowances)
        return Admission(key, allowances, self)

    def spend(self, key_id: str, tokens: int) -> None:
        """Take tokens to be counted in the present minute; never waits."""
        if key_id in self._unsettled or len(self._unsettled) < MAX_UNSETTLED:
            self._unsettled[key_id] = self._unsettled.get(key_id, 0) + tokens
            self._arrived.set()

    async def run(self) -> None:
        """Count what was spent until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self.settle()

    async def settle(self) -> None:
        """Return once all tokens spent so far are counted."""
        for key_id in list(self._unsettled):
            # Taken out only once it is counted: in between, a request is refused rather than lost.
            tokens = self._unsettled[key_id]
            await self._counters.add(_name("tokens", key_id, self._clock()), tokens)
            rest = self._unsettled[key_id] - tokens
            if rest:
                self._unsettled[key_id] = rest
            else:
                del self._unsettled[key_id]

    async def close(self) -> None:
        """Count what is left, and close the connections."""
        await self.settle()
        await self._counters.close()

    async def _tokens(self, key: ApiKey, now: float, reset_seconds: int) -> Allowance | None:
        if key.tokens_per_minute is None:
            return None
        waiting = self._unsettled.get(key.id, 0)
        used = waiting + await self._counters.read(_name("tokens", key.id, now))
        return _allowance("tokens", key.tokens_per_minute, used, reset_seconds)


def _name(kind: str, key_id: str, now: float) -> str:
    return f"{kind}/{key_id}/{int(now) // WINDOW_SECONDS}"


def _allowance(kind: str, limit: int, used: int, reset_seconds: int) -> Allowance:
    return Allowance(
        kind=kind, limit=limit, remaining=max(0, limit - used), reset_seconds=reset_seconds
    )
