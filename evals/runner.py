"""One evaluation from its rows to its results: set, asked, scored, concluded.

It refuses to know the queue of evaluations, and what a verdict leads to.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from anyio import to_thread

from evals.arms import target_text
from evals.asking import Asker, Limits, Prompts
from evals.client import Client
from evals.counting import chosen_counts
from evals.findings.evidence import Costs, Prices
from evals.judge import SUITE, summary
from evals.judging import Judge, pairs_of
from evals.metric_table import TEXT_METRICS, TextMetric
from evals.paper import Paper, set_paper
from evals.place import places_of
from evals.recall import CacheLimits, Recall, base_of
from evals.results import Material, Results, conclude, digest
from evals.scoring import Scheme, kinds_of, scheme_of
from evals.suite_results import add_suites, without_further_models
from evals.suites.suite import BEHAVIOUR, HELDOUT, TRAINING, Suite
from registry.blobs import Blobs
from registry.errors import NotFound
from registry.records import AdapterVersion, Evaluation, EvaluationRow
from registry.rendering import Tokenizer
from registry.store import Store

__all__ = ["Limits", "Runner"]
_FREE = Prices()
logger = logging.getLogger(__name__)


class Runner:
    """Runs evaluations, one after another."""

    def __init__(
        self,
        store: Store,
        client: Client,
        blobs: Blobs,
        tokenizer: Tokenizer,
        *,
        limits: Limits,
        metrics: Sequence[TextMetric] = TEXT_METRICS,
        suites_dir: Path | None = None,
        judge: Judge | None = None,
        prices: Prices = _FREE,
        cache: CacheLimits | None = None,
        progress: Callable[[float], None] = lambda _share: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._asker = Asker(store, client, tokenizer, limits=limits, metrics=metrics)
        self._blobs = blobs
        self._tokenizer = tokenizer
        self._metrics = metrics
        self._suites_dir = suites_dir
        self._judge = judge
        self._prices = prices
        self._progress = progress
        self._cache = cache
        self._clock = clock
        self._now = now

    async def run(self, evaluation: Evaluation, adapter: AdapterVersion) -> Results:
        """Ask what is not answered yet, and conclude.

        Raises:
            Invalid: The policy, the options or a file cannot be used.
            NotFound: A file or a model is gone.
            Denied: The service does not let us ask.
            Unavailable: A part has been away for too long; what is answered stays.
            ExceptionGroup: Around any of these, from the tasks.
        """
        began = self._clock()
        heldout = await self._store.files.get(evaluation.heldout_file)
        paper = await set_paper(evaluation, adapter, self._blobs, self._suites_dir)
        targets = await to_thread.run_sync(self._targets, paper)
        schemes = _schemes(paper, targets)
        kept = await self._store.evaluations.rows(evaluation.id)
        recall = await self._recall(evaluation, adapter, paper)
        paper = await self._ask(evaluation.id, paper, schemes, recall)
        await self._trim()
        await self._ask_judge(evaluation.id, paper, targets[HELDOUT])
        answers = await self._store.evaluations.rows(evaluation.id)
        costs = await self._costs_of(adapter)
        results = await to_thread.run_sync(self._conclude, paper, targets, schemes, answers, costs)
        hashes = {
            "adapter": adapter.manifest_sha256,
            "heldout": heldout.sha256,
            "policy": digest(paper.policy),
            **{name: sha for suite in paper.suites for name, sha in suite.files.items()},
        }
        duration = round(self._clock() - began, 3)
        results.content.update(
            hashes=hashes,
            resumed_answers=len(kept),
            cached_answers=sum(answer.from_cache for answer in answers),
            duration_seconds=duration,
        )
        return results

    async def _recall(
        self, evaluation: Evaluation, adapter: AdapterVersion, paper: Paper
    ) -> Recall | None:
        """Return what earlier exams were answered; none where it is not wanted or not known."""
        await self._trim()
        if self._cache is None or not self._cache.max_bytes or not paper.options.use_cache:
            return None
        base = await base_of(self._cache.adapters_dir, adapter)
        return None if base is None else Recall(self._store, evaluation.project, base, self._now)

    async def _trim(self) -> None:
        """Keep the kept answers within their bounds; without any bounds there are none."""
        if self._cache is not None:
            oldest = int(self._now() - self._cache.max_age_seconds)
            await self._store.known_answers.trim(max_bytes=self._cache.max_bytes, before=oldest)

    async def _ask(
        self,
        evaluation_id: str,
        paper: Paper,
        schemes: Mapping[str, Scheme],
        recall: Recall | None,
    ) -> Paper:
        """Ask every place that has no stored answer; return the exam with its counts chosen."""
        prompts = await to_thread.run_sync(Prompts, paper.source, paper.options.instruction)
        trial = [] if paper.trial is None else [paper.trial]
        total = len(places_of([*trial, *paper.suites], schemes))
        done = 0

        def stored(count: int) -> None:
            nonlocal done
            done += count
            self._progress(min(done / total, 1.0))

        async def ask(suites: Sequence[Suite]) -> list[EvaluationRow]:
            nonlocal done
            kept = await self._store.evaluations.rows(evaluation_id)
            known = {(answer.suite, answer.arm, answer.row) for answer in kept}
            places = places_of(suites, schemes)
            todo = [place for place in places if place.key not in known]
            done += len(places) - len(todo)
            await self._asker.ask(
                evaluation_id, todo, prompts, schemes=schemes, stored=stored, recall=recall
            )
            return await self._store.evaluations.rows(evaluation_id)

        if paper.trial is not None:
            answers = await ask([paper.trial])
            metrics = kinds_of(schemes[paper.trial.name], self._metrics)
            choice = chosen_counts(paper.trial, answers, metrics, paper.policy.primary_metric)
            paper = paper.with_counts(choice.counts, choice.notes)
        await ask(paper.suites)
        return paper

    async def _ask_judge(
        self, evaluation_id: str, paper: Paper, targets: Mapping[int, str]
    ) -> None:
        """Let the judge compare what it has not compared yet, where one is asked for."""
        options = paper.options.judge
        if self._judge is None or options is None:
            return
        answers = await self._store.evaluations.rows(evaluation_id)
        known = {answer.row for answer in answers if answer.suite == SUITE and answer.scores}
        heldout = [answer for answer in answers if answer.suite == HELDOUT]
        rows = {entry.number: entry.row for entry in paper.heldout.entries}
        pairs = pairs_of(rows, targets, heldout, options)
        todo = [pair for pair in pairs if pair.number not in known]
        await self._judge.judge(evaluation_id, todo, options)

    async def _costs_of(self, adapter: AdapterVersion) -> Costs:
        """Return what tokens cost, and what the adapter's training did; an import's is unknown."""
        began = ended = None
        if adapter.job_id is not None:
            try:
                job = await self._store.jobs.get(adapter.job_id)
            except NotFound:
                logger.info("what training cost is not known: the job is gone")
            else:
                began, ended = job.started_at, job.finished_at
        seconds = None if began is None or ended is None else float(ended - began)
        return self._prices.costs(seconds)

    def _targets(self, paper: Paper) -> dict[str, dict[int, str]]:
        """Return the right answers by suite and row."""
        suites = [*paper.suites, *([] if paper.trial is None else [paper.trial])]
        return {
            suite.name: {
                entry.number: target_text(self._tokenizer, entry.row) for entry in suite.entries
            }
            for suite in suites
        }

    def _conclude(
        self,
        paper: Paper,
        targets: Mapping[str, dict[int, str]],
        schemes: Mapping[str, Scheme],
        answers: Sequence[EvaluationRow],
        costs: Costs,
    ) -> Results:
        """Compute the verdict on the held-out rows, and add what all suites show."""
        materials = [
            Material(
                policy=paper.policy,
                kinds=kinds_of(schemes[suite.name], self._metrics),
                arms=[arm.name for arm in suite.arms],
                rows={entry.number: entry.row for entry in suite.entries},
                targets=targets[suite.name],
                answers=[answer for answer in answers if answer.suite == suite.name],
                notes=paper.notes if suite.name == HELDOUT else [],
                leaks=paper.source.leaks,
                costs=costs,
            )
            for suite in paper.suites
        ]
        ours = {
            suite.name: material
            for suite, material in zip(paper.suites, materials, strict=True)
            if suite.name in {TRAINING, BEHAVIOUR}
        }
        results = conclude(without_further_models(materials[0]), ours)
        add_suites(results.content, paper.suites, materials, schemes)
        if self._judge is not None and paper.options.judge is not None:
            judged = [answer for answer in answers if answer.suite == SUITE]
            options = paper.options.judge
            found = summary(judged, options, self._judge.model_for(options), paper.policy)
            results.content["judge"] = msgspec.to_builtins(found)
        names = [suite.name for suite in paper.suites]
        return msgspec.structs.replace(
            results,
            rows=dict(zip(names, (material.rows for material in materials), strict=True)),
            targets={name: targets[name] for name in names},
        )


def _schemes(paper: Paper, targets: Mapping[str, dict[int, str]]) -> dict[str, Scheme]:
    """Return how each suite is scored."""
    suites = [*paper.suites, *([] if paper.trial is None else [paper.trial])]
    return {
        suite.name: scheme_of(
            {entry.number: entry.row for entry in suite.entries},
            targets[suite.name],
            by_row=suite.is_marked_by_row,
            has_loss=paper.options.measure_loss,
        )
        for suite in suites
    }
