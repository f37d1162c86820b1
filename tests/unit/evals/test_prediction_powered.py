"""A judge corrected by people's labels."""

import numpy as np
import pytest

from evals.prediction_powered import debiased_mean


def _study(
    generator: np.random.Generator, *, bias: float, n: int = 60, many: int = 600
) -> tuple[list[float], list[float], list[float]]:
    """Return the judge on unlabelled rows, the judge and the people on labelled ones."""
    truth = (generator.random(n + many) < 0.6).astype(float)
    judge = np.clip(truth + bias + generator.normal(0.0, 0.2, n + many), 0.0, 1.5)
    return list(judge[n:]), list(judge[:n]), list(truth[:n])


def test_a_biased_judge_is_corrected() -> None:
    """The interval covers the people's mean in 93 to 97 % of 2,000 studies, bias or not."""
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(2_000):
        found = debiased_mean(*_study(generator, bias=0.3), 0.05).estimate
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.6 <= found.high
    assert 0.93 <= covered / 2_000 <= 0.97


def test_a_good_judge_narrows_the_interval() -> None:
    """Many judgements beside few labels tell more than the labels alone."""
    rest, judge, human = _study(np.random.default_rng(1), bias=0.0)
    with_judge = debiased_mean(rest, judge, human, 0.05).estimate
    alone = debiased_mean([], judge, human, 0.05).estimate
    assert with_judge.high is not None
    assert with_judge.low is not None
    assert alone.high is not None
    assert alone.low is not None
    assert with_judge.high - with_judge.low < 0.7 * (alone.high - alone.low)


def test_a_useless_judge_is_left_out() -> None:
    """A judge that says the opposite, or always the same, has no weight."""
    human = [0.0, 1.0] * 10
    opposite = debiased_mean([0.5, 0.1, 0.9], [1.0, 0.0] * 10, human, 0.05)
    constant = debiased_mean([1.0] * 50, [1.0] * 20, human, 0.05)
    assert (opposite.weight, constant.weight) == (0.0, 0.0)
    assert (opposite.estimate.mean, constant.estimate.mean) == (0.5, 0.5)


def test_bias_is_told() -> None:
    """Judge minus people on the rows that both judged."""
    found = debiased_mean([1.0, 0.9], [1.0] * 10, [0.5] * 10, 0.05)
    assert found.bias == pytest.approx(0.5)


def test_few_labels_say_too_little() -> None:
    """Below ten labels there is no figure, and with none no bias either."""
    assert debiased_mean([1.0], [1.0] * 9, [0.5] * 9, 0.05).estimate.mean is None
    assert debiased_mean([1.0], [], [], 0.05).bias is None


def test_labels_come_in_pairs() -> None:
    """A label without the judge's word is a mistake of the caller."""
    with pytest.raises(ValueError, match="labelled row"):
        debiased_mean([], [1.0], [], 0.05)
