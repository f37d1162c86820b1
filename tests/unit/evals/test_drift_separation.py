"""The classifier two-sample test: what it tells apart, and what it must not."""

import numpy as np
import pytest
from scipy.stats import norm

from evals.drift.separation import auc_bounds, separate
from evals.drift.texts import MAX_CHARACTERS, features_of, words_of

WORDS = ["order", "late", "refund", "where", "parcel", "broken", "screen", "hello", "thanks"]


def sides(before: int, now: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which rows are the window's: the last."""
    return np.arange(before + now) >= before


def test_the_auc_of_two_normals_is_found() -> None:
    """One deviation apart: Φ(1/√2) = 0.760, within the interval."""
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(800, 3))
    rows[400:, 0] += 1
    found = separate(rows, sides(400, 400))
    assert found is not None
    assert found.low < norm.cdf(1 / np.sqrt(2)) < found.high
    assert found.low > 0.65


def test_without_drift_the_interval_covers_a_half() -> None:
    """In at least 90 % of 60 samples, nominal 95 %, though each fits noise."""
    draw = np.random.default_rng(2)
    found = [separate(draw.normal(size=(300, 20)), sides(150, 150)) for _ in range(60)]
    covered = [each is not None and each.low <= 0.5 <= each.high for each in found]
    assert sum(covered) >= 54


def test_other_texts_are_told_apart() -> None:
    """Words that one side does not have."""
    draw = np.random.default_rng(3)
    texts = [" ".join(draw.choice(WORDS, 8)) for _ in range(200)]
    texts += [" ".join(draw.choice(["tax", "form", *WORDS], 8)) for _ in range(200)]
    found = separate(features_of(texts), sides(200, 200))
    assert found is not None
    assert found.low > 0.6


def test_a_unit_is_not_learned_by_heart() -> None:
    """Each of 40 units has words of its own; apart from that both sides are alike."""
    draw = np.random.default_rng(4)
    units = np.repeat(np.arange(80), 10)
    texts = [f"{WORDS[draw.integers(len(WORDS))]} u{unit * 7919 % 1000:03d}" for unit in units]
    features, window = features_of(texts), sides(400, 400)
    blind, fair = separate(features, window), separate(features, window, units)
    assert blind is not None
    assert blind.low > 0.8
    assert fair is not None
    assert fair.low <= 0.5


@pytest.mark.parametrize("auc", [0.0, 1.0])
def test_an_interval_keeps_its_width_at_the_ends(auc: float) -> None:
    """An AUC of 1 from few rows is not certain."""
    bounds = auc_bounds(auc, reference=50, window=50, folds=5)
    assert bounds.high - bounds.low > 0.03
    assert 0 <= bounds.low <= auc <= bounds.high <= 1


def test_too_few_units_have_no_figure() -> None:
    """Four units cannot be shared among five folds."""
    units = np.repeat(np.arange(8), 50)
    assert separate(np.zeros((400, 2)), sides(200, 200), units) is None


def test_units_too_uneven_for_folds_have_no_figure() -> None:
    """Three units have nearly all rows, so that some fold has one side only."""
    rows = [(0, 30), (1, 2), (1, 0), (30, 1), (0, 30), (30, 0), (1, 1), (2, 2), (2, 1)]
    units = np.repeat(np.arange(len(rows)), [sum(each) for each in rows])
    window = np.concatenate([np.arange(sum(each)) >= each[0] for each in rows])
    assert separate(np.zeros((units.size, 2)), window, units) is None


def test_empty_texts_are_rows_of_zeros() -> None:
    """And no error."""
    assert features_of(["", "  "]).nnz == 0


@pytest.mark.parametrize(
    ("request_", "prompt"),
    [
        ({"prompt": "bare"}, "bare"),
        ({"prompt": [1, 2]}, ""),
        ({"input": "to responses"}, "to responses"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
            "a",
        ),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "c"}]}, "c"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "part"}]}]}, "part"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, ""),
        ({"messages": [{"role": "system", "content": "s"}, "odd"]}, ""),
        ({"messages": "odd"}, ""),
        ({"messages": [{"role": "user", "content": "x" * 5000}]}, "x" * MAX_CHARACTERS),
    ],
)
def test_the_last_words_of_the_user_are_compared(request_: dict[str, object], prompt: str) -> None:
    """Of every endpoint; the beginning of long ones."""
    assert words_of(request_, "answer", None).prompt == prompt
