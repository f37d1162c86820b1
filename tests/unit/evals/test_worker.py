"""The queue of evaluations."""

import asyncio

import msgspec
import pytest

from evals.metrics import Metrics
from evals.results import Results
from evals.verdict import Decision, Refusal
from evals.worker import Pace, Worker
from registry.errors import Invalid, Unavailable
from registry.lifecycle import AdapterStatus, EvaluationStatus
from registry.records import AdapterVersion, Evaluation, Verdict
from registry.store import Store
from tests.unit.evals import setting

PACE = Pace(idle_seconds=0.01, watch_seconds=0.01, put_off_seconds=30, refresh_seconds=0.01)
RESULTS = Results(
    decision=Decision(
        verdict=Verdict.GO, reasons=["Better."], primary_metric="exact_match", baseline="base"
    ),
    content={"arms": {}, "differences": []},
)


class FakeExaminer:
    """Raises what it is told, or waits, or answers."""

    def __init__(self, *outcomes: Exception | Results) -> None:
        self.outcomes = list(outcomes)
        self.ran: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def is_running(self) -> bool:
        """Return whether it was ever asked."""
        return bool(self.ran)

    async def run(self, evaluation: Evaluation, adapter: AdapterVersion) -> Results:
        """Do as told."""
        del adapter
        self.ran.append(evaluation.id)
        await self.gate.wait()
        outcome = self.outcomes.pop(0) if self.outcomes else RESULTS
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _worker(store: Store, examiner: FakeExaminer, metrics: Metrics | None = None) -> Worker:
    return Worker(store, examiner, metrics or Metrics(), pace=PACE, clock=lambda: 1000.0)


async def _state(store: Store, identifier: str = "eval-1") -> Evaluation:
    return await store.evaluations.get(identifier)


async def test_a_queued_evaluation_is_run(store: Store) -> None:
    """A queued evaluation of a ready adapter is run, and its verdict stored."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    assert await _worker(store, FakeExaminer()).step()
    found = await _state(store)
    assert (found.status, found.verdict) == (EvaluationStatus.SUCCEEDED, Verdict.GO)


async def test_a_refused_verdict_fails_and_keeps_its_figures(store: Store) -> None:
    """An evaluation whose verdict is refused has failed, says why, and keeps what it found."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    refused = msgspec.structs.replace(
        RESULTS.decision,
        verdict=None,
        refusal=Refusal.TOO_MANY_UNSCORED,
        reasons=["adapter: 20 of 40 rows have no exact_match."],
    )
    await _worker(store, FakeExaminer(msgspec.structs.replace(RESULTS, decision=refused))).step()
    found = await _state(store)
    assert (found.status, found.verdict) == (EvaluationStatus.FAILED, None)
    assert found.error == "A verdict is refused: adapter: 20 of 40 rows have no exact_match."
    assert found.results == RESULTS.content


async def test_an_empty_queue_is_idle(store: Store) -> None:
    """Without an evaluation there is nothing to do."""
    assert not await _worker(store, FakeExaminer()).step()


async def test_a_running_evaluation_is_taken_up(store: Store) -> None:
    """An evaluation that a crash left running is run again."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    await store.evaluations.move("eval-1", EvaluationStatus.RUNNING)
    await _worker(store, FakeExaminer()).step()
    assert (await _state(store)).status == EvaluationStatus.SUCCEEDED


async def test_the_oldest_is_first(store: Store) -> None:
    """Evaluations are run in the order in which they came."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store, "eval-b")
    await setting.add_evaluation(store, "eval-a")
    examiner = FakeExaminer()
    worker = _worker(store, examiner)
    await worker.step()
    await worker.step()
    assert examiner.ran == ["eval-b", "eval-a"]


async def test_a_published_adapter_is_waited_for(store: Store) -> None:
    """An adapter that is not probed yet holds up its own evaluation, and no other."""
    await setting.add_adapter(store, AdapterStatus.PUBLISHED)
    await setting.add_adapter(store, name="ft:other")
    await setting.add_evaluation(store)
    await setting.add_evaluation(store, "eval-2", "ft:other")
    worker = _worker(store, FakeExaminer())
    assert await worker.step()
    assert not await worker.step()
    assert (await _state(store)).status == EvaluationStatus.QUEUED
    assert (await _state(store, "eval-2")).status == EvaluationStatus.SUCCEEDED


