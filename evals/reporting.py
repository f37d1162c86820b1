"""An evaluation's reports, written once when it ends: page, table, document.

It refuses to know how they look. A report that cannot be written costs no verdict: it is named in
the log, and the evaluation's results hold every figure.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from anyio import to_thread

from evals.report.document import as_json
from evals.report.facts import Facts, losses_of
from evals.report.page import as_html
from evals.report.table import as_csv
from evals.results import Results
from registry.durable import write_file
from registry.errors import NotFound
from registry.records import AdapterVersion, Evaluation, FineTuningJob, JobEvent
from registry.reports import ReportFormat, report_path
from registry.store import Store
from registry.store.rows import MAX_PAGE

logger = logging.getLogger(__name__)

_FORMATS: dict[ReportFormat, Callable[[Facts], bytes]] = {
    ReportFormat.HTML: as_html,
    ReportFormat.CSV: as_csv,
    ReportFormat.JSON: as_json,
}


class Reporter:
    """Writes reports into a folder."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def write(
        self, evaluation: Evaluation, adapter: AdapterVersion, results: Results, *, finished_at: int
    ) -> None:
        """Write the reports of an evaluation that is about to succeed."""
        concluded = msgspec.structs.replace(
            evaluation,
            results=results.content,
            verdict=results.decision.verdict,
            finished_at=finished_at,
        )
        try:
            facts = await self._facts(concluded, adapter, results)
            await to_thread.run_sync(self._write, facts)
        except Exception:  # a report must never cost the verdict
            logger.exception("%s: the report could not be written", evaluation.id)

    async def _facts(
        self, evaluation: Evaluation, adapter: AdapterVersion, results: Results
    ) -> Facts:
        job = await self._job(adapter)
        events = [] if job is None else await self._events(job.id)
        return Facts(
            evaluation=evaluation,
            adapter=adapter,
            job=job,
            losses=losses_of(events),
            answers=await self._store.evaluations.rows(evaluation.id),
            rows=results.rows,
            targets=results.targets,
        )

    async def _job(self, adapter: AdapterVersion) -> FineTuningJob | None:
        if adapter.job_id is None:
            return None
        try:
            return await self._store.jobs.get(adapter.job_id)
        except NotFound:
            return None

    async def _events(self, job_id: str) -> list[JobEvent]:
        """Return every event of a job, page by page."""
        found: list[JobEvent] = []
        has_more = True
        while has_more:
            after = found[-1].id if found else None
            page = await self._store.jobs.events(job_id, after=after, limit=MAX_PAGE)
            found += page.data
            has_more = page.has_more
        return found

    def _write(self, facts: Facts) -> None:
        for kind, made in _FORMATS.items():
            write_file(report_path(self._folder, facts.evaluation.id, kind), made(facts))
