"""The looks at a file, each by itself."""

import json
from collections.abc import Sequence

import pytest

from registry.chatdata import Row
from registry.inspection.examine import examine
from registry.inspection.exposure import patterns_in
from registry.inspection.page import render_page
from registry.inspection.records import Report, Steps


def chats(pairs: Sequence[tuple[str, str]]) -> list[Row]:
    """Return conversations of one question and one answer."""
    return [
        Row(
            line=line,
            messages=[
                {"role": "user", "content": asked},
                {"role": "assistant", "content": said},
            ],
        )
        for line, (asked, said) in enumerate(pairs, start=1)
    ]


def report_on(*pairs: tuple[str, str]) -> Report:
    """Return the report on some conversations."""
    return examine(chats(pairs))


def test_without_a_tokenizer_lengths_are_unknown() -> None:
    """Unknown is not zero."""
    assert report_on(("a", "b")).tokens is None


def test_an_exact_copy_is_a_duplicate_and_nothing_else() -> None:
    """A row that stands twice is neither near itself nor in contradiction."""
    text = "Please tell me all that there is to know about heaters and kettles."
    report = report_on((text, "They are warm."), ("other", "x"), (text, "They are warm."))
    assert [(pair.line, pair.like) for pair in report.duplicates.pairs] == [(3, 1)]
    assert report.near_duplicates.count == 0
    assert report.contradictions.count == 0


def test_letter_case_and_spaces_make_no_other_row() -> None:
    """A row with the same words is nearly the same row, however short."""
    report = report_on(("Hello  there", "Hi"), ("hello there", "hi"))
    assert [(pair.line, pair.like) for pair in report.near_duplicates.pairs] == [(2, 1)]


def test_contradictions_are_grouped_by_prompt() -> None:
    """All answers to one prompt are named together."""
    report = report_on(("a?", "yes"), ("b?", "yes"), ("a?", "no"), ("A?", "perhaps"))
    assert report.contradictions.lines == [3, 4]
    assert [group.lines for group in report.contradictions.groups] == [[1, 3, 4]]


def test_few_answers_are_labels() -> None:
    """A small set of answers is counted, its balance told, and a misspelt one named."""
    answers = ["yes"] * 60 + ["no"] * 39 + ["yse"]
    report = report_on(*((f"question {n}", said) for n, said in enumerate(answers)))
    assert report.labels is not None
    assert [(label.answer, label.rows) for label in report.labels.answers] == [
        ("yes", 60),
        ("no", 39),
        ("yse", 1),
    ]
    assert report.labels.rare.lines == [100]
    assert 0 < report.labels.balance < 1


def test_many_answers_are_no_labels() -> None:
    """Answers that are all different are no set."""
    assert report_on(*((f"q{n}", f"a{n}") for n in range(200))).labels is None


def test_one_common_answer_is_out_of_balance() -> None:
    """A file that nearly always answers the same says so."""
    report = report_on(*((f"q{n}", "no" if n % 20 == 0 else "yes") for n in range(200)))
    assert "label_balance" in {finding.kind for finding in report.findings}


def test_json_answers_that_differ_are_named() -> None:
    """Where nearly all answers are one kind of object, the others stand out."""
    good = json.dumps({"category": "a", "priority": "b"})
    pairs = [(f"q{n}", good) for n in range(40)]
    pairs += [("x", json.dumps({"category": "a"})), ("y", "a, b")]
    report = report_on(*pairs)
    assert [(note.line, note.what) for note in report.answers.odd.rows] == [
        (41, "lacks priority"),
        (42, "is not JSON"),
    ]
    assert report.answers.json_share == pytest.approx(41 / 42, abs=1e-4)


@pytest.mark.parametrize(
    "answer",
    [
        '{"category": "refund", "prior',
        "Run this:\n```python\nprint(1)\n",
        "The engine, which stands at the left of the house, is made of iron and the",
        "The engine, which stands at the left of the house, is made of ir",
    ],
)
def test_an_answer_without_its_end_is_named(answer: str) -> None:
    """Cut JSON, open blocks of code and sentences without an end are found."""
    pairs = [(f"q{n}", f"This is a whole answer that has the number {n}.") for n in range(40)]
    report = report_on(*pairs, ("x", answer))
    assert [note.line for note in report.missing_ends.rows] == [41]


def test_where_no_answer_has_an_end_none_is_missing() -> None:
    """A habit of the file is no fault of its rows."""
    pairs = [(f"q{n}", f"this is a long answer without a full stop, number {n}") for n in range(40)]
    assert report_on(*pairs).missing_ends.count == 0


def test_unusual_rows_are_named() -> None:
    """Far longer prompts and damaged letters stand out."""
    pairs = [(f"What is the number of {n}?", f"It is {n}.") for n in range(60)]
    pairs += [("What? " * 2_000, "It is."), ("CafÃ© au lait?", "It is.")]
    found = {note.line: note.what for note in report_on(*pairs).unusual.rows}
    assert set(found) == {61, 62}
    assert "damaged" in found[62]


def test_another_language_is_named() -> None:
    """Rows in a language of few are named; the mix is told with its n."""
    english = "Could you please tell me when my parcel from the shop will arrive at home"
    german = "Könnten Sie mir bitte sagen, wann mein Paket aus dem Geschäft zu Hause ankommt"
    pairs = [(f"{english}, number {n}?", "It arrives tomorrow.") for n in range(60)]
    report = report_on(*pairs, (f"{german}?", "Es kommt morgen an."))
    assert [(note.line, note.what) for note in report.languages.minority.rows] == [(61, "de")]
    assert report.languages.looked_at == 61


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("write to jane.doe@acme-corp.com", "email address"),
        ("card 4539 1488 0343 6467 please", "payment card"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN"),
        ("SSN 536-90-4399", "US social security number"),
        ("call +49 170 1234567 now", "telephone number"),
        ("token eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "JSON web token"),
    ],
)
def test_personal_data_and_tokens_are_recognised(text: str, name: str) -> None:
    """Each pattern finds its kind."""
    assert name in patterns_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "write to user@example.com",
        "order 4539148803436460 is late",
        "my password is forgotten again",
        "api_key = YOUR_API_KEY_HERE1",
        "password: ********",
        "order GL-33372, invoice 2024-11-05, 17:45",
        "ratio 3.14159 26535 and 1,000,000,000",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    """Placeholders, order numbers and plain words are no secrets."""
    assert patterns_in(text) == []


def test_the_rules_of_planning_tell_the_steps() -> None:
    """Steps are those of a job on these rows, of which some are held out."""
    rows = [(f"question {number}", f"answer {number}") for number in range(105)]
    found = report_on(*rows).estimated_steps
    assert found == Steps(n_epochs=10, batch_size=4, steps=240)


def test_too_few_rows_for_a_job_tell_no_steps() -> None:
    """Nothing would be left to train on."""
    assert report_on(("a", "b")).estimated_steps is None


def test_the_page_needs_nothing_and_escapes_everything() -> None:
    """Answers from a file cannot become part of the page."""
    evil = "<script>alert(1)</script>"
    page = render_page(report_on(*((f"q{n}", evil if n % 2 else "no") for n in range(40))))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http:" not in page
    assert "https:" not in page
    assert "<svg" in page


def test_a_label_that_is_a_persons_data_is_not_repeated() -> None:
    """A report never says the value, wherever it stands."""
    address = "jane.doe@acme-corp.com"
    report = report_on(*((f"q{n}", address if n % 2 else "nobody") for n in range(40)))
    assert report.labels is not None
    assert address not in f"{report}{render_page(report)}"
