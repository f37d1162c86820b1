"""Requests and tokens a minute, counted in memory and in a real Redis alike."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import Counter

from registry.errors import Invalid, RateLimited
from registry.records import ApiKey
from service.limits import Counters, Limiter, open_counting, rate_limit_headers
from service.limits.headers import as_reset
from tests.records import api_key
from tests.redis_server import running_redis

PATIENCE_SECONDS = 20.0


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = 1_700_000_005.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """Run one Redis for the module."""
    with running_redis() as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture(params=["memory", "redis", "valkey"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Return where is counted."""
    if request.param == "memory":
        return None
    address = str(request.getfixturevalue("redis_url"))
    return address.replace("redis+unix", f"{request.param}+unix")


def failures() -> Counter:
    """Return a metric of the test's own."""
    return Counter("failures", "x", registry=None)


def limiter(url: str | None, clock: Clock, failed: Counter | None = None) -> Limiter:
    """Return a limiter, patient with a loaded machine."""
    counters = Counters(
        open_counting(url), failed or failures(), clock=clock, call_seconds=PATIENCE_SECONDS
    )
    return Limiter(counters, clock=clock)


def key(name: str, *, requests: int | None = None, tokens: int | None = None) -> ApiKey:
    """Return a key with limits."""
    return api_key(f"key-{name}", requests_per_minute=requests, tokens_per_minute=tokens)


async def test_requests_beyond_the_limit_are_refused_until_the_minute_ends(
    url: str | None, clock: Clock
) -> None:
    """Two go through, the third does not, the next minute's first does."""
    limits = limiter(url, clock)
    caller = key(f"requests-{url}", requests=2)
    for _ in range(2):
        assert await limits.admit(caller) is not None
    with pytest.raises(RateLimited) as refused:
        await limits.admit(caller)
    assert refused.value.exceeded.kind == "requests"
    clock.now += refused.value.exceeded.reset_seconds
    assert await limits.admit(caller) is not None
    await limits.close()


async def test_tokens_count_once_they_are_settled(url: str | None, clock: Clock) -> None:
    """The request that goes beyond the limit is answered; the one after it is refused at once."""
    limits = limiter(url, clock)
    caller = key(f"tokens-{url}", tokens=10)
    admission = await limits.admit(caller)
    assert admission is not None
    admission.settle(12)
    with pytest.raises(RateLimited, match="10 tokens a minute"):
        await limits.admit(caller)
    await limits.settle()
    with pytest.raises(RateLimited):
        await limits.admit(caller)
    await limits.close()


async def test_two_processes_count_together_in_redis(redis_url: str, clock: Clock) -> None:
    """What one admitted, the other knows."""
    first, second = limiter(redis_url, clock), limiter(redis_url, clock)
    caller = key("together", requests=1)
    await first.admit(caller)
    with pytest.raises(RateLimited):
        await second.admit(caller)
    await first.close()
    await second.close()


async def test_concurrent_requests_do_not_exceed_the_limit(url: str | None, clock: Clock) -> None:
    """Of forty at once, ten go through."""
    limits, through = limiter(url, clock), []
    caller = key(f"many-{url}", requests=10)

    async def ask() -> None:
        try:
            through.append(await limits.admit(caller))
        except RateLimited:
            return

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(ask())
    assert len(through) == 10
    await limits.close()


async def test_without_redis_each_process_counts_by_itself(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit holds in the process, one failure is counted and logged, the password is not."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"redis://:swordfish@127.0.0.1:{taken.getsockname()[1]}/0"
        failed = failures()
        limits = limiter(url, clock, failed)
        caller = key("alone", requests=2)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert await limits.admit(caller) is not None
            with pytest.raises(RateLimited):
                await limits.admit(caller)
        await limits.close()
    assert failed._value.get() == 1
    assert "by itself" in caplog.text
    assert "swordfish" not in caplog.text


async def test_a_key_without_limits_is_not_counted(clock: Clock) -> None:
    """It is let through without an admission."""
    assert await limiter(None, clock).admit(key("free")) is None


@pytest.mark.parametrize("url", ["swordfish", "mongodb://u:swordfish@h", "redis://h:swordfish/0"])
def test_a_url_at_fault_is_refused_without_its_words(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(Invalid, match="GRAFTLINE_LIMITS_URL") as refused:
        open_counting(url)
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize(("seconds", "text"), [(1, "1s"), (60, "1m0s"), (360, "6m0s")])
def test_a_reset_is_written_as_openai_writes_it(seconds: int, text: str) -> None:
    """Minutes and seconds."""
    assert as_reset(seconds) == text


async def test_the_headers_name_what_is_left(clock: Clock) -> None:
    """Limit, rest and reset, for requests and for tokens."""
    admission = await limiter(None, clock).admit(key("h", requests=5, tokens=50))
    assert admission is not None
    assert admission.headers() == rate_limit_headers(admission.allowances)
    assert admission.headers()["x-ratelimit-remaining-requests"] == "4"
    assert admission.headers()["x-ratelimit-remaining-tokens"] == "50"
