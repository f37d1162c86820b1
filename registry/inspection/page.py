"""A report as one HTML page that needs nothing else: no script, no network, every word escaped.

It refuses to know how anything was found.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Template

from registry.inspection.findings import name_lines
from registry.inspection.records import (
    Bin,
    Exposed,
    Labels,
    Languages,
    Notes,
    Pairs,
    Report,
    Tokens,
)
from registry.pages import charts
from registry.pages.charts import Histogram
from registry.pages.frame import templates
from registry.pages.lanes import Bar, bars
from registry.records import Record

_MAX_ROWS = 100
_MAX_BARS = 20


class Part(Record, frozen=True, kw_only=True):
    """One list of rows that stand out."""

    title: str
    """What was found."""
    count: int
    """How many rows."""
    heads: tuple[str, ...]
    """Names of the columns."""
    rows: Sequence[Sequence[str]]
    """The first of them."""


def render_page(report: Report) -> str:
    """Return the page of a report."""
    return _template().render(
        report=report,
        headline=_headline(report),
        warnings=sum(finding.level == "warn" for finding in report.findings),
        tokens=None if report.tokens is None else _histogram(report.tokens),
        likeness=_likeness(report),
        leakage=_leakage(report),
        labels=_labels(report.labels),
        key_sets=report.answers.key_sets[:_MAX_BARS],
        formats=_notes("Answers in another format than most", report.answers.odd),
        oddities=[
            *_notes("Answers that seem cut off", report.missing_ends),
            *_notes("Unusual rows", report.unusual),
        ],
        languages=_languages(report.languages),
        exposed=[
            *_exposed("Secrets, by pattern", report.secrets),
            *_exposed("Personal data, by pattern", report.personal_data),
        ],
    )


@cache
def _template() -> Template:
    return templates(Path(__file__).parent).get_template("page.html.j2")


def _headline(report: Report) -> str:
    """Return the file's state in one sentence."""
    asking = [finding for finding in report.findings if finding.level == "warn"]
    if not asking:
        return "Nothing stands out in these rows."
    things = "One thing asks" if len(asking) == 1 else f"{len(asking)} things ask"
    return f"{things} for attention before these rows are trained on."


def _histogram(tokens: Tokens) -> Histogram | None:
    return charts.histogram([_column(each) for each in tokens.histogram], mark=tokens.max_length)


def _column(found: Bin) -> charts.Bin:
    words = f"{found.start:,}–{found.end - 1:,} tokens"
    return charts.Bin(start=found.start, end=found.end, count=found.rows, label=words)


def _likeness(report: Report) -> list[Part]:
    found = report.contradictions
    groups = [(str(each.answers), name_lines(each.lines)) for each in found.groups[:_MAX_ROWS]]
    contradictions = Part(
        title="Contradictions", count=found.count, heads=("answers", "lines"), rows=groups
    )
    return [
        *_pairs("Duplicates", "earlier line", report.duplicates),
        *_pairs("Near-duplicates", "earlier line", report.near_duplicates),
        *([contradictions] if found.count else []),
    ]


def _leakage(report: Report) -> list[Part]:
    found = report.leakage
    if found is None:
        return []
    return [
        *_pairs("Leaked rows", "validation line", found.exact),
        *_pairs("Leaked prompts", "validation line", found.same_prompt),
        *_pairs("Nearly leaked prompts", "validation line", found.near),
    ]


def _labels(labels: Labels | None) -> list[Bar]:
    known = [] if labels is None else labels.answers[:_MAX_BARS]
    return bars([(label.answer, label.rows) for label in known])


def _languages(languages: Languages) -> list[Bar]:
    return bars([(each.language, each.rows) for each in languages.languages[:_MAX_BARS]])


def _exposed(title: str, found: Sequence[Exposed]) -> list[Part]:
    if not found:
        return []
    rows = [(each.pattern, f"{each.count:,}", name_lines(each.lines, each.count)) for each in found]
    count = sum(each.count for each in found)
    return [Part(title=title, count=count, heads=("pattern", "rows", "lines"), rows=rows)]


def _pairs(title: str, other: str, pairs: Pairs) -> list[Part]:
    if not pairs.count:
        return []
    shown = pairs.pairs[:_MAX_ROWS]
    rows = [(str(each.line), str(each.like), f"{each.similarity:.2f}") for each in shown]
    return [Part(title=title, count=pairs.count, heads=("line", other, "similarity"), rows=rows)]


def _notes(title: str, notes: Notes) -> list[Part]:
    if not notes.count:
        return []
    rows = [(str(note.line), note.what) for note in notes.rows[:_MAX_ROWS]]
    return [Part(title=title, count=notes.count, heads=("line", "what"), rows=rows)]
