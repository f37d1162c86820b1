"""Planted cases, each with the verdict that a sceptic would expect."""

from typing import Any

import msgspec
import numpy as np

from evals.findings.evidence import Costs
from evals.findings.leakage import search
from evals.results import Material
from evals.verdict import Refusal
from registry.policy import Policy
from registry.records import Verdict
from tests.unit.evals import planted
from tests.unit.evals.planted import every, row, suite, verdict_of

HALF = every(out_of=2, right=1)
MOST = every(out_of=10, right=9)
ALL = every(out_of=1, right=1)
NONE = every(out_of=1, right=0)


def _heldout(adapter: planted.Right = MOST, count: int = 200, **more: object) -> Material:
    """Return held-out rows of which the base has a few right and the prompt half."""
    arms = {"base": every(out_of=10, right=1), "few_shot": HALF, "adapter": adapter}
    return suite(count, arms, **more)  # type: ignore[arg-type] # keywords of `suite`


def test_a_better_adapter_is_go() -> None:
    """The case without any trap: nine tenths against a half."""
    assert verdict_of(_heldout()).decision.verdict is Verdict.GO


def test_no_effect_is_no_go() -> None:
    """An adapter that answers as the base does is too small to matter, and no prompt is praised."""
    results = verdict_of(suite(400, {"base": HALF, "few_shot": HALF, "adapter": HALF}))
    assert results.decision.verdict is Verdict.NO_GO
    assert not any("prompt" in reason for reason in results.decision.reasons[1:])


def test_no_effect_on_few_rows_says_how_many_are_needed() -> None:
    """Forty rows answered alike leave 0.02 possible; 150 more exclude it."""
    few = verdict_of(suite(40, {"base": HALF, "adapter": HALF})).decision
    assert (few.verdict, few.rows_needed) == (Verdict.INCONCLUSIVE, 150)
    more = verdict_of(suite(190, {"base": HALF, "adapter": HALF})).decision
    assert more.verdict is Verdict.NO_GO


def test_a_memoriser_is_no_go_and_found_out() -> None:
    """All training rows right, held-out rows as the base: overfitted, and nothing gained."""
    heldout = suite(
        200,
        {"base": HALF, "few_shot": HALF, "adapter": HALF},
        losses={"adapter": lambda number: 1.2 + number % 7 / 100},
    )
    training = suite(
        50, {"base": HALF, "adapter": ALL}, losses={"adapter": lambda number: number / 1000}
    )
    results = verdict_of(heldout, training=training)
    found = results.content["findings"]
    assert results.decision.verdict is Verdict.NO_GO
    assert found["gaps"][0]["beyond_base"]["low"] > 0.3
    assert found["memorisation"]["attack"]["mean"] == 1.0
    words = " ".join(found["sentences"])
    assert "Overfitting" in words
    assert "Memorised" in words


def test_rows_that_only_the_base_finds_hard_are_no_overfitting() -> None:
    """An adapter with equal losses on both files did not overfit, however its base stumbles."""
    arms = {"base": HALF, "adapter": ALL}
    even = {"adapter": lambda number: 0.5 + number % 7 / 100}
    heldout = suite(200, arms, losses={**even, "base": lambda number: 1.0 + number % 5 / 100})
    training = suite(50, arms, losses={**even, "base": lambda number: 1.389 + number % 5 / 100})
    found = verdict_of(heldout, training=training).content["findings"]
    gaps = {gap["metric"]: gap for gap in found["gaps"]}
    assert gaps["loss"]["beyond_base"]["low"] > 0.3
    assert not any("Overfitting" in words for words in found["sentences"])


def test_rows_that_are_easy_for_everybody_are_no_overfitting() -> None:
    """Nor did one whose training rows are easier for its base model just as well."""
    easy, hard = {"base": MOST, "adapter": MOST}, {"base": HALF, "adapter": HALF}
    found = verdict_of(suite(200, hard), training=suite(200, easy)).content["findings"]
    assert found["gaps"][0]["adapter"]["low"] > 0.2
    assert not any("Overfitting" in words for words in found["sentences"])


