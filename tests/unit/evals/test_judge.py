"""A judge that compares answers in both orders."""

from typing import Any

import pytest

from evals.judge import Side, Verdicts, side_of
from registry.records import AdapterVersion, Verdict
from registry.settings import Settings
from registry.store import Store
from tests.fakes.fake_service import FakeService
from tests.fakes.judge import FakeJudge, first, judging, longer
from tests.unit.evals import setting

ROWS = 30


@pytest.fixture
async def adapter(store: Store, settings: Settings) -> AdapterVersion:
    """Return a ready adapter with held-out rows."""
    await setting.add_file(store, settings, setting.HELDOUT, map(setting.row, range(ROWS)))
    await setting.add_file(store, settings, setting.TRAINING, [setting.row(1000)])
    return await setting.add_adapter(store)


async def _judged(
    store: Store, settings: Settings, adapter: AdapterVersion, judge: FakeJudge, **options: Any
) -> dict[str, Any]:
    """Run an evaluation with a judge; the adapter's answers are the longer ones."""
    asked = {"rubric": "Right is better.", **options}
    evaluation = await setting.add_evaluation(
        store, options={"suites": [], "arms": [], "judge": asked}
    )
    service = FakeService(speak=setting.right_if(setting.ADAPTER))
    async with (
        judging(judge) as url,
        setting.runner(service, store, settings, judge_url=url) as runner,
    ):
        results = await runner.run(evaluation, adapter)
    assert results.decision.verdict == Verdict.GO
    found: dict[str, Any] = results.content["judge"]
    return found


async def test_a_judge_that_prefers_the_first_sees_ties_only(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """It contradicts itself on every row, which is told, and gives nobody a win."""
    found = await _judged(store, settings, adapter, FakeJudge(prefer=first))
    assert (found["ties"]["mean"], found["consistent"]["mean"]) == (1, 0)
    assert (found["wins"]["mean"], found["losses"]["mean"]) == (0, 0)
    assert found["preference"]["mean"] == 0


async def test_a_judge_that_sees_the_answers(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Whose verdict stands in both orders gives wins, and what it took is counted."""
    judge = FakeJudge(prefer=longer)
    found = await _judged(store, settings, adapter, judge)
    assert (found["wins"]["mean"], found["consistent"]["mean"]) == (1, 1)
    assert (len(judge.bodies), found["tokens"]) == (2 * ROWS, 20 * ROWS)
    assert judge.bodies[0]["model"] == "judge-1"


async def test_a_judge_that_is_away_costs_no_verdict(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Its rows are not judged, and it says why."""
    judge = FakeJudge(prefer=longer, statuses=[503] * 10_000)
    found = await _judged(store, settings, adapter, judge, max_rows=2)
    assert (found["rows"], found["unjudged"]) == (2, 2)
    assert found["errors"] == ["The judge answers 503."]
    assert found["preference"]["mean"] is None


async def test_a_busy_judge_is_asked_again(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """A status that passes costs no row."""
    judge = FakeJudge(prefer=longer, statuses=[429, 500])
    assert (await _judged(store, settings, adapter, judge, max_rows=3))["unjudged"] == 0


async def test_an_unreadable_verdict_is_no_tie(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Words without A, B or tie leave the row unjudged."""
    judge = FakeJudge(prefer=lambda _a, _b: "I like both.")
    found = await _judged(store, settings, adapter, judge, max_rows=3)
    assert (found["unjudged"], found["ties"]["n"]) == (3, 0)


async def test_labels_of_people_correct_the_judge(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Where people see ties the judge's wins shrink to what they would say."""
    labels = [{"row": number, "preferred": "tie"} for number in range(12)]
    found = await _judged(
        store, settings, adapter, FakeJudge(prefer=longer), labels=labels, max_rows=20
    )
    assert found["preference"]["mean"] == 1
    assert found["by_people"]["bias"] == 1
    assert found["by_people"]["estimate"]["mean"] == pytest.approx(0)


async def test_judged_rows_are_not_judged_again(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """A second run of the same evaluation asks the judge nothing."""
    await _judged(store, settings, adapter, FakeJudge(prefer=longer), max_rows=4)
    again = FakeJudge(prefer=first)
    found = await _judged(store, settings, adapter, again, max_rows=4)
    assert (again.bodies, found["wins"]["mean"]) == ([], 1)


@pytest.mark.parametrize(
    ("words", "side"),
    [("A", Side.A), ("b.", Side.B), ("A or B? B", Side.B), ("TIE", Side.TIE), ("Abc", None)],
)
def test_words_of_a_judge(words: str, side: Side | None) -> None:
    """The last A, B or tie counts; a letter within a word does not."""
    assert side_of(words) == side


@pytest.mark.parametrize(
    ("orders", "preference", "consistent"),
    [
        ((Side.A, Side.B), 1, True),
        ((Side.B, Side.A), -1, True),
        ((Side.TIE, Side.TIE), 0, True),
        ((Side.A, Side.A), 0, False),
        ((Side.A, Side.TIE), 0, False),
    ],
)
def test_both_orders_count(
    orders: tuple[Side, Side], preference: float, *, consistent: bool
) -> None:
    """Only a verdict that stands in both orders is one."""
    found = Verdicts(adapter_first=orders[0], adapter_second=orders[1])
    assert (found.preference, found.is_consistent) == (preference, consistent)
