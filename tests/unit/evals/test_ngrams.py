"""N-grams of many rows at once are what sacrebleu counts of each."""

import random

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from evals.ngrams import shared_ngrams
from evals.scorers.chrf import ChrF
from evals.scorers.corpus_bleu import counts_of
from evals.scorers.rowwise import RowMetric
from evals.scorers.sentence_bleu import SentenceBleu

_SAID = [
    "",
    " ",
    "a",
    "ab ab ab",
    "\t\n",
    "Straße 5.5, 12-3",
    "a-\nb, c.",
    "x-<skipped>\ny",
    "a.\u00a0.b &lt;-5",
    "x\u2028y",
    "日本語のテキスト",
    "👩‍👩‍👧 e\u0301",
]
_LETTERS = "ab c.,-5 &amp;-\n\u00a0ßЖ日\U0001f600\ud800"


def _texts(seed: int) -> list[str]:
    """Return fixed texts and random ones of few letters, which share much."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    made = ["".join(draw.choices(_LETTERS, k=draw.randrange(60))) for _ in range(400)]
    return [*_SAID, *made]


def _pairs() -> tuple[list[str], list[str]]:
    """Return answers and targets: unlike ones, equal ones, and every fixed text with every one."""
    answers, targets = _texts(1), _texts(2)
    crossed = [(answer, target) for answer in _SAID for target in _SAID]
    answers += [*targets, *(answer for answer, _ in crossed)]
    targets += [*targets, *(target for _, target in crossed)]
    return answers, targets


@pytest.mark.parametrize("metric", [ChrF, SentenceBleu])
def test_many_rows_score_as_each_alone(metric: type[ChrF | SentenceBleu]) -> None:
    """Every row has the score that sacrebleu gives it by itself, to the last bit."""
    answers, targets = _pairs()
    alone = [metric.row(answer, target) for answer, target in zip(answers, targets, strict=True)]
    assert metric.rows(answers, targets) == alone
    assert len(set(alone)) > 250


def test_counts_of_words_are_sacrebleus() -> None:
    """Lengths, matches and totals of each row are what sacrebleu counts."""
    answers, targets = _pairs()
    alone = BLEU(effective_order=True)
    found = [alone.sentence_score(a, [t]) for a, t in zip(answers, targets, strict=True)]
    expected = [[each.sys_len, each.ref_len, *each.counts, *each.totals] for each in found]
    assert counts_of(answers, targets).tolist() == expected


@pytest.mark.parametrize("metric", [ChrF, SentenceBleu])
def test_no_rows_have_no_scores(metric: type[ChrF | SentenceBleu]) -> None:
    """A suite without texts is scored too."""
    assert issubclass(metric, RowMetric)
    assert metric.rows([], []) == []


def test_thousands_of_letters_count_as_few() -> None:
    """Texts of a large alphabet, more n-grams than a number holds, score as by sacrebleu."""
    draw = random.Random(7)  # noqa: S311 - no secret
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    targets = ["".join(draw.choices(letters, k=100)) for _ in range(200)]
    answers = [
        "".join(draw.choice(letters) if draw.random() < 0.1 else letter for letter in target)
        for target in targets
    ]
    alone = [ChrF.row(answer, target) for answer, target in zip(answers, targets, strict=True)]
    assert ChrF.rows(answers, targets) == alone


def test_long_sequences_are_counted_in_parts() -> None:
    """Pairs that are counted apart have the counts of their own."""
    long = np.arange(60_000)
    pairs = [(long, long), (long[:3], long[1:4]), (long, long[::-1]), (long[:0], long)]
    assert shared_ngrams(pairs, 2).tolist() == [[60_000, 59_999], [2, 1], [60_000, 0], [0, 0]]
