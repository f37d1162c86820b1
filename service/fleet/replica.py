"""One vLLM server: its client, its health, and what it was observed to hold.

It refuses to decide what it should hold and which requests it gets.
"""

import asyncio
from array import array
from hashlib import blake2b
from urllib.parse import urlsplit

from service.fleet.health import Health, Standing
from service.vllm import Engine

MAX_REMEMBERED_ROWS = 256
"""Probe rows whose answer by the base model is kept; the oldest makes room for a new one."""


class Replica:
    """One vLLM server, as this process sees it."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        """Where it is, without a path."""
        self.name = urlsplit(url).netloc.rpartition("@")[2]
        """Host and port; the label `replica` of metrics."""
        self.seed = int.from_bytes(blake2b(self.name.encode(), digest_size=7).digest())
        """A number of its own, the same in every process."""
        self.engine = engine
        """The client."""
        self.outstanding = 0
        """Requests of this process that it is answering; whoever sends one counts it."""
        self.health = Health()
        """How it is."""
        self.observed: dict[str, str] = {}
        """Path of each adapter it was last seen to hold, by name."""
        self.examined: dict[str, str] = {}
        """Path of each version that this process examined on it since it was last seen to load it,
        by name."""
        self.serving: frozenset[str] = frozenset()
        """Versions that it may answer for: observed, examined, and ready by their record."""
        self.baseline = Baseline(engine)
        """Its log-probabilities, the base model's from memory where they are known."""
        self.woken = asyncio.Event()
        """Set when it should be looked at now."""

    @property
    def is_up(self) -> bool:
        """Whether it gets requests."""
        return self.health.standing is Standing.UP

    def forget_all(self) -> None:
        """Take note that whatever it held may be gone: it does not answer."""
        self.observed = {}
        self.examined = {}
        self.baseline.clear()

    def forget(self, name: str) -> None:
        """Take note that it did not know an adapter we believed loaded."""
        self.observed.pop(name, None)
        self.examined.pop(name, None)

    def believe(self, observed: dict[str, str]) -> None:
        """Take note of what it holds; what it lost or holds from another path is examined anew."""
        self.observed = observed
        self.examined = {
            name: path for name, path in self.examined.items() if observed.get(name) == path
        }


class Baseline:
    """A replica's log-probabilities; the base model's never change, so they are asked for once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[bytes, array[float]] = {}

    async def prompt_logprobs(self, model: str, token_ids: list[int]) -> list[float]:
        """Return the log-probability of every token after the first; see `Engine`."""
        return await self._engine.prompt_logprobs(model, token_ids)

    async def base_logprobs(self, base: str, token_ids: list[int]) -> list[float]:
        """Return the base model's log-probability of every token after the first.

        Raises:
            Unavailable: The replica does not answer.
            EngineError: It refused.
        """
        key = blake2b(array("Q", token_ids).tobytes()).digest()
        known = self._known.get(key)
        if known is None:
            known = array("d", await self._engine.prompt_logprobs(base, token_ids))
            while len(self._known) >= MAX_REMEMBERED_ROWS:
                del self._known[next(iter(self._known))]
            self._known[key] = known
        return list(known)

    def clear(self) -> None:
        """Forget everything: the replica that comes back may be another one."""
        self._known.clear()