@pytest.mark.parametrize(
    "status", [AdapterStatus.REJECTED, AdapterStatus.RETIRED, AdapterStatus.DELETED]
)
async def test_an_adapter_that_will_never_serve_fails(store: Store, status: AdapterStatus) -> None:
    """An evaluation of a rejected or withdrawn adapter fails, with the reason."""
    await setting.add_adapter(store, status)
    await setting.add_evaluation(store)
    await _worker(store, FakeExaminer()).step()
    found = await _state(store)
    assert found.status == EvaluationStatus.FAILED
    assert f"is {status}: as told" in str(found.error)


async def test_an_unknown_adapter_fails(store: Store) -> None:
    """An evaluation of an adapter that does not exist fails, with its name."""
    await setting.add_evaluation(store)
    await _worker(store, FakeExaminer()).step()
    assert setting.ADAPTER in str((await _state(store)).error)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Invalid("No rows."), "No rows."),
        (ExceptionGroup("", [ExceptionGroup("", [Invalid("No rows.")])]), "No rows."),
        (KeyError("bug"), "Internal error: KeyError: 'bug'"),
    ],
)
async def test_a_failed_run_says_why(store: Store, error: Exception, said: str) -> None:
    """What ends a run is stored in words."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    await _worker(store, FakeExaminer(error)).step()
    found = await _state(store)
    assert (found.status, found.error) == (EvaluationStatus.FAILED, said)


async def test_an_outage_puts_an_evaluation_off(store: Store) -> None:
    """An evaluation that met an outage stays running and lets the next one go first."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    await setting.add_evaluation(store, "eval-2")
    examiner = FakeExaminer(Unavailable("service", "down"))
    worker = _worker(store, examiner)
    await worker.step()
    await worker.step()
    assert (await _state(store)).status == EvaluationStatus.RUNNING
    assert examiner.ran == ["eval-1", "eval-2"]


async def test_a_cancelled_evaluation_stops(store: Store) -> None:
    """An evaluation that is cancelled while it runs is stopped, and stays cancelled."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    examiner = FakeExaminer()
    examiner.gate.clear()
    async with asyncio.TaskGroup() as tg:
        step = tg.create_task(_worker(store, examiner).step())
        await setting.until(examiner.is_running)
        await store.evaluations.move("eval-1", EvaluationStatus.CANCELLED)
        await step
    assert (await _state(store)).status == EvaluationStatus.CANCELLED


async def test_an_adapter_withdrawn_meanwhile_fails(store: Store) -> None:
    """An evaluation whose adapter is retired while it runs fails, with the reason."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    examiner = FakeExaminer()
    examiner.gate.clear()
    async with asyncio.TaskGroup() as tg:
        step = tg.create_task(_worker(store, examiner).step())
        await setting.until(examiner.is_running)
        await store.adapters.move(setting.ADAPTER, AdapterStatus.RETIRED)
        await step
    assert "is retired" in str((await _state(store)).error)


async def test_the_loop_runs_what_comes(store: Store) -> None:
    """The worker finds an evaluation that comes while it is idle."""
    await setting.add_adapter(store)

    async def is_done() -> bool:
        return (await _state(store)).status == EvaluationStatus.SUCCEEDED

    async with asyncio.TaskGroup() as tg:
        loop = tg.create_task(_worker(store, FakeExaminer()).run())
        await setting.add_evaluation(store)
        await setting.until(is_done)
        loop.cancel()


async def test_stored_results_are_exported(store: Store) -> None:
    """A process that just started exports what earlier ones stored."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    await _worker(store, FakeExaminer()).step()
    metrics = Metrics()
    labels = {"adapter": setting.ADAPTER, "verdict": "go"}

    def verdict() -> float | None:
        return metrics.registry.get_sample_value("graftline_evaluation_verdict", labels)

    async def is_shown() -> bool:
        return verdict() is not None

    async with asyncio.TaskGroup() as tg:
        loop = tg.create_task(_worker(store, FakeExaminer(), metrics).keep_counting())
        await setting.until(is_shown)
        loop.cancel()
    assert verdict() == 1


async def test_a_retired_adapter_is_no_longer_exported(store: Store) -> None:
    """A version that is retired drops out of the figures while the process runs."""
    await setting.add_adapter(store)
    await setting.add_evaluation(store)
    await _worker(store, FakeExaminer()).step()
    metrics = Metrics()

    async def is_shown() -> bool:
        return metrics.shown == {setting.ADAPTER}

    async def is_gone() -> bool:
        return not metrics.shown

    async with asyncio.TaskGroup() as tg:
        loop = tg.create_task(_worker(store, FakeExaminer(), metrics).keep_counting())
        await setting.until(is_shown)
        await store.adapters.move(setting.ADAPTER, AdapterStatus.RETIRED)
        await setting.until(is_gone)
        loop.cancel()
