"""Clustered rows against statsmodels, and what they do to conclusions."""

import numpy as np
import pytest
import statsmodels.api as sm

from evals import clustered, intervals
from evals.clusters import clusters_of
from evals.compare import MetricKind, compare, summarise
from evals.intervals import Pairs
from registry.chatdata import Row

SHARE = MetricKind(higher_is_better=True, unit="share", rows=40, binary=True, comparison="")
POINTS = MetricKind(higher_is_better=True, unit="points", rows=40, binary=False, comparison="")


def _drawn(seed: int = 3) -> tuple[list[float], list[str]]:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 8, size=30)
    shared = np.repeat(generator.normal(size=30), sizes)
    values = shared + generator.normal(size=shared.size)
    names = np.repeat(np.arange(30), sizes)
    return [float(value) for value in values], [f"c{name}" for name in names]


def test_standard_error_is_statsmodels() -> None:
    """OLS on a constant with cluster-robust errors and no correction gives the same figure."""
    values, names = _drawn()
    fitted = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster",
        cov_kwds={"groups": np.array([int(name[1:]) for name in names]), "use_correction": False},
    )
    found = clustered.precision(values, names)
    assert found.standard_error == pytest.approx(float(fitted.bse[0]), rel=1e-9)


def test_rows_for_themselves_have_the_plain_error() -> None:
    """With one row a cluster the error is sd / √n, and the design effect 1."""
    values = [0.0, 1.0, 4.0, 2.0]
    found = clustered.precision(values, list("abcd"))
    assert found.standard_error == pytest.approx(float(np.std(values)) / 2)
    assert found.design_effect == pytest.approx(1.0)


def test_copies_count_once() -> None:
    """Rows that repeat their cluster's value tell as much as one row of each cluster."""
    values = [float(value) for value in np.repeat([0.0, 1.0, 4.0, 2.0, 3.0], 6)]
    names = [f"c{place}" for place in np.repeat(np.arange(5), 6)]
    found = clustered.precision(values, names)
    assert found.effective_rows == pytest.approx(5, rel=0.05)


def test_no_spread_counts_clusters() -> None:
    """Equal values leave the dependence unknown: each cluster counts once."""
    found = clustered.proportion([1.0] * 40, [f"c{row // 10}" for row in range(40)], 0.05)
    alone = intervals.proportion(4, 4, 0.05)
    assert found.low is not None
    assert alone.low is not None
    assert found.low < alone.low  # t instead of the normal quantile


def test_clusters_widen_a_paired_difference() -> None:
    """The same rows have a wider interval when they come in clusters."""
    gaps = [1.0] * 12 + [0.0] * 24 + [-1.0] * 4
    pairs = Pairs(both=12, first=12, second=4, neither=12)
    names = [f"c{row // 4}" for row in range(40)]
    wide = clustered.paired_proportions(pairs, gaps, names, 0.05)
    narrow = intervals.paired_proportions(pairs, 0.05)
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < 0 < narrow.low


def test_one_cluster_has_no_interval() -> None:
    """A single conversation says nothing about others."""
    names = ["c"] * 4
    found = [
        clustered.mean([1.0, 2.0, 3.0, 4.0], names, 0.05),
        clustered.proportion([1.0, 0.0, 1.0, 1.0], names, 0.05),
        clustered.paired_proportions(
            Pairs(both=3, first=1, second=0, neither=0), [1.0, 0.0, 0.0, 0.0], names, 0.05
        ),
    ]
    assert [(each.low, each.high, each.clusters) for each in found] == [(None, None, 1)] * 3


def test_nothing_is_unknown() -> None:
    """Without rows nothing is estimated."""
    none = Pairs(both=0, first=0, second=0, neither=0)
    found = [
        clustered.mean([], [], 0.05),
        clustered.proportion([], [], 0.05),
        clustered.paired_proportions(none, [], [], 0.05),
    ]
    assert [each.mean for each in found] == [None] * 3


def test_whole_clusters_flip_their_sign() -> None:
    """Six clusters of one sign have p = 2 / 2⁶, however many rows they hold."""
    names = [f"c{row // 10}" for row in range(60)]
    assert clustered.sign_flip_p([1.0] * 60, names, seed=0) == pytest.approx(2 / 64)


def test_a_comparison_uses_the_clusters() -> None:
    """Differences and arms of clustered rows name their clusters, binary and not."""
    scores = {
        arm: {
            "exact_match": {row: float(row % 3 == 0 or arm == "adapter") for row in range(40)},
            "points": {row: float(row % 5) + (arm == "adapter") * (row % 2) for row in range(40)},
        }
        for arm in ("base", "adapter")
    }
    kinds = {"exact_match": SHARE, "points": POINTS}
    groups = {row: f"c{row // 2}" for row in range(40)}
    found = compare(scores, kinds, alpha=0.05, seed=0, clusters=groups)
    arms = summarise(scores, kinds, alpha=0.05, seed=0, clusters=groups)
    assert {each.clusters for each in found} == {20}
    assert {each.clusters for each in arms["adapter"].values()} == {20}
    assert found[0].method.endswith("sign-flip permutation of clusters")


def _chat(*texts: str, cluster: str | None = None) -> Row:
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    return Row(line=1, messages=messages, cluster=cluster)


def test_rows_of_one_conversation_belong_together() -> None:
    """Turns cut from one conversation share its beginning; other conversations do not."""
    found = clusters_of(
        {
            0: _chat("hi", "hello", "how much?", "5"),
            1: _chat("hi", "hello", "how much?", "5", "and now?", "6"),
            2: _chat("hi", "good day", "how much?", "7"),
            3: _chat("ticket 1", "a"),
            4: _chat("ticket 2", "a"),
        }
    )
    assert found[0] == found[1]
    assert len(set(found.values())) == 4


def test_a_named_cluster_stands() -> None:
    """What a row says about itself comes first, and equal prompts belong together."""
    found = clusters_of(
        {
            0: _chat("a", "1", cluster="x"),
            1: _chat("b", "1", cluster="x"),
            2: Row(line=3, prompt="p", completion="1"),
            3: Row(line=4, prompt="p", completion="2"),
        }
    )
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert len(set(found.values())) == 2
