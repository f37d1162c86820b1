"""A report in sentences: what was found, where, and what to do.

It refuses to know rows.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from registry.inspection.records import (
    Exposed,
    Finding,
    Leakage,
    Lines,
    Notes,
    Pairs,
    Report,
    Tokens,
)

LINES_NAMED = 20
"""Most lines that one sentence names."""
_UNBALANCED = 0.5
_PLACES = {
    "leakage": 0,
    "secrets": 1,
    "dropped": 2,
    "refused": 2,
    "truncated": 3,
    "contradictions": 4,
}
_LAST_PLACE = 9


def findings_of(report: Report) -> list[Finding]:
    """Return the sentences of a report, what matters most first."""
    found = [
        *_of_leakage(report.leakage),
        *_of_exposure(report.secrets, "secrets"),
        *_of_exposure(report.personal_data, "personal_data"),
        *_of_tokens(report.tokens),
        *_of_repeats(report),
        *_of_answers(report),
        *_of_notes(
            "missing_ends", report.missing_ends, "Answers that seem cut off", "Complete them."
        ),
        *_of_notes("unusual", report.unusual, "Rows unlike the others", "Look at them."),
        *_of_languages(report),
    ]
    return sorted(found, key=lambda finding: _PLACES.get(finding.kind, _LAST_PLACE))


def name_lines(lines: Sequence[int], count: int | None = None) -> str:
    """Return `line 3` or `lines 3, 5 and 7 more`, naming the first `LINES_NAMED`.

    Args:
        lines: The lines that are known.
        count: How many there are, where not all are known.
    """
    number = len(lines) if count is None else count
    named = ", ".join(str(line) for line in lines[:LINES_NAMED])
    rest = number - min(len(lines), LINES_NAMED)
    more = f" and {rest} more" if rest > 0 else ""
    return f"{'lines' if number > 1 else 'line'} {named}{more}"


def _finding(
    kind: str, lines: Sequence[int], count: int, what: str, remedy: str = "", *, level: str = "warn"
) -> Finding:
    shown: Literal["info", "warn"] = "warn" if level == "warn" else "info"
    text = f"{what}: {count} ({name_lines(lines, count)}). {remedy}"
    return Finding(kind=kind, level=shown, count=count, message=text.strip(), lines=list(lines))


def _of_pairs(kind: str, pairs: Pairs, what: str, remedy: str) -> Iterator[Finding]:
    if pairs.count:
        yield _finding(kind, [pair.line for pair in pairs.pairs], pairs.count, what, remedy)


def _of_lines(kind: str, lines: Lines, what: str, remedy: str) -> Iterator[Finding]:
    if lines.count:
        yield _finding(kind, lines.lines, lines.count, what, remedy)


def _of_notes(kind: str, notes: Notes, what: str, remedy: str) -> Iterator[Finding]:
    if notes.count:
        yield _finding(kind, [note.line for note in notes.rows], notes.count, what, remedy)


def _of_leakage(leakage: Leakage | None) -> Iterator[Finding]:
    if leakage is None:
        return
    remedy = "Take them out of one side: an exam on them proves nothing."
    yield from _of_pairs(
        "leakage", leakage.exact, "Rows that also stand among the validation rows", remedy
    )
    what = "Rows with a prompt that also stands among the validation rows"
    yield from _of_pairs("leakage", leakage.same_prompt, what, remedy)
    what = "Rows with nearly the same prompt as a validation row"
    yield from _of_pairs("leakage", leakage.near, what, remedy)


def _of_exposure(found: Sequence[Exposed], kind: str) -> Iterator[Finding]:
    remedy = "Remove it: a model may repeat what it learnt."
    for entry in found:
        word = "a secret" if kind == "secrets" else "a person's data"
        what = f"Rows with what looks like {word} ({entry.pattern})"
        yield _finding(kind, entry.lines, entry.count, what, remedy)


def _of_tokens(tokens: Tokens | None) -> Iterator[Finding]:
    if tokens is None:
        return
    limit = tokens.max_length
    what = f"Rows longer than {limit} tokens, which lose their end"
    yield from _of_lines("truncated", tokens.truncated, what, "Shorten or split them.")
    what = f"Rows without an answer within {limit} tokens, which are left out"
    yield from _of_lines("dropped", tokens.dropped, what, "Shorten their prompts.")
    what = "Rows that the base model's chat template refuses"
    yield from _of_notes("refused", tokens.refused, what, "Change their roles.")


def _of_repeats(report: Report) -> Iterator[Finding]:
    what = "Rows that answer a prompt otherwise than an earlier row"
    contradictions = report.contradictions
    if contradictions.count:
        remedy = "Keep one answer, or say in the prompt what makes the difference."
        yield _finding("contradictions", contradictions.lines, contradictions.count, what, remedy)
    remedy = "They count more than others; keep one."
    yield from _of_pairs("duplicates", report.duplicates, "Rows that repeat an earlier row", remedy)
    what = "Rows that nearly repeat an earlier row"
    yield from _of_pairs("near_duplicates", report.near_duplicates, what, remedy)


def _of_answers(report: Report) -> Iterator[Finding]:
    labels = report.labels
    if labels is not None:
        what = "Answers that hardly any other row has"
        yield from _of_lines("rare_labels", labels.rare, what, "Check how they are spelt.")
        if labels.balance < _UNBALANCED:
            common = labels.answers[0]
            yield Finding(
                kind="label_balance",
                level="warn",
                count=common.rows,
                message=(
                    f"The {len(labels.answers)} different answers are out of balance: the "
                    f"commonest stands in {common.rows} of {report.rows} rows. Add rows with "
                    "the others."
                ),
                lines=[],
            )
    what = "Answers in another format than most"
    yield from _of_notes("answer_format", report.answers.odd, what, "Mend them.")


def _of_languages(report: Report) -> Iterator[Finding]:
    minority = report.languages.minority
    if minority.count:
        lines = [note.line for note in minority.rows]
        what = f"Rows in a language of few, of {report.languages.looked_at} looked at"
        yield _finding("languages", lines, minority.count, what, level="info")
