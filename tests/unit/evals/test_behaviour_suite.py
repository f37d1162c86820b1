"""The behaviour suite's file."""

from collections import Counter

from evals.scoring import Answer, scheme_of, score
from evals.suites.behaviour import read_behaviour

ROWS = {entry.number: entry.row for entry in read_behaviour()}
TARGETS = {number: row.target for number, row in ROWS.items()}


def test_every_reference_answer_is_right() -> None:
    """A model that answers as the file does has every row right by the row's own metric."""
    scheme = scheme_of(ROWS, TARGETS, by_row=True)
    answers = [
        Answer(
            suite="behaviour",
            arm="base",
            number=number,
            target=target,
            output=target,
            logprobs=None,
            error=None,
        )
        for number, target in TARGETS.items()
    ]
    found = score(answers, {"behaviour": scheme})
    assert [number for number, row in enumerate(found) if row["score"] != 1] == []


def test_every_row_has_a_segment_and_a_metric() -> None:
    """Sixty rows of six kinds, no prompt twice."""
    assert len(ROWS) == len({row.prompt_digest for row in ROWS.values()}) == 60
    kinds = Counter(row.segment for row in ROWS.values())
    assert kinds.keys() == {"format", "arithmetic", "copying", "refusal", "knowledge", "turns"}
    assert min(kinds.values()) >= 6
    assert all(row.metric is not None for row in ROWS.values())
