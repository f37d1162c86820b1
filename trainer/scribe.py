"""Writes a training child's reports to the store.

It refuses to know how the child is run.
"""

import asyncio
import logging
import time
from typing import Self

from registry.errors import Unavailable
from registry.store import Store
from trainer.journal import message, metrics
from trainer.metrics import TrainerMetrics
from trainer.protocol import Message, Notice, Progress
from trainer.reporting import Reports

RETRY_SECONDS = 1.0
"""Time before a notice is written again when the database was away."""
EVENTS_LOOKED_AT = 100
"""Events of earlier children that are compared with what a new one reports."""

logger = logging.getLogger(__name__)


class Scribe:
    """Writes reports; what a resumed child repeats is left out. Make one with `Scribe.open`."""

    def __init__(
        self,
        job_id: str,
        store: Store,
        metrics: TrainerMetrics,
        reports: Reports,
        *,
        last_step: int = 0,
        warned: frozenset[str] = frozenset(),
    ) -> None:
        self._job_id = job_id
        self._last_step = last_step
        self._warned = warned
        self._tokens = 0
        self._store = store
        self._metrics = metrics
        self._reports = reports

    @classmethod
    async def open(
        cls, job_id: str, store: Store, metrics: TrainerMetrics, reports: Reports
    ) -> Self:
        """Return a scribe that knows what earlier children reported."""
        page = await store.jobs.events(job_id, after=None, limit=EVENTS_LOOKED_AT)
        return cls(
            job_id,
            store,
            metrics,
            reports,
            last_step=max((event.data.get("step", 0) for event in page.data), default=0),
            warned=frozenset(event.message for event in page.data if event.level == "warn"),
        )

    async def write(self, report: Message) -> None:
        """Pass one report on. The training does not end because the database is away.

        Progress is lost then, and stands in the result file all the same; a notice waits.
        """
        while True:
            try:
                if isinstance(report, Notice):
                    await self._write_notice(report)
                else:
                    await self._write_progress(report)
            except Unavailable as exc:
                logger.warning("a report of job %s is not written: %s", self._job_id, exc)
                if isinstance(report, Notice):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
            return

    async def _write_notice(self, report: Notice) -> None:
        if report.message not in self._warned:
            event = message(self._job_id, report.message, level=report.level)
            await self._store.jobs.add_event(event)

    async def _write_progress(self, report: Progress) -> None:
        self._metrics.tokens.inc(max(0, report.tokens - self._tokens))
        self._tokens = report.tokens
        self._metrics.tokens_per_second.set(report.tokens_per_second)
        self._metrics.loss.set(report.metrics.get("train_loss", 0.0))
        if report.step <= self._last_step:
            return
        self._last_step = report.step
        figures = ("step", "total_steps", "tokens_per_second", "seconds_left")
        data = {name: getattr(report, name) for name in figures} | report.metrics
        self._reports.log(data)
        loss = report.metrics.get("train_loss", 0.0)
        text = f"Step {report.step}/{report.total_steps}: training loss={loss:.2f}"
        if "valid_loss" in report.metrics:
            text += f", validation loss={report.metrics['valid_loss']:.2f}"
        await self._store.jobs.add_event(metrics(self._job_id, text, data))
        finish = int(time.time() + report.seconds_left)
        await self._store.jobs.change(self._job_id, estimated_finish=finish)
