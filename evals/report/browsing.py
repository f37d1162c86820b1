"""Rows to browse: what was asked, what was right, and what each arm answered, side by side.

It refuses to score; a row's standing follows from scores that are there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from evals.compare import PROMPT_ARMS, ArmName
from evals.report.facts import Facts
from evals.results import prompt_text
from registry.records import EvaluationRow, Record

MAX_LOST = 100
"""Lost rows shown; the table has all."""
MAX_OTHERS = 50
"""Rows of every other standing."""
MAX_TEXT = 3_000
"""Characters of a shown text."""
MAX_CHARACTERS = 1_200_000
"""Characters of all shown rows together, so that a page stays a page."""

_PLACES: Mapping[str, int] = {
    arm: place
    for place, arm in enumerate((ArmName.ADAPTER, ArmName.BASE, ArmName.PRODUCTION, *PROMPT_ARMS))
}


class Standing(StrEnum):
    """How the adapter did on a row, beside the base model with the bare prompt."""

    LOST = "lost"
    """Worse."""
    UNSCORED = "unscored"
    """One of them has no score."""
    LEVEL = "level"
    """As well, or as badly."""
    WON = "won"
    """Better."""


class Shown(Record, frozen=True, kw_only=True):
    """What an arm answered."""

    arm: str
    """Who."""
    output: str | None
    """The answer; none when there is none."""
    error: str | None
    """Why there is none."""
    score: float | None
    """On the metric of the page's rows; none when unscored."""


class BrowsedRow(Record, frozen=True, kw_only=True):
    """One row."""

    row: int
    """Its number, from 0."""
    segment: str | None
    """Its segment."""
    prompt: str
    """What was asked."""
    target: str
    """What was right."""
    standing: Standing
    """How the adapter did."""
    gain: float
    """By how much it scored better; 0 where unscored."""
    answers: list[Shown]
    """The adapter's answer, the base model's, then the others'."""

    @property
    def characters(self) -> int:
        """How much there is to read."""
        said = sum(len(each.output or "") for each in self.answers)
        return len(self.prompt) + len(self.target) + said


class Browsing(Record, frozen=True, kw_only=True):
    """A page's rows."""

    metric: str
    """Metric of the scores."""
    rows: list[BrowsedRow]
    """Those shown, lost ones first."""
    counts: dict[str, int]
    """Rows by standing, shown or not; only those that occur."""

    @property
    def total(self) -> int:
        """Rows, shown or not."""
        return sum(self.counts.values())


def browse(facts: Facts, suite: str, metric: str, *, higher_is_better: bool = True) -> Browsing:
    """Return the rows of a suite, those that the adapter lost to the base first."""
    answers: dict[int, list[EvaluationRow]] = {}
    for answer in facts.answers:
        if answer.suite == suite:
            answers.setdefault(answer.row, []).append(answer)
    sign = 1 if higher_is_better else -1
    every = [
        _row(facts, suite, place, answers.get(place, []), metric, sign)
        for place in facts.rows.get(suite, {})
    ]
    return select(metric, every)


def select(metric: str, every: Iterable[BrowsedRow]) -> Browsing:
    """Return the rows worth a look: of each standing some, the lost ones first and most."""
    order = list(Standing)
    ranked = sorted(every, key=lambda row: (order.index(row.standing), row.gain, row.row))
    counts = Counter(row.standing for row in ranked)
    shown: list[BrowsedRow] = []
    taken: Counter[Standing] = Counter()
    characters = 0
    for row in ranked:
        most = MAX_LOST if row.standing is Standing.LOST else MAX_OTHERS
        if taken[row.standing] < most and characters + row.characters <= MAX_CHARACTERS:
            shown.append(row)
            taken[row.standing] += 1
            characters += row.characters
    known = {standing.value: counts[standing] for standing in order if counts[standing]}
    return Browsing(metric=metric, rows=shown, counts=known)


def changed(browsing: Browsing) -> list[BrowsedRow]:
    """Return the rows on which adapter and base answered differently."""
    return [row for row in browsing.rows if len({each.output for each in row.answers}) > 1]


def _row(
    facts: Facts,
    suite: str,
    place: int,
    answers: Sequence[EvaluationRow],
    metric: str,
    sign: int,
) -> BrowsedRow:
    shown = sorted((_answer(each, metric) for each in answers), key=_place)
    scores = {each.arm: each.score for each in shown}
    gain = _gain(scores, sign)
    row = facts.rows[suite][place]
    return BrowsedRow(
        row=place,
        segment=row.segment,
        prompt=_cut(prompt_text(row)),
        target=_cut(facts.targets[suite][place]),
        standing=_standing(gain),
        gain=gain or 0.0,
        answers=shown,
    )


def _answer(answer: EvaluationRow, metric: str) -> Shown:
    return Shown(
        arm=answer.arm,
        output=None if answer.output is None else _cut(answer.output),
        error=answer.error,
        score=answer.scores.get(metric),
    )


def _place(shown: Shown) -> int:
    return _PLACES.get(shown.arm, len(_PLACES))


def _gain(scores: Mapping[str, float | None], sign: int) -> float | None:
    ours, theirs = scores.get(ArmName.ADAPTER), scores.get(ArmName.BASE)
    return None if ours is None or theirs is None else sign * (ours - theirs)


def _standing(gain: float | None) -> Standing:
    if gain is None:
        return Standing.UNSCORED
    return Standing.LOST if gain < 0 else Standing.WON if gain > 0 else Standing.LEVEL


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
