"""BLEU of a whole suite, which is no mean of its rows."""

import pytest
from sacrebleu.metrics.bleu import BLEU

from evals.corpora import corpus_of
from evals.scorers.corpus_bleu import CorpusBleu, corpus_bleu, counts_of
from evals.scorers.sentence_bleu import SentenceBleu
from evals.shapes import RowKind, Shape
from registry.policy import Policy
from registry.records import EvaluationRow

TARGETS = [
    f"the {animal} sat on the {place} and looked at the long grey river number {number}"
    for number, (animal, place) in enumerate(
        [("cat", "mat"), ("dog", "hill"), ("hen", "fence"), ("fox", "wall")] * 5
    )
]
CLOSE = [target.replace("long grey", "wide green") for target in TARGETS]
FAR = ["a river", *(target.replace("sat on the", "ran over a") for target in CLOSE[1:])]
SHAPE = Shape(rows=len(TARGETS), json_rows=0, other=RowKind.TEXT)


def _answers(arm: str, said: list[str]) -> list[EvaluationRow]:
    return [
        EvaluationRow(evaluation_id="eval-1", arm=arm, row=row, output=text, scores={})
        for row, text in enumerate(said)
    ]


def test_it_is_sacrebleus() -> None:
    """The counts of rows, summed, give what sacrebleu gives for the corpus."""
    found = corpus_bleu(counts_of(FAR, TARGETS))
    assert found == pytest.approx(BLEU().corpus_score(FAR, [TARGETS]).score / 100, abs=1e-12)
    assert CorpusBleu().compute(predictions=FAR, references=TARGETS)["corpus_bleu"] == found


def test_it_is_no_mean_of_rows() -> None:
    """The mean of the rows' sentence BLEUs is another figure."""
    said = [text if row % 2 else "the cat" for row, text in enumerate(CLOSE)]
    rows = [SentenceBleu.row(a, t) for a, t in zip(said, TARGETS, strict=True)]
    assert abs(sum(rows) / len(rows) - corpus_bleu(counts_of(said, TARGETS))) > 0.02


def test_a_difference_is_paired() -> None:
    """Both arms are resampled on the same rows: an arm like the adapter differs by exactly 0."""
    answers = [
        *_answers("adapter", CLOSE),
        *_answers("base", FAR),
        *_answers("few_shot", CLOSE),
    ]
    targets = dict(enumerate(TARGETS))
    clusters = {row: str(row) for row in targets}
    found = corpus_of(answers, targets, clusters, SHAPE, Policy())
    base, few_shot = (each.estimate for each in found.differences)
    assert (few_shot.mean, few_shot.low, few_shot.high) == (0, 0, 0)
    assert base.low is not None
    assert base.low > 0
    assert base.mean == pytest.approx(
        (found.bleu["adapter"].mean or 0) - (found.bleu["base"].mean or 0)
    )


def test_whole_clusters_are_drawn() -> None:
    """Rows of four conversations leave the figure less sure than as many of their own."""
    said = [FAR[row] if row % 4 else CLOSE[row] for row in range(len(TARGETS))]
    answers, targets = _answers("adapter", said), dict(enumerate(TARGETS))
    apart = corpus_of(answers, targets, {row: str(row) for row in targets}, SHAPE, Policy())
    joined = corpus_of(answers, targets, {row: str(row % 4) for row in targets}, SHAPE, Policy())
    one, other = apart.bleu["adapter"], joined.bleu["adapter"]
    assert other.clusters == 4
    assert (other.high or 0) - (other.low or 0) > (one.high or 0) - (one.low or 0)


def test_labels_and_numbers_have_none() -> None:
    """Where the targets are no texts there is nothing to compare as a corpus."""
    shape = Shape(rows=1, json_rows=0, other=RowKind.NUMBER)
    found = corpus_of(_answers("adapter", ["4"]), {0: "4"}, {0: "0"}, shape, Policy())
    assert (found.bleu, found.differences) == ({}, [])
