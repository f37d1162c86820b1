"""One evaluation against a fake service and a real store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from evals.results import Results
from registry.blobs import Blobs
from registry.errors import NotFound
from registry.records import AdapterVersion, Evaluation, Verdict
from registry.settings import Settings
from registry.store import Store
from tests.fakes.fake_service import FakeService
from tests.unit.evals import setting

ROWS = 40
ARMS = 3
CALLS = 2

Run = Callable[[FakeService], Awaitable[Results]]


@pytest.fixture
async def adapter(store: Store) -> AdapterVersion:
    """Return a ready adapter."""
    return await setting.add_adapter(store)


@pytest.fixture
async def evaluation(store: Store, settings: Settings) -> Evaluation:
    """Return a queued evaluation of forty rows, with its files."""
    await setting.add_file(store, settings, setting.HELDOUT, map(setting.row, range(ROWS)))
    training = map(setting.row, range(1000, 1040))
    await setting.add_file(store, settings, setting.TRAINING, training)
    return await setting.add_evaluation(store)


@pytest.fixture
def run(store: Store, settings: Settings, evaluation: Evaluation, adapter: AdapterVersion) -> Run:
    """Return a function that runs the evaluation against a fake."""

    async def work(service: FakeService) -> Results:
        async with setting.runner(service, store, settings) as runner:
            return await runner.run(evaluation, adapter)

    return work


def _good(**more: Any) -> FakeService:
    """Return a service whose adapter knows every answer, and whose base knows none."""
    return FakeService(speak=setting.right_if(setting.ADAPTER), loss={setting.ADAPTER: 0.1}, **more)


async def test_a_good_adapter_is_go(run: Run) -> None:
    """Every arm is asked every row, and the adapter that knows the answers wins."""
    service = _good()
    results = await run(service)
    assert results.decision.verdict == Verdict.GO
    assert sum(service.asked.values()) == ROWS * ARMS * CALLS
    arms = results.content["arms"]
    assert {arm: arms[arm]["metrics"]["exact_match"]["mean"] for arm in arms} == {
        "base": 0,
        "few_shot": 0,
        "adapter": 1,
    }


async def test_losses_are_compared(run: Run) -> None:
    """The loss of each arm, and its difference, are in nats a token."""
    results = await run(_good())
    found = {(d["metric"], d["baseline"]): d for d in results.content["differences"]}
    assert found["loss", "base"]["estimate"] == pytest.approx(-0.9)


async def test_an_adapter_without_effect_is_no_verdict_for_it(run: Run) -> None:
    """An adapter that answers as the base does is never `go`."""
    results = await run(FakeService(speak=setting.right_if()))
    assert results.decision.verdict != Verdict.GO


async def test_results_hold_what_readers_need(run: Run) -> None:
    """Results name hashes, policy, rows, kinds and examples."""
    content = (await run(_good())).content
    assert content["hashes"]["adapter"] == "0"
    assert content["rows"] == ROWS
    assert content["metric_kinds"]["exact_match"]["comparison"].startswith("as JSON values")
    assert len(content["examples"]) == 20
    assert set(content["examples"][0]["outputs"]) == {"base", "few_shot", "adapter"}
    assert content["examples"][0]["prompt"].startswith("ticket ")


async def test_few_shot_arm_sees_examples(run: Run) -> None:
    """The few-shot arm is the base model with turns before the prompt."""
    service = _good()
    await run(service)
    chats = [body for path, body in service.bodies if path.endswith("chat/completions")]
    shown = [body for body in chats if len(body["messages"]) == 1 + 2 * 4]
    assert len(shown) == ROWS
    assert {body["model"] for body in shown} == {setting.BASE}


async def test_a_stopped_run_repeats_no_finished_row(
    store: Store, settings: Settings, evaluation: Evaluation, adapter: AdapterVersion
) -> None:
    """A run that is cancelled half-way and taken up again asks nothing twice that it stored."""
    service = _good(seconds=0.005)

    async def some_are_stored() -> bool:
        return len(await store.evaluations.rows(evaluation.id)) >= 20

    async with setting.runner(service, store, settings) as runner:
        async with asyncio.TaskGroup() as tg:
            task = tg.create_task(runner.run(evaluation, adapter))
            await setting.until(some_are_stored)
            task.cancel()
        kept = await store.evaluations.rows(evaluation.id)
        before = sum(service.asked.values())
        results = await runner.run(evaluation, adapter)
    assert len(kept) < ROWS * ARMS
    assert sum(service.asked.values()) - before == (ROWS * ARMS - len(kept)) * CALLS
    assert results.content["resumed_answers"] == len(kept)
    assert results.decision.verdict == Verdict.GO


async def test_a_resumed_run_gives_the_same_figures(run: Run) -> None:
    """Figures depend on the stored answers alone, not on how many runs it took."""
    first = await run(_good())
    second = await run(_good(down=True))
    for varying in ("duration_seconds", "resumed_answers"):
        first.content.pop(varying)
        second.content.pop(varying)
    assert first.content == second.content


async def test_an_outage_costs_no_row(
    store: Store, settings: Settings, evaluation: Evaluation, adapter: AdapterVersion
) -> None:
    """A service that is down for a while, and comes back, leaves no row unscored."""
    service = _good(down=True)
    async with setting.runner(service, store, settings) as runner, asyncio.TaskGroup() as tg:
        task = tg.create_task(runner.run(evaluation, adapter))
        await asyncio.sleep(0.3)
        service.down = False
        results = await task
    assert [arm["unscored"] for arm in results.content["arms"].values()] == [0, 0, 0]


async def test_refused_rows_are_unscored(run: Run) -> None:
    """A row that the service refuses is unscored in every arm, with the reason."""
    results = await run(_good(refuse="ticket 7"))
    arm = results.content["arms"]["adapter"]
    assert (arm["n"], arm["unscored"], arm["metrics"]["exact_match"]["n"]) == (ROWS, 1, ROWS - 1)


async def test_many_unscored_rows_allow_no_verdict(run: Run) -> None:
    """When every row is refused there is no verdict, no score is 0, and it says why."""
    results = await run(_good(refuse="ticket"))
    assert results.decision.verdict is None
    assert results.content["arms"]["base"]["metrics"]["exact_match"]["mean"] is None
    assert any("This row is refused" in reason for reason in results.decision.reasons)


async def test_a_missing_loss_leaves_the_answers(run: Run) -> None:
    """When no loss can be measured the verdict stands, and the missing metric is named."""
    results = await run(_good(refuse="prompt_logprobs"))
    assert results.decision.verdict == Verdict.GO
    assert "loss of base is unscored on every row." in " ".join(results.decision.reasons)


async def test_requests_are_bounded(
    store: Store, settings: Settings, evaluation: Evaluation, adapter: AdapterVersion
) -> None:
    """There are never more requests in flight than the settings allow."""
    service = _good(seconds=0.002)
    async with setting.runner(service, store, settings, concurrency=3) as runner:
        await runner.run(evaluation, adapter)
    assert service.most_in_flight <= 3


async def test_an_unknown_model_ends_the_run(run: Run) -> None:
    """A model that the service does not know ends the run, with its name."""
    with pytest.raises(ExceptionGroup) as caught:
        await run(_good(unknown={setting.ADAPTER}))
    assert caught.group_contains(NotFound, match=setting.ADAPTER)


async def test_completion_rows(store: Store, settings: Settings, adapter: AdapterVersion) -> None:
    """Prompt–completion rows are examined too, and compared as text."""
    rows = [{"prompt": f"say {n}=", "completion": f"{n}"} for n in range(30)]
    more = [{"prompt": f"tell {n}=", "completion": f"{n}"} for n in range(30)]
    await setting.add_file(store, settings, setting.HELDOUT, rows)
    await setting.add_file(store, settings, setting.TRAINING, more)
    evaluation = await setting.add_evaluation(store)

    def speak(model: str, prompt: str) -> str:
        return prompt.rsplit(maxsplit=1)[-1].strip("=") if model == setting.ADAPTER else "?"

    async with setting.runner(FakeService(speak=speak), store, settings) as runner:
        results = await runner.run(evaluation, adapter)
    assert results.decision.verdict == Verdict.GO
    assert "json_valid" not in results.content["metric_kinds"]


@pytest.mark.parametrize(
    ("training", "policy", "why"),
    [
        (None, {}, "the training file is gone"),
        (range(1000, 1010), {"few_shot_examples": 0}, "the policy asks for none"),
        (range(ROWS), {}, "no training row may serve"),
    ],
)
async def test_without_examples_there_are_two_arms(
    store: Store,
    settings: Settings,
    adapter: AdapterVersion,
    training: range | None,
    policy: dict[str, Any],
    why: str,
) -> None:
    """Where no few-shot prompt can be built, its arm is absent and the reason is given."""
    await setting.add_file(store, settings, setting.HELDOUT, map(setting.row, range(ROWS)))
    if training is not None:
        await setting.add_file(store, settings, setting.TRAINING, map(setting.row, training))
    evaluation = await setting.add_evaluation(store, **policy)
    async with setting.runner(_good(), store, settings) as runner:
        results = await runner.run(evaluation, adapter)
    assert set(results.content["arms"]) == {"base", "adapter"}
    assert why in results.decision.reasons[-1]


async def test_max_rows_is_kept(store: Store, settings: Settings, adapter: AdapterVersion) -> None:
    """No more rows are asked than the policy allows."""
    await setting.add_file(store, settings, setting.HELDOUT, map(setting.row, range(100)))
    evaluation = await setting.add_evaluation(store, max_rows=35)
    service = _good()
    async with setting.runner(service, store, settings) as runner:
        results = await runner.run(evaluation, adapter)
    assert results.content["rows"] == 35
    assert sum(service.asked.values()) == 35 * 2 * CALLS


async def test_a_missing_heldout_file_ends_the_run(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Without held-out rows there is no exam."""
    await setting.add_file(store, settings, setting.HELDOUT, [setting.row(1)])
    Blobs(settings.files_dir).delete(setting.HELDOUT)
    evaluation = await setting.add_evaluation(store)
    async with setting.runner(_good(), store, settings) as runner:
        with pytest.raises(NotFound, match="file content"):
            await runner.run(evaluation, adapter)
