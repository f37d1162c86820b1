"""The bootstrap of many columns beside scipy's of one."""

import numpy as np
import pytest
from scipy.stats import bootstrap as scipys
from scipy.stats import permutation_test

from evals import bootstrap


@pytest.mark.parametrize("shape", ["normal", "skewed", "bounded"])
def test_bca_is_scipys(shape: str) -> None:
    """Bounds differ from scipy's by less than resampling noise, a tenth of the width."""
    generator = np.random.default_rng(5)
    drawn = {
        "normal": generator.normal(1.0, 1.0, 80),
        "skewed": generator.exponential(1.0, 80),
        "bounded": generator.beta(8.0, 2.0, 80),
    }[shape]
    ours = bootstrap.bca(drawn[:, None], 0.05, seed=1)[0]
    theirs = scipys(
        (drawn,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], abs=0.05 * width)


def test_columns_do_not_disturb_one_another() -> None:
    """A column's bounds are the same alone and beside others, but for rounding."""
    values = np.random.default_rng(3).normal(size=(50, 4))
    together = bootstrap.bca(values, 0.05, seed=9)
    alone = bootstrap.bca(values[:, 2:3], 0.05, seed=9)[0]
    assert [together[2].low, together[2].high] == pytest.approx([alone.low, alone.high])


def test_blocks_do_not_change_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded memory costs no exactness: small blocks draw what one large block draws."""
    values = np.random.default_rng(3).normal(size=(50, 2))
    whole = bootstrap.bca(values, 0.05, seed=9)
    monkeypatch.setattr(bootstrap, "_CELLS", 1_000)
    assert [each.low for each in bootstrap.bca(values, 0.05, seed=9)] == pytest.approx(
        [each.low for each in whole]
    )


def test_equal_values_are_their_own_interval() -> None:
    """Where BCa is undefined the value stands, also beside a column with spread."""
    values = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 5.0]])
    found = bootstrap.bca(values, 0.05, seed=0)
    assert (found[0].low, found[0].high) == (1.0, 1.0)
    assert found[1].low < found[1].high


def test_sign_flips_are_exact_for_few_rows() -> None:
    """Eight rows give scipy's exact p-value."""
    drawn = np.random.default_rng(4).normal(0.5, 1.0, 8)
    theirs = permutation_test((drawn,), np.mean, permutation_type="samples", n_resamples=1_000)
    assert bootstrap.sign_flip_ps(drawn[:, None], seed=0)[0] == pytest.approx(theirs.pvalue)


def test_random_sign_flips_are_near_the_exact_p() -> None:
    """With 10,000 random flips the p-value is off by a few standard errors at most."""
    drawn = np.random.default_rng(4).normal(0.4, 1.0, 40)
    theirs = permutation_test(
        (drawn,),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    ours = bootstrap.sign_flip_ps(drawn[:, None], seed=0)[0]
    assert ours == pytest.approx(theirs.pvalue, abs=0.01)


def test_random_sign_flips_are_never_zero() -> None:
    """However clear the difference, a random test cannot show p = 0."""
    assert bootstrap.sign_flip_ps(np.full((100, 1), 5.0), seed=0)[0] == pytest.approx(1 / 10_001)
