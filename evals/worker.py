"""The queue of evaluations: the rows of the store, oldest first, one at a time.

It refuses to know how an exam is run. An evaluation left `running` by a crash is taken up again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from evals.metrics import Metrics
from evals.reporting import Reporter
from evals.results import Results
from registry.errors import Conflict, GraftlineError, IllegalTransition, NotFound, Unavailable
from registry.lifecycle import AdapterStatus, EvaluationStatus
from registry.records import AdapterVersion, Evaluation, Record
from registry.store import Store

logger = logging.getLogger(__name__)


class Pace(Record, frozen=True, kw_only=True):
    """How often to look."""

    idle_seconds: float = 0.5
    """Between two looks at an empty queue."""
    watch_seconds: float = 2.0
    """Between two looks at whether a running evaluation is still wanted."""
    put_off_seconds: float = 30.0
    """Before an evaluation that met an outage is tried again."""
    refresh_seconds: float = 5.0
    """Between two counts of the evaluations for Prometheus."""


class Examiner(Protocol):
    """What runs one evaluation: `evals.runner.Runner`."""

    async def run(self, evaluation: Evaluation, adapter: AdapterVersion) -> Results:
        """Answer what is not answered yet, and conclude."""


class Worker:
    """Takes evaluations from the store until cancelled."""

    def __init__(
        self,
        store: Store,
        examiner: Examiner,
        metrics: Metrics,
        *,
        pace: Pace,
        reporter: Reporter | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._examiner = examiner
        self._metrics = metrics
        self._pace = pace
        self._reporter = reporter
        self._clock = clock
        self._not_before: dict[str, float] = {}

    async def run(self) -> None:
        """Work until cancelled; an outage of the database is waited out."""
        while True:
            try:
                worked = await self.step()
            except Unavailable as exc:
                logger.warning("waiting: %s", exc)
                worked = False
            if not worked:
                await asyncio.sleep(self._pace.idle_seconds)

    async def keep_counting(self) -> None:
        """Show the stored results to Prometheus, then keep the counts fresh until cancelled."""
        shown = False
        while True:
            try:
                if not shown:
                    await self._show_results()
                    shown = True
                live = await self._store.adapters.with_status(
                    self._metrics.shown, AdapterStatus.READY
                )
                self._metrics.show_only(live)
                self._metrics.show_counts(await self._store.evaluations.counts())
            except Unavailable as exc:
                logger.warning("the exported figures are stale: %s", exc)
            await asyncio.sleep(self._pace.refresh_seconds)

    async def _show_results(self) -> None:
        self._metrics.show_results(await self._store.evaluations.latest())

    async def step(self) -> bool:
        """Run the oldest evaluation that can run; return whether there was one."""
        for evaluation in await self._store.evaluations.unfinished():
            if self._clock() < self._not_before.get(evaluation.id, 0.0):
                continue
            try:
                adapter = await self._usable(evaluation)
            except (NotFound, Conflict) as exc:
                await self._fail(evaluation, str(exc))
                return True
            if adapter is not None:
                await self._examine(evaluation, adapter)
                return True
        return False

    async def _usable(self, evaluation: Evaluation) -> AdapterVersion | None:
        """Return the adapter once it is ready; none while it waits for its probe.

        Raises:
            NotFound: There is no such adapter.
            Conflict: It will never be ready.
        """
        adapter = await self._store.adapters.get(evaluation.adapter)
        if adapter.status == AdapterStatus.READY:
            return adapter
        if adapter.status == AdapterStatus.PUBLISHED:
            return None
        why = f": {adapter.reason}" if adapter.reason else ""
        raise Conflict(f"The adapter '{adapter.name}' is {adapter.status}{why}.")

    async def _examine(self, evaluation: Evaluation, adapter: AdapterVersion) -> None:
        if evaluation.status == EvaluationStatus.QUEUED:
            try:
                await self._store.evaluations.move(evaluation.id, EvaluationStatus.RUNNING)
            except IllegalTransition as exc:
                logger.info("not started: %s", exc)
                return
        try:
            results = await self._watched(evaluation, adapter)
        except Unavailable as exc:
            logger.warning("%s is put off: %s", evaluation.id, exc)
            self._not_before[evaluation.id] = self._clock() + self._pace.put_off_seconds
        except GraftlineError as exc:
            await self._fail(evaluation, str(exc))
        except Exception as exc:  # the edge of the loop: one evaluation must not stop the next
            logger.exception("%s failed", evaluation.id)
            await self._fail(evaluation, f"Internal error: {type(exc).__name__}: {exc}")
        else:
            await self._finish(evaluation, adapter, results)
        finally:
            self._metrics.progress.set(0)

    async def _watched(self, evaluation: Evaluation, adapter: AdapterVersion) -> Results:
        """Run an evaluation, and stop it when it is cancelled or its adapter goes away."""
        try:
            async with asyncio.TaskGroup() as tg:
                watch = tg.create_task(self._watch(evaluation))
                results = await self._examiner.run(evaluation, adapter)
                watch.cancel()
        except ExceptionGroup as group:
            raise _cause(group) from group
        return results

    async def _watch(self, evaluation: Evaluation) -> None:
        """Raise when the evaluation is no longer wanted, or can no longer be had."""
        while True:
            await asyncio.sleep(self._pace.watch_seconds)
            try:
                present = await self._store.evaluations.get(evaluation.id)
                await self._usable(evaluation)
            except Unavailable as exc:
                logger.warning("cannot look after %s: %s", evaluation.id, exc)
                continue
            if present.status != EvaluationStatus.RUNNING:
                raise Conflict(f"The evaluation is {present.status}.")

    async def _finish(
        self, evaluation: Evaluation, adapter: AdapterVersion, results: Results
    ) -> None:
        """Write the reports, then record the verdict or its refusal: who sees it finds them."""
        decision, now = results.decision, int(self._clock())
        if self._reporter is not None:
            await self._reporter.write(evaluation, adapter, results, finished_at=now)
        refused = decision.refusal is not None
        try:
            await self._store.evaluations.move(
                evaluation.id,
                EvaluationStatus.FAILED if refused else EvaluationStatus.SUCCEEDED,
                finished_at=now,
                verdict=decision.verdict,
                results=results.content,
                error=f"A verdict is refused: {decision.reasons[0]}" if refused else None,
            )
        except (IllegalTransition, NotFound) as exc:
            logger.info("results dropped: %s", exc)
            return
        outcome = decision.refusal or decision.verdict
        logger.info("%s: %s: %s", evaluation.id, outcome, decision.reasons[0])
        await self._show_results()

    async def _fail(self, evaluation: Evaluation, error: str) -> None:
        try:
            await self._store.evaluations.move(
                evaluation.id,
                EvaluationStatus.FAILED,
                finished_at=int(self._clock()),
                error=error,
            )
        except (IllegalTransition, NotFound) as exc:
            logger.info("not marked as failed: %s", exc)
            return
        logger.warning("%s failed: %s", evaluation.id, error)


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first error of the innermost group."""
    first: Exception = group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first