def test_a_gap_of_the_base_alone_breaks_no_limit() -> None:
    """The limited gap is the adapter's own, beyond what its base model shows as well."""
    policy = Policy(max_gap=0.05)
    heldout = _heldout(adapter=ALL, policy=policy)
    training = suite(200, {"base": NONE, "adapter": ALL}, policy=policy)
    assert verdict_of(heldout, training=training).decision.verdict is Verdict.GO


def test_memorised_conversations_count_once() -> None:
    """Rows of a few conversations leave the reproduced share and the attack less sure."""
    arms = {"base": NONE, "adapter": HALF}
    losses = {"adapter": lambda number: 1.0 - number % 2 / 10}

    def memorised(**more: object) -> dict[str, object]:
        training = suite(48, arms, losses=losses, **more)  # type: ignore[arg-type] # of `suite`
        results = verdict_of(_heldout(), training=training)
        found: dict[str, object] = results.content["findings"]["memorisation"]
        return found

    alone = memorised()
    together = memorised(marks=lambda number: {"cluster": f"talk {number % 8}"})
    assert together["training"]["clusters"] == 8  # type: ignore[index] # JSON
    for figure in ("training", "attack"):
        wide, narrow = together[figure], alone[figure]
        assert wide["mean"] == narrow["mean"]  # type: ignore[index]
        assert _width(wide) > _width(narrow)


def test_broken_conversations_count_once() -> None:
    """So do flips of unrelated behaviour."""
    arms = {"base": ALL, "adapter": MOST}
    alone = verdict_of(_heldout(), behaviour=suite(60, arms))
    talks = suite(60, arms, marks=lambda number: {"cluster": f"talk {number % 10}"})
    together = verdict_of(_heldout(), behaviour=talks)
    one, other = (each.content["findings"]["behaviour"] for each in (alone, together))
    assert other["broken"]["clusters"] == 10
    assert _width(other["broken"]) > _width(one["broken"])


def _width(figure: Any) -> float:
    return float(figure["high"] - figure["low"])


def test_a_gap_beyond_its_limit_is_no_go() -> None:
    """Where the policy limits the gap, even a better adapter is stopped by it."""
    policy = Policy(max_gap=0.05)
    heldout = _heldout(adapter=every(out_of=10, right=7), policy=policy)
    training = suite(200, {"base": every(out_of=10, right=1), "adapter": ALL}, policy=policy)
    results = verdict_of(heldout, training=training)
    assert results.decision.verdict is Verdict.NO_GO
    assert "gap in exact_match" in results.decision.reasons[0]


def test_a_limit_that_cannot_be_measured_forbids_go() -> None:
    """A limited gap without training rows is not taken for a small one."""
    results = verdict_of(_heldout(policy=Policy(max_gap=0.05)))
    assert results.decision.verdict is Verdict.INCONCLUSIVE
    assert "could not be measured" in results.decision.reasons[0]


def test_canaries_that_are_reproduced_are_memorised() -> None:
    """Planted rows that the adapter says word for word, and the base does not."""
    training = suite(
        60,
        {"base": NONE, "adapter": every(out_of=60, right=10)},
        marks=lambda number: {"canary": number < 10},
    )
    found = verdict_of(_heldout(), training=training).content["findings"]
    assert found["memorisation"]["canaries"]["mean"] == 1.0
    assert any("of the planted rows" in sentence for sentence in found["sentences"])


def test_leaked_rows_make_it_inconclusive() -> None:
    """A quarter of the examined rows was trained on: whatever they show is no evidence."""
    leaks = search((row(number) for number in range(50)), {n: row(n) for n in range(200)})
    results = verdict_of(_heldout(leaks=leaks))
    assert results.decision.verdict is Verdict.INCONCLUSIVE
    assert results.decision.reasons[0].startswith("50 of 200 examined rows stand in the training")
    assert results.content["findings"]["leakage"]["without"][0]["n"] == 150


def test_a_better_prompt_is_named() -> None:
    """Where the few-shot prompt is as good, the verdict says that a prompt would do."""
    arms = {"base": every(out_of=10, right=1), "few_shot": MOST, "adapter": MOST}
    results = verdict_of(suite(400, arms))
    assert results.decision.verdict is Verdict.NO_GO
    assert results.decision.reasons[-1].startswith("A prompt would do")


