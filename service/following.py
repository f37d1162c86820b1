"""Streams of jobs' events: what was told so far, then what comes, until the job ends.

It refuses to know who writes events: it looks at the store, so those of the trainer and of other
service processes are seen. One look serves all streams; each reads its own job's events when it
has some.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from registry.errors import GraftlineError, Unavailable
from registry.lifecycle import JOB_MOVES, is_final
from registry.store import Store
from registry.store.event_feed import JobPulse, PlacedEvent
from service.wire.fine_tuning import event_object

LOOK_SECONDS = 0.5
"""Time between two looks at the jobs that are followed."""
HEARTBEAT_SECONDS = 15.0
"""Longest silence of a stream; then it sends a comment, which no client takes for an event."""
LATE_SECONDS = 5.0
"""Time for which an event may still show up behind one that came later: another process on
PostgreSQL that took its place first and committed last."""
_PAGE = 100
_HEARTBEAT = b": heartbeat\n\n"
_DONE = b"data: [DONE]\n\n"

logger = logging.getLogger(__name__)


class Following:
    """The streams that one service process sends.

    Args:
        store: Where jobs and events are.
        most: Streams at a time.
        stream_seconds: Longest life of one stream.
        steady: A clock that only goes forward, in seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        most: int,
        stream_seconds: float,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._most = most
        self._stream_seconds = stream_seconds
        self._steady = steady
        self._followed: Counter[str] = Counter()
        self._pulses: Mapping[str, JobPulse] = {}
        self._looked = asyncio.Condition()

    @property
    def streams(self) -> int:
        """How many streams there are now."""
        return self._followed.total()

    async def run(self) -> None:
        """Look at the jobs that are followed, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except GraftlineError as exc:
                logger.warning("followed jobs are not looked at: %s", exc)

    async def look(self) -> None:
        """Look once, and wake the streams.

        Raises:
            Unavailable: The database does not answer.
        """
        followed = [job_id for job_id, count in self._followed.items() if count]
        pulses = await self._store.event_feed.pulses(followed) if followed else {}
        async with self._looked:
            self._pulses = pulses
            self._looked.notify_all()

    async def begin(self, job_id: str, *, after: str | None) -> AsyncIterator[bytes]:
        """Return a new stream of a job's events, the oldest first.

        Args:
            job_id: The job, which exists.
            after: Id of the event before the first; none for all of them.

        Raises:
            NotFound: The job has no event `after`.
            Unavailable: As many streams as may be are sent already.
        """
        place = 0 if after is None else await self._store.event_feed.place_of(job_id, after)
        if self.streams >= self._most:
            raise Unavailable(
                "events",
                f"This process sends {self._most} streams of events already. Try again later, "
                "list the events, or raise GRAFTLINE_MAX_EVENT_STREAMS.",
            )
        return self._stream(job_id, _Reader(self._store, job_id, place, self._steady))

    async def _stream(self, job_id: str, reader: "_Reader") -> AsyncIterator[bytes]:
        self._followed[job_id] += 1
        try:
            yield _HEARTBEAT  # the head of the answer goes out at once, before there are events
            async for piece in self._pieces(job_id, reader):
                yield piece
        except GraftlineError as exc:  # the client sees no end, and asks again
            logger.warning("a stream of the events of %s is cut: %s", job_id, exc)
        finally:
            self._followed[job_id] -= 1
            self._followed += Counter()  # forgets jobs that nobody follows

    async def _pieces(self, job_id: str, reader: "_Reader") -> AsyncIterator[bytes]:
        ends_at = self._steady() + self._stream_seconds
        pulse = (await self._store.event_feed.pulses([job_id])).get(job_id)
        while pulse is not None:
            # The status was read first: an end that it tells is among the events.
            async for event in reader.read():
                yield event
            if is_final(JOB_MOVES, pulse.status):
                yield _DONE
                return
            if self._steady() >= ends_at:
                return
            fresh = await self._next(job_id, pulse, ends_at)
            if fresh == pulse:
                yield _HEARTBEAT
            pulse = fresh

    async def _next(self, job_id: str, pulse: JobPulse, ends_at: float) -> JobPulse:
        """Return the job's pulse once it changed, or the same when the silence was long."""
        patience = min(HEARTBEAT_SECONDS, max(0.0, ends_at - self._steady()))
        try:
            async with asyncio.timeout(patience), self._looked:
                while self._pulses.get(job_id, pulse) == pulse:
                    await self._looked.wait()
        except TimeoutError:
            return pulse
        return self._pulses.get(job_id, pulse)


class _Reader:
    """Reads one job's events, each once, those that come late included."""

    def __init__(self, store: Store, job_id: str, place: int, steady: Callable[[], float]) -> None:
        self._store = store
        self._job_id = job_id
        self._place = place
        self._steady = steady
        self._recent: dict[int, float] = {}  # the places that were sent, and when, in that order

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the events that were not yielded yet."""
        self._settle()
        place = self._place
        while page := await self._store.event_feed.behind(self._job_id, place, limit=_PAGE):
            for placed in page:
                if placed.seq not in self._recent:
                    self._recent[placed.seq] = self._steady()
                    yield _encode(placed)
            place = page[-1].seq

    def _settle(self) -> None:
        """Stop to look behind what was sent a while ago."""
        settled = self._steady() - LATE_SECONDS
        while self._recent and next(iter(self._recent.values())) < settled:
            seq = next(iter(self._recent))
            del self._recent[seq]
            self._place = max(self._place, seq)


def _encode(placed: PlacedEvent) -> bytes:
    data = msgspec.json.encode(event_object(placed.event))
    return b"id: " + placed.event.id.encode() + b"\ndata: " + data + b"\n\n"
