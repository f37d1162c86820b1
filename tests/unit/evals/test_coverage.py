"""How often intervals hold, and how often a verdict is wrong, over 2,000 simulated evaluations."""

import numpy as np
import numpy.typing as npt

from evals import bootstrap, clustered, intervals
from evals.compare import MetricKind, compare
from evals.intervals import Pairs
from evals.verdict import decide
from registry.policy import Policy
from registry.records import Verdict

RUNS = 2_000
SHARE = MetricKind(higher_is_better=True, unit="share", rows=200, binary=True, comparison="")


def _share(covered: int) -> float:
    return covered / RUNS


def test_binary_coverage() -> None:
    """A 95 % Wilson interval of 80 rows at 0.7 covers in 93 to 97 % of the evaluations."""
    hits = np.random.default_rng(21).binomial(80, 0.7, size=RUNS)
    bounds = [intervals.wilson_bounds(int(count), 80, 0.05) for count in hits]
    assert 0.93 <= _share(sum(each.low <= 0.7 <= each.high for each in bounds)) <= 0.97


def test_bounded_coverage() -> None:
    """A 95 % BCa interval of 80 paired differences of bounded scores covers in 93 to 97 %."""
    generator = np.random.default_rng(22)
    ours, theirs = generator.beta(4, 2, size=(80, RUNS)), generator.beta(3, 3, size=(80, RUNS))
    truth = 4 / 6 - 3 / 6
    bounds = bootstrap.bca(ours - theirs, 0.05, seed=1, resamples=2_000)
    assert 0.93 <= _share(sum(each.low <= truth <= each.high for each in bounds)) <= 0.97


def _clustered_draws(
    seed: int, clusters: int, rows: int
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Return differences that share half of their variance within a cluster, with mean 0.2."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0.0, 0.5, size=(RUNS, clusters, 1))
    own = generator.normal(0.0, 0.5, size=(RUNS, clusters, rows))
    values = (0.2 + shared + own).reshape(RUNS, clusters * rows)
    return values, [f"c{place // rows}" for place in range(clusters * rows)]


def test_clustered_coverage() -> None:
    """A 95 % interval of 30 clusters of 5 rows covers in 93 to 97 % of the evaluations."""
    draws, names = _clustered_draws(23, 30, 5)
    covered = 0
    for values in draws:
        found = clustered.mean(list(values), names, 0.05)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.2 <= found.high
    assert 0.93 <= _share(covered) <= 0.97


def test_clustered_rows_taken_as_independent_mislead() -> None:
    """The same rows without their clusters cover in less than 85 %: the clusters are needed."""
    draws, _ = _clustered_draws(23, 30, 5)
    bounds = bootstrap.bca(draws.T.copy(), 0.05, seed=1, resamples=1_000)
    assert _share(sum(each.low <= 0.2 <= each.high for each in bounds)) < 0.85


def test_clustered_binary_coverage() -> None:
    """Tango's interval at the effective rows of 40 clusters of 4 covers in 93 to 97 %."""
    generator = np.random.default_rng(24)
    leaning = generator.beta(1.5, 1.5, size=(RUNS, 40, 1))
    fate = generator.random((RUNS, 40, 4))
    better, worse = fate < 0.4 * leaning, fate > 1 - 0.2 * (1 - leaning)
    gaps = (better.astype(float) - worse).reshape(RUNS, 160)
    truth = 0.4 * 0.5 - 0.2 * 0.5
    names = [f"c{place // 4}" for place in range(160)]
    covered = 0
    for values in gaps:
        first, second = int((values > 0).sum()), int((values < 0).sum())
        pairs = Pairs(both=0, first=first, second=second, neither=160 - first - second)
        found = clustered.paired_proportions(pairs, list(values), names, 0.05)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.93 <= _share(covered) <= 0.97


def test_a_false_go_is_rarer_than_alpha() -> None:
    """Without any effect, and with no smallest effect to hide behind, `go` comes in at most 5 %."""
    policy = Policy(smallest_effect=0.0, guardrails={})
    kinds = {"exact_match": SHARE}
    right = np.random.default_rng(25).random((RUNS, 3, 200)) < 0.6
    every = intervals.proportion(120, 200, 0.05)
    arms = {arm: {"exact_match": every} for arm in ("base", "few_shot", "adapter")}
    wrong = 0
    for run in right:
        scores = {
            arm: {"exact_match": {row: float(value) for row, value in enumerate(values)}}
            for arm, values in zip(("base", "few_shot", "adapter"), run, strict=True)
        }
        found = decide(policy, kinds, arms, compare(scores, kinds, alpha=0.05, seed=0))
        wrong += found.verdict is Verdict.GO
    assert _share(wrong) <= policy.alpha
