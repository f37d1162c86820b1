"""The watch over drift: each target is compared when its last report is old enough.

It refuses to know how samples are read and compared. What was computed is in the store, so that a
process that starts anew shows it, and computes nothing before its time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from anyio import to_thread

from evals.drift.comparison import Floor, compare
from evals.drift.gathering import Gathered, Sizes, gather
from evals.drift.verdict import worst
from registry.errors import GraftlineError, Unavailable
from registry.records import DriftReport, DriftTarget, FeatureDrift, Record
from registry.store import Store

MAX_SHOWN = 100
"""Targets whose reports are shown to Prometheus: those compared last."""

logger = logging.getLogger(__name__)


class Schedule(Record, frozen=True, kw_only=True):
    """How often to compare, and what."""

    every_seconds: float
    """Between two comparisons of a target; 0 for none."""
    sizes: Sizes
    """Rows of both samples."""
    floor_rows: int
    """Fewest rows of a figure, on each side."""
    look_seconds: float = 5.0
    """Between two looks at what is due."""


class Display(Protocol):
    """What shows reports: `evals.metrics.Metrics`."""

    def show_drift(self, reports: Sequence[DriftReport]) -> None:
        """Show these from now on, and no others."""


class Watch:
    """Compares until cancelled."""

    def __init__(
        self,
        store: Store,
        display: Display,
        schedule: Schedule,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._display = display
        self._schedule = schedule
        self._clock = clock
        self._not_before: dict[DriftTarget, float] = {}

    async def run(self) -> None:
        """Work until cancelled; an outage of the database is waited out."""
        while True:
            try:
                await self.step()
            except GraftlineError as exc:
                logger.warning("drift is not watched: %s", exc)
            except Exception:  # the edge of the loop: the exams beside it go on
                logger.exception("drift is not watched")
            await asyncio.sleep(self._schedule.look_seconds)

    async def step(self) -> int:
        """Compare every target that is due, show what is stored, and return how many were due."""
        if not self._schedule.every_seconds:
            self._display.show_drift([])
            return 0
        due = await self._due()
        for target in due:
            await self._compare(target)
        await self._store.drift.sweep()
        self._display.show_drift(await self._store.drift.latest(limit=MAX_SHOWN))
        return len(due)

    async def _due(self) -> list[DriftTarget]:
        every, now = self._schedule.every_seconds, self._clock()
        computed = await self._store.drift.computed()
        targets = await self._store.drift.targets()
        self._not_before = {
            target: self._not_before[target] for target in targets if target in self._not_before
        }
        return [
            target
            for target in targets
            if now >= max(computed.get(target, 0.0) + every, self._not_before.get(target, 0.0))
        ]

    async def _compare(self, target: DriftTarget) -> None:
        sizes = self._schedule.sizes
        floor = Floor(rows=self._schedule.floor_rows, reference_rows=sizes.reference_rows)
        try:
            found = await gather(self._store, target, sizes, now=self._clock())
            features = await to_thread.run_sync(_compared, found, floor)
            await self._store.drift.save(_report(target, found, features, self._clock()))
        except Unavailable:
            raise
        except Exception:  # the edge of the loop: one target must not stop the next
            logger.exception("the drift of %s in %s was not computed", target.model, target)
            self._not_before[target] = self._clock() + self._schedule.every_seconds


def _compared(found: Gathered, floor: Floor) -> list[FeatureDrift]:
    return compare(found.reference.columns, found.window.columns, floor=floor, texts=found.texts)


def _report(
    target: DriftTarget, found: Gathered, features: list[FeatureDrift], now: float
) -> DriftReport:
    reference, window = found.reference.span, found.window.span
    return DriftReport(
        project=target.project,
        deployment=target.deployment,
        arm=target.arm,
        model=target.model,
        state=worst(features),
        computed_at=now,
        reference_rows=found.reference.columns.rows,
        reference_since=reference.since,
        reference_until=reference.until,
        window_rows=found.window.columns.rows,
        window_since=window.since,
        window_until=window.until,
        features=features,
    )