def test_the_best_of_several_prompts_is_named() -> None:
    """Of fixed examples, similar ones and an instruction, the best is what must be beaten."""
    arms = {
        "base": every(out_of=10, right=1),
        "few_shot": HALF,
        "few_shot_nearest": MOST,
        "instruction": HALF,
        "adapter": MOST,
    }
    decision = verdict_of(suite(400, arms)).decision
    assert decision.baseline == "few_shot_nearest"
    assert "the most similar examples is as good" in decision.reasons[-1]


def test_production_must_be_beaten_too() -> None:
    """A version no better than the one in production does not take its place."""
    arms = {"base": every(out_of=10, right=1), "adapter": MOST, "production": MOST}
    decision = verdict_of(suite(400, arms)).decision
    assert (decision.verdict, decision.baseline) == (Verdict.NO_GO, "production")


def test_broken_behaviour_is_no_go() -> None:
    """A better adapter that no longer does what the base did is stopped, with examples."""
    behaviour = suite(60, {"base": ALL, "adapter": every(out_of=4, right=1)})
    results = verdict_of(_heldout(), behaviour=behaviour)
    found = results.content["findings"]["behaviour"]
    assert results.decision.verdict is Verdict.NO_GO
    assert "right and are wrong now" in results.decision.reasons[0]
    assert found["broken"]["mean"] == 0.75
    assert found["flips"][0]["adapter"].startswith("adapter does not know")


def test_behaviour_that_stays_is_go() -> None:
    """Two changes among sixty unrelated answers are within the default limit."""
    behaviour = suite(60, {"base": ALL, "adapter": every(out_of=30, right=29)})
    results = verdict_of(_heldout(), behaviour=behaviour)
    assert results.decision.verdict is Verdict.GO
    held = results.content["findings"]["conditions"][0]
    assert (held["name"], held["standing"]) == ("max_broken_share", "held")


def test_behaviour_around_its_limit_is_inconclusive() -> None:
    """Twenty-six broken answers of sixty may be less than a half, and may be more."""
    behaviour = suite(60, {"base": ALL, "adapter": lambda number: number >= 26})
    decision = verdict_of(_heldout(), behaviour=behaviour).decision
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "not surely at most the 0.5" in decision.reasons[0]


def test_a_limit_on_divergence_holds() -> None:
    """Unrelated answers that lost two nats a token break a limit of one."""
    policy = Policy(max_broken_share=None, max_behaviour_divergence=1.0)
    behaviour = suite(
        60,
        {"base": ALL, "adapter": ALL},
        losses={"adapter": lambda number: 3.0 + number / 100},
        policy=policy,
    )
    results = verdict_of(_heldout(policy=policy), behaviour=behaviour)
    assert results.decision.verdict is Verdict.NO_GO


