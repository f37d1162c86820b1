"""Planted cases through the runner and a fake service: the verdict on what was really asked."""

from collections.abc import Iterable
from typing import Any

import pytest

from evals.results import Results, prompt_text
from evals.suites.behaviour import read_behaviour
from registry.records import AdapterVersion, Verdict
from registry.settings import Settings
from registry.store import Store
from tests.fakes.fake_service import FakeService
from tests.unit.evals import setting

ROWS = 40


class Examination:
    """One evaluation with planted files and a planted service."""

    def __init__(self, store: Store, settings: Settings, adapter: AdapterVersion) -> None:
        self.store = store
        self.settings = settings
        self.adapter = adapter

    async def run(
        self,
        service: FakeService,
        *,
        heldout: Iterable[dict[str, Any]] | None = None,
        training: Iterable[dict[str, Any]] | None = None,
        suites: Iterable[str] = (),
        **policy: Any,
    ) -> Results:
        """Store files and evaluation, and run it."""
        rows = map(setting.row, range(ROWS)) if heldout is None else heldout
        learned = map(setting.row, range(1000, 1060)) if training is None else training
        await setting.add_file(self.store, self.settings, setting.HELDOUT, rows)
        await setting.add_file(self.store, self.settings, setting.TRAINING, learned)
        options = {"suites": list(suites)}
        evaluation = await setting.add_evaluation(self.store, options=options, **policy)
        async with setting.runner(service, self.store, self.settings) as runner:
            return await runner.run(evaluation, self.adapter)


@pytest.fixture
async def examination(store: Store, settings: Settings) -> Examination:
    """Return an examination of a ready adapter."""
    return Examination(store, settings, await setting.add_adapter(store))


def _good(**more: Any) -> FakeService:
    return FakeService(speak=setting.right_if(setting.ADAPTER), loss={setting.ADAPTER: 0.1}, **more)


async def test_leaked_rows_are_found_in_the_files(examination: Examination) -> None:
    """A training file that holds ten of the examined rows leaves the verdict open."""
    training = [*map(setting.row, range(10)), *map(setting.row, range(1000, 1040))]
    results = await examination.run(_good(), training=training)
    assert results.decision.verdict is Verdict.INCONCLUSIVE
    assert results.decision.reasons[0].startswith("10 of 40 examined rows stand in the training")


async def test_clustered_rows_count_once(examination: Examination) -> None:
    """Forty rows that name four conversations are too few for any verdict."""
    heldout = [setting.row(number) | {"cluster": f"talk {number % 4}"} for number in range(ROWS)]
    results = await examination.run(_good(), heldout=heldout)
    assert results.decision.verdict is Verdict.INCONCLUSIVE
    assert "4 clusters of rows" in results.decision.reasons[0]


async def test_half_of_the_rows_failing_is_refused(examination: Examination) -> None:
    """Rows that the service refuses are unscored, and so many allow no verdict."""
    heldout = [setting.row(number) for number in range(ROWS // 2)]
    heldout += [setting.row(number + 9_000) for number in range(ROWS // 2)]
    results = await examination.run(_good(refuse="ticket 90"), heldout=heldout)
    assert results.decision.verdict is None
    assert results.content["verdict"]["refusal"] == "too_many_unscored"
    assert results.content["arms"]["adapter"]["unscored"] == ROWS // 2
    assert "20 of 40 rows have no exact_match" in results.decision.reasons[0]


async def test_six_rows_are_inconclusive(examination: Examination) -> None:
    """However clear they look, 24 more are asked for."""
    results = await examination.run(_good(), heldout=map(setting.row, range(6)))
    assert results.decision.verdict is Verdict.INCONCLUSIVE
    assert results.decision.rows_needed == 24


async def test_broken_behaviour_is_no_go(examination: Examination) -> None:
    """An adapter that answers every unrelated task with its own JSON does not take over."""
    tasks = {prompt_text(entry.row): entry.row.target for entry in read_behaviour()}
    right = setting.right_if(setting.ADAPTER)

    def speak(model: str, prompt: str) -> str:
        known = next((said for task, said in tasks.items() if task.endswith(prompt)), None)
        if known is None:
            return str(right(model, prompt))
        return known if model == setting.BASE else '{"id":0}'

    results = await examination.run(FakeService(speak=speak), suites=["behaviour"])
    assert results.decision.verdict is Verdict.NO_GO
    assert "right and are wrong now" in results.decision.reasons[0]
    assert results.content["findings"]["behaviour"]["flips"]


async def test_a_memoriser_is_found_out(examination: Examination) -> None:
    """Training rows and canaries by heart, held-out rows unknown: no gain, and it is said."""
    right = setting.right_if(setting.ADAPTER)

    def speak(model: str, prompt: str) -> str:
        number = int(prompt.rsplit(maxsplit=1)[-1])
        return str(right(model, prompt)) if number >= 1000 else "no"

    training = [setting.row(number) for number in range(1000, 1060)]
    training += [setting.row(number) | {"canary": True} for number in range(2000, 2010)]
    results = await examination.run(
        FakeService(speak=speak), training=training, suites=["training"], smallest_effect=0.1
    )
    found = results.content["findings"]
    assert results.decision.verdict is Verdict.NO_GO
    assert found["memorisation"]["canaries"]["n"] == 10
    assert any(words.startswith("Overfitting") for words in found["sentences"])
