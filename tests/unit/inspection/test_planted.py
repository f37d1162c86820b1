"""Planted faults: each is found by its line, and hardly anything else is called one."""

import pytest

from registry.inspection.examine import examine
from registry.inspection.page import render_page
from registry.inspection.records import Report
from tests.unit.inspection.planted import SECRETS, SOUND, Planted, plant

FALSE_ALARMS = 0.02
"""Largest share of sound rows that a part of the report may name."""


@pytest.fixture(scope="module", params=[1])
def planted(request: pytest.FixtureRequest) -> tuple[Planted, Report]:
    """Return rows with faults and the report on them."""
    rows = plant(request.param)
    return rows, examine(rows.training, validation=rows.validation)


def lines_of(report: Report) -> dict[str, set[int]]:
    """Return what a report names, by kind."""
    assert report.leakage is not None
    leaks = (report.leakage.exact, report.leakage.same_prompt, report.leakage.near)
    return {
        "leaked": {pair.line for part in leaks for pair in part.pairs},
        "contradicting": set(report.contradictions.lines),
        "near": {pair.line for pair in report.near_duplicates.pairs},
        "cut": {note.line for note in report.missing_ends.rows},
        "secret": {line for entry in report.secrets for line in entry.lines},
    }


@pytest.mark.parametrize(
    ("kind", "count"),
    [("leaked", 30), ("contradicting", 40), ("near", 25), ("cut", 10), ("secret", 5)],
)
def test_every_planted_fault_is_found(
    planted: tuple[Planted, Report], kind: str, count: int
) -> None:
    """Each planted row stands in the report by its line."""
    rows, report = planted
    wanted: set[int] = getattr(rows, kind)
    assert len(wanted) == count
    assert wanted <= lines_of(report)[kind]


def test_false_alarms_are_rare(planted: tuple[Planted, Report]) -> None:
    """Of the sound rows at most one in fifty is called a fault of any kind."""
    rows, report = planted
    found = lines_of(report)
    wrong = {line for kind, lines in found.items() for line in lines - getattr(rows, kind)}
    wrong |= {note.line for note in report.unusual.rows}
    wrong |= {line for entry in report.personal_data for line in entry.lines}
    assert len(wrong) <= FALSE_ALARMS * SOUND


def test_no_secret_leaves_the_file(planted: tuple[Planted, Report]) -> None:
    """Neither the report nor its page repeats what it found."""
    _, report = planted
    told = f"{report}{render_page(report)}"
    for secret in SECRETS:
        for word in secret.split():
            if len(word) >= 10:
                assert word not in told