def test_clusters_forbid_what_rows_alone_would_show() -> None:
    """Forty rows of eight conversations look like `go`, and are eight observations."""
    arms = {"base": lambda n: n // 5 not in {0, 1, 2, 3}, "adapter": ALL}
    policy = Policy(min_rows=8)
    alone = verdict_of(suite(40, arms, policy=policy))
    together = verdict_of(
        suite(40, arms, policy=policy, marks=lambda n: {"cluster": f"talk {n // 5}"})
    )
    assert alone.decision.verdict is Verdict.GO
    assert together.decision.verdict is Verdict.INCONCLUSIVE
    assert "in 8 clusters" in together.decision.reasons[0]


def test_clusters_count_as_rows() -> None:
    """A hundred turns of ten conversations are fewer than thirty rows."""
    arms = {"base": NONE, "adapter": ALL}
    found = verdict_of(suite(100, arms, marks=lambda n: {"cluster": n // 10}))
    assert found.decision.verdict is Verdict.INCONCLUSIVE
    assert found.decision.rows_needed == 20


def test_six_rows_are_inconclusive() -> None:
    """However clear they look, and 24 more are asked for."""
    decision = verdict_of(_heldout(adapter=ALL, count=6)).decision
    assert (decision.verdict, decision.rows_needed) == (Verdict.INCONCLUSIVE, 24)


def test_half_of_the_rows_failing_is_refused() -> None:
    """Rows without an answer are unscored, never 0, and too many of them allow no verdict."""
    results = verdict_of(_heldout(failing=lambda arm, n: arm == "adapter" and n % 2 == 1))
    assert results.decision.verdict is None
    assert results.decision.refusal is Refusal.TOO_MANY_UNSCORED
    assert "100 of 200 rows have no exact_match" in results.decision.reasons[0]
    assert results.content["arms"]["adapter"]["metrics"]["exact_match"]["n"] == 100


def test_a_judge_that_takes_the_first_answer_says_nothing() -> None:
    """In both orders it contradicts itself: all ties, no difference, no `go`."""
    tie = dict.fromkeys(range(100), 0.5)
    kind = msgspec.structs.replace(planted.SHARE, binary=False, rows=100)
    material = _heldout(count=100, policy=Policy(primary_metric="judge"))
    answers = [
        msgspec.structs.replace(answer, scores={"judge": tie[answer.row]})
        for answer in material.answers
    ]
    results = verdict_of(msgspec.structs.replace(material, kinds={"judge": kind}, answers=answers))
    assert results.decision.verdict is Verdict.NO_GO
    assert {each["estimate"] for each in results.content["differences"]} == {0.0}


def test_the_worst_segment_is_named() -> None:
    """A segment in which the adapter is worse stands first, with a corrected p-value."""
    arms = {"base": HALF, "adapter": lambda n: n % 4 != 0}
    material = suite(
        200, arms, marks=lambda n: {"segment": "fourth" if n % 4 == 0 else f"s{n % 4}"}
    )
    found = verdict_of(material).content["findings"]
    assert found["segments"][0]["segment"] == "fourth"
    assert any("Worse in the segment 'fourth'" in words for words in found["sentences"])


def test_chance_makes_no_bad_segment() -> None:
    """Among forty segments without any effect none is called worse."""
    drawn = np.random.default_rng(3).random((2, 800)) < 0.5
    arms = {"base": lambda n: bool(drawn[0, n]), "adapter": lambda n: bool(drawn[1, n])}
    material = suite(800, arms, marks=lambda n: {"segment": f"s{n % 40}"})
    sentences = verdict_of(material).content["findings"]["sentences"]
    assert not any("Worse in the segment" in words for words in sentences)


def test_lost_rows_stand_side_by_side() -> None:
    """Every row that the adapter lost to the better baseline, with both answers."""
    arms = {"base": ALL, "adapter": every(out_of=20, right=19)}
    lost = verdict_of(suite(200, arms)).content["findings"]["losses"]
    assert (lost["baseline"], lost["share"]["mean"]) == ("base", 0.05)
    assert lost["rows"] == list(range(19, 200, 20))
    assert set(lost["shown"][0]["outputs"]) == {"base", "adapter"}


def test_returns_are_told_with_their_interval() -> None:
    """300 tokens saved a request at 2 a million, 6 for the training: paid after 10,000 requests."""
    material = _heldout(tokens={"base": 50, "few_shot": 350, "adapter": 50})
    costs = Costs(per_million_prompt_tokens=2.0, training=6.0)
    found = verdict_of(msgspec.structs.replace(material, costs=costs)).content["findings"]
    returns = found["returns"]
    assert (returns["against"], returns["tokens_saved"]["mean"]) == ("few_shot", 300)
    assert (returns["requests_to_pay"], returns["requests_low"]) == (10_000, 10_000)
    assert "has paid after 10,000 requests" in found["sentences"][-1]


def test_what_never_pays_is_said() -> None:
    """Where serving the adapter costs more than its prompt saves, no number is named."""
    material = _heldout(tokens={"few_shot": 350, "adapter": 50})
    costs = Costs(per_million_prompt_tokens=2.0, per_million_adapter_requests=900.0, training=6.0)
    found = verdict_of(msgspec.structs.replace(material, costs=costs)).content["findings"]
    assert found["returns"]["requests_to_pay"] is None
    assert "never pays" in found["sentences"][-1]


def test_without_prices_tokens_are_told_alone() -> None:
    """Money is left out where nothing costs anything."""
    found = verdict_of(_heldout(tokens={"few_shot": 350, "adapter": 50})).content["findings"]
    assert found["returns"]["saved_per_million_requests"] is None
    assert found["returns"]["tokens_saved"]["n"] == 200
