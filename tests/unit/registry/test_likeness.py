"""One definition of likeness, for files before training and for exams."""

import pytest

from evals.findings.leakage import search
from registry.chatdata import Row
from registry.inspection.likeness import Signatures, likest_between
from registry.likeness import (
    MIN_PIECES,
    THRESHOLD,
    boilerplate,
    normal,
    own_pieces,
    pieces_of,
    similarity,
)

WORDS = [f"{first}{second}" for first in ("bar", "lum", "tok", "fen") for second in "aeiou"]
TEXT = " ".join(WORDS)
NONE = boilerplate(pieces_of([]))


def _alike(one: str, other: str) -> float:
    return similarity(own_pieces(normal(one), NONE), own_pieces(normal(other), NONE))


def test_case_and_spacing_do_not_count() -> None:
    """Two writings of one text are the same."""
    assert _alike(TEXT, f"  {TEXT.upper()}\n") == 1


def test_two_words_of_twenty_are_near_and_half_is_not() -> None:
    """The threshold lies between a change of two words and half of the text."""
    two = " ".join(["other", *WORDS[1:10], "words", *WORDS[11:]])
    half = " ".join([*WORDS[:10], *(f"new{number}" for number in range(10))])
    assert THRESHOLD <= _alike(TEXT, two) < 1
    assert _alike(TEXT, half) < THRESHOLD


def test_short_texts_are_alike_to_none() -> None:
    """What has too few pieces of its own says nothing."""
    short = "x" * (MIN_PIECES - 1)
    assert _alike(short, short) == 0


def test_boilerplate_does_not_count() -> None:
    """What a template gives to all of many texts makes no two of them alike."""
    texts = [normal(f"dear sir, this is your ticket about {n**7} {n**8}") for n in range(2, 202)]
    shared = boilerplate(pieces_of(texts))
    plain = similarity(own_pieces(texts[0], NONE), own_pieces(texts[1], NONE))
    own = similarity(own_pieces(texts[0], shared), own_pieces(texts[1], shared))
    assert own < 0.2 < plain


@pytest.mark.parametrize("changed", range(10))
def test_report_and_exam_find_the_same(changed: int) -> None:
    """Of rows with ever more words changed both find the same ones, and as alike."""
    other = " ".join([*(f"new{number}" for number in range(changed)), *WORDS[changed:]])
    ours, theirs = Signatures(), Signatures()
    ours.add(f"{other} end")
    theirs.add(f"{TEXT} end")
    reported = [like.similarity for like in likest_between(ours, theirs)]
    examined = Row(line=1, prompt=f"{TEXT} ", completion="end")
    trained = Row(line=1, prompt=f"{other} ", completion="end")
    shown = search([trained], {0: examined}).shown
    found = [round(leak.similarity, 3) for leak in shown]
    assert reported == found
