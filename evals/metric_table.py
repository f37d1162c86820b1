"""Every metric that scores a row: what its figures mean, and which rows it fits.

It refuses to know arms and statistics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evals.scorers.chrf import ChrF
from evals.scorers.contains import Contains
from evals.scorers.edit_distance import EditDistance
from evals.scorers.exact_match import ExactMatch
from evals.scorers.field_match import FieldF1, FieldPrecision, FieldRecall
from evals.scorers.json_schema import JsonSchema
from evals.scorers.json_valid import JsonValid
from evals.scorers.length import Length
from evals.scorers.normalised_match import NormalisedMatch
from evals.scorers.numeric import Numeric
from evals.scorers.pattern import Pattern
from evals.scorers.refusal import Refusal
from evals.scorers.repetition import Repetition
from evals.scorers.rouge_l import RougeL
from evals.scorers.sentence_bleu import SentenceBleu
from evals.shapes import RowKind

_ALL = frozenset(RowKind)
_NEVER: frozenset[RowKind] = frozenset()


@dataclass(frozen=True, kw_only=True)
class TextMetric:
    """A metric that scores a row from the answer's text and the target."""

    key: str
    """Its name."""
    row: Callable[..., float | None]
    """Answer, target and the row's own options to a score; none when it cannot be scored."""
    comparison: str
    """How a row is scored, in words."""
    unit: str = "share"
    """What a figure counts."""
    higher_is_better: bool = True
    """Whether more is better."""
    binary: bool = False
    """Whether a row scores either 0 or 1."""
    fits: frozenset[RowKind] = _ALL
    """Targets it is chosen for by itself; a row may name any metric."""
    options: frozenset[str] = frozenset()
    """Options that a row may give it."""
    rows: Callable[[Sequence[str], Sequence[str]], list[float]] | None = None
    """What `row` gives of many rows without options, where it can be had sooner."""

    def batch(
        self, answers: Sequence[str], targets: Sequence[str], options: Sequence[dict[str, Any]]
    ) -> list[float | None]:
        """Return the scores of several rows."""
        if self.rows is not None and not any(options):
            return [*self.rows(answers, targets)]
        rows = zip(answers, targets, options, strict=True)
        return [self.row(answer, target, **chosen) for answer, target, chosen in rows]


_JSON = frozenset({RowKind.JSON})
_TEXT = frozenset({RowKind.TEXT})
_WORDS = frozenset({RowKind.TEXT, RowKind.LABEL})
_IN_JSON = "asked where the target is a JSON object or array"

TEXT_METRICS: tuple[TextMetric, ...] = (
    TextMetric(
        key=ExactMatch.key,
        row=ExactMatch.row,
        binary=True,
        comparison="answer and target are equal",  # `scoring` says how, by the rows
    ),
    TextMetric(
        key=NormalisedMatch.key,
        row=NormalisedMatch.row,
        binary=True,
        fits=_WORDS,
        comparison="answer and target are equal but for case, punctuation and spacing",
    ),
    TextMetric(
        key=JsonValid.key,
        row=JsonValid.row,
        binary=True,
        fits=_JSON,
        comparison=f"the whole answer is JSON; {_IN_JSON}",
    ),
    TextMetric(
        key=FieldF1.key,
        row=FieldF1.row,
        fits=_JSON,
        comparison=f"harmonic mean of field precision and field recall; {_IN_JSON}",
    ),
    TextMetric(
        key=FieldPrecision.key,
        row=FieldPrecision.row,
        fits=_JSON,
        comparison=f"share of the answer's fields that the target has, with the value; {_IN_JSON}",
    ),
    TextMetric(
        key=FieldRecall.key,
        row=FieldRecall.row,
        fits=_JSON,
        comparison=f"share of the target's fields that the answer has, with the value; {_IN_JSON}",
    ),
    TextMetric(
        key=Numeric.key,
        row=Numeric.row,
        binary=True,
        fits=frozenset({RowKind.NUMBER}),
        options=frozenset({"tolerance"}),
        comparison="the last number of the answer is the target's, within one in a million",
    ),
    TextMetric(
        key=ChrF.key,
        row=ChrF.row,
        rows=ChrF.rows,
        fits=_TEXT,
        comparison="chrF2 by sacrebleu, from 0 to 1",
    ),
    TextMetric(
        key=SentenceBleu.key,
        row=SentenceBleu.row,
        rows=SentenceBleu.rows,
        fits=_TEXT,
        comparison="mean of the rows' sentence BLEU by sacrebleu (13a, effective order), from 0 "
        "to 1; the whole corpus' is `corpus_bleu`",
    ),
    TextMetric(
        key=RougeL.key, row=RougeL.row, fits=_TEXT, comparison="F-measure of ROUGE-L, from 0 to 1"
    ),
    TextMetric(
        key=EditDistance.key,
        row=EditDistance.row,
        fits=_TEXT,
        higher_is_better=False,
        comparison="edit distance over the length of the longer text",
    ),
    TextMetric(
        key=Length.key,
        row=Length.row,
        unit="logarithm of a ratio",
        higher_is_better=False,
        comparison="distance of the answer's length from the target's: 0 as long, 0.69 twice or "
        "half as long",
    ),
    TextMetric(
        key=Repetition.key,
        row=Repetition.row,
        higher_is_better=False,
        comparison="share of the answer's four-word runs that it said before",
    ),
    TextMetric(
        key=Refusal.key,
        row=Refusal.row,
        higher_is_better=False,
        binary=True,
        comparison="the answer begins with a refusal, in English",
    ),
    TextMetric(
        key=Contains.key,
        row=Contains.row,
        binary=True,
        fits=_NEVER,
        options=frozenset({"case_sensitive"}),
        comparison="the answer contains the target",
    ),
    TextMetric(
        key=Pattern.key,
        row=Pattern.row,
        binary=True,
        fits=_NEVER,
        options=frozenset({"pattern"}),
        comparison="the answer matches the expression",
    ),
    TextMetric(
        key=JsonSchema.key,
        row=JsonSchema.row,
        binary=True,
        fits=_NEVER,
        options=frozenset({"schema"}),
        comparison="the answer is valid under the schema",
    ),
)
"""The metrics that come with Graftline."""
