"""Rows that were trained on, found again."""

from evals.findings.leakage import search
from registry.chatdata import Row


def _row(line: int, said: str, answer: str = "yes", system: str | None = None) -> Row:
    messages = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return Row(line=line, messages=messages)


LONG = "please tell me when the next train to the harbour leaves from platform two today"


def test_the_same_row_is_exact_whatever_its_case_and_spacing() -> None:
    """Capitals and blanks hide nothing, nor does another instruction."""
    trained = [_row(7, f"  {LONG.upper()} ", system="Be brief.")]
    found = search(trained, {3: _row(1, LONG), 4: _row(2, "something else")})
    assert (found.exact, found.near) == ([3], [])
    assert found.shown[0].training_line == 7


def test_a_word_changed_is_near() -> None:
    """A long row with one word changed shares more than four fifths of its pieces."""
    words = [f"word{number}" for number in range(40)]
    changed = [*words[:-1], "another"]
    found = search([_row(9, " ".join(changed))], {0: _row(1, " ".join(words))})
    assert (found.exact, found.near) == ([], [0])
    assert 0.8 <= found.shown[0].similarity < 1


def test_half_a_row_is_no_leak() -> None:
    """What two rows have in common by half is chance, or their template."""
    words = [f"word{number}" for number in range(40)]
    found = search([_row(9, " ".join(words[:20]))], {0: _row(1, " ".join(words))})
    assert found.rows == frozenset()


def test_the_same_question_with_another_answer_is_no_exact_leak() -> None:
    """What was learned is question and answer together."""
    found = search([_row(1, "how much", "five")], {0: _row(1, "how much", "six")})
    assert found.exact == []


def test_every_copy_is_counted() -> None:
    """An examined row that occurs twice leaked twice."""
    found = search([_row(1, LONG)], {0: _row(1, LONG), 1: _row(2, LONG)})
    assert (found.exact, found.examined, found.trained) == ([0, 1], 2, 1)


def test_completions_are_rows_too() -> None:
    """Prompt and completion together are what is compared."""
    one = Row(line=1, prompt="a b c d", completion="e f")
    assert search([one], {0: one}).exact == [0]


def test_what_one_instruction_has_in_common_is_no_leak() -> None:
    """A long system message shared by both files makes no rows alike."""
    system = "You are a helpful assistant for a railway company. " * 5
    found = search([_row(1, "first words", "a", system)], {0: _row(1, "other talk", "b", system)})
    assert found.rows == frozenset()


def test_an_exhaustive_search_finds_no_more() -> None:
    """The index of rare runs misses nothing that comparing every pair would find."""
    words = [f"w{number}" for number in range(12)]
    rows = {
        n: _row(n, " ".join(words[(n * k) % 12] for k in range(1, 30)), "ok") for n in range(60)
    }
    trained = [
        _row(100 + n, " ".join(words[(n * k) % 12] for k in range(1, 31)), "ok") for n in range(60)
    ]
    found = search(trained, rows)
    alone = {number for number, each in rows.items() if search(trained, {number: each}).rows}
    assert found.rows == alone
    assert found.near
