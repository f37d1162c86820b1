"""A report as one HTML page that needs nothing else: no script, no network, every word escaped.

It refuses to know how anything was found.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from registry.inspection import plots
from registry.inspection.findings import name_lines
from registry.inspection.records import (
    AnswerFormat,
    Exposed,
    Labels,
    Notes,
    Pairs,
    Report,
    Tokens,
)

_MAX_ROWS = 100
_MAX_BARS = 20
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;
color:#1c2530}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #d7dde4;padding:.25rem .6rem .25rem 0;text-align:left;
vertical-align:top;overflow-wrap:anywhere}
svg{max-width:40rem;width:100%;font:12px system-ui,sans-serif;fill:#1c2530}.bar{fill:#3b6fb6}
.mark{stroke:#b3372c;stroke-width:2}.warn{color:#b3372c;font-weight:600}.info{color:#56616e}
p.quiet{color:#56616e}
"""


def render_page(report: Report) -> str:
    """Return the page of a report."""
    beside = f", beside {report.validation_file}" if report.validation_file else ""
    title = f"Data report: {report.file}{beside}"
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{report.rows:,} rows, read as {escape(report.format)}.</p>",
        *_findings(report),
        *_tokens(report.tokens, report.tokens_absent),
        *_likeness(report),
        *_labels(report.labels),
        *_answers(report.answers),
        *_notes("Answers that seem cut off", report.missing_ends),
        *_notes("Unusual rows", report.unusual),
        *_languages(report),
        *_exposed("Secrets", report.secrets),
        *_exposed("Personal data", report.personal_data),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _findings(report: Report) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    if not report.findings:
        yield "<p>Nothing stands out.</p>"
        return
    yield _table(
        ("", "what"),
        ((finding.level, finding.message) for finding in report.findings),
        classes=[finding.level for finding in report.findings],
    )


def _tokens(tokens: Tokens | None, absent: str | None) -> Iterator[str]:
    yield "<h2>Tokens by row</h2>"
    if tokens is None:
        yield f"<p>Unknown. {escape(absent or '')}</p>"
        return
    bars = [(f"{bin_.start:,}–{bin_.end - 1:,}", bin_.rows) for bin_ in tokens.histogram]
    end = tokens.histogram[-1].end if tokens.histogram else 1
    yield plots.columns("Rows by tokens", bars, tokens.max_length / end)
    told = ", ".join(f"{name} {value:,}" for name, value in tokens.percentiles.items())
    yield f"<p>{tokens.total:,} tokens, {tokens.mean:,.1f} a row in the mean; {told}.</p>"
    yield (
        f"<p>Longest row that is trained on whole: {tokens.max_length:,} tokens. Truncated: "
        f"{tokens.truncated.count:,}. Dropped: {tokens.dropped.count:,}. Refused by the chat "
        f"template: {tokens.refused.count:,}.</p>"
    )


def _likeness(report: Report) -> Iterator[str]:
    yield from _pairs("Duplicates", "earlier line", report.duplicates)
    yield from _pairs("Near-duplicates", "earlier line", report.near_duplicates)
    found = report.contradictions
    if found.count:
        yield f"<h2>Contradictions: {found.count:,} rows</h2>"
        groups = found.groups[:_MAX_ROWS]
        yield _table(("answers", "lines"), ((str(g.answers), name_lines(g.lines)) for g in groups))
    if report.looked_at < report.rows:
        yield f"<p class=quiet>The first {report.looked_at:,} rows were looked at.</p>"
    if report.compared < report.rows:
        yield f"<p class=quiet>Likeness was looked for in {report.compared:,} different rows.</p>"
    leakage = report.leakage
    if leakage is not None:
        yield f"<p>Validation rows compared: {leakage.validation_rows:,}.</p>"
        yield from _pairs("Leaked rows", "validation line", leakage.exact)
        yield from _pairs("Leaked prompts", "validation line", leakage.same_prompt)
        yield from _pairs("Nearly leaked prompts", "validation line", leakage.near)


def _labels(labels: Labels | None) -> Iterator[str]:
    if labels is None:
        return
    yield f"<h2>Labels: {len(labels.answers)} different answers, balance {labels.balance:.2f}</h2>"
    yield plots.rows(
        "Rows by answer", [(label.answer, label.rows) for label in labels.answers[:_MAX_BARS]]
    )


def _answers(answers: AnswerFormat) -> Iterator[str]:
    if not answers.json_share:
        return
    yield f"<h2>JSON answers: {100 * answers.json_share:.1f} %</h2>"
    sets = answers.key_sets[:_MAX_BARS]
    yield _table(("rows", "fields"), ((f"{s.rows:,}", ", ".join(s.keys)) for s in sets))
    yield from _notes("Answers in another format than most", answers.odd)


def _languages(report: Report) -> Iterator[str]:
    found = report.languages
    yield f"<h2>Languages of {found.looked_at:,} rows</h2>"
    if not found.looked_at:
        yield "<p>Unknown: no row has enough letters for a guess.</p>"
    yield plots.rows(
        "Rows by language", [(entry.language, entry.rows) for entry in found.languages[:_MAX_BARS]]
    )


def _exposed(title: str, found: Sequence[Exposed]) -> Iterator[str]:
    if found:
        yield f"<h2>{title}, by pattern</h2>"
        rows = ((e.pattern, f"{e.count:,}", name_lines(e.lines, e.count)) for e in found)
        yield _table(("pattern", "rows", "lines"), rows)


def _pairs(title: str, other: str, pairs: Pairs) -> Iterator[str]:
    if pairs.count:
        yield f"<h2>{title}: {pairs.count:,} rows</h2>"
        shown = pairs.pairs[:_MAX_ROWS]
        rows = ((str(p.line), str(p.like), f"{p.similarity:.2f}") for p in shown)
        yield _table(("line", other, "similarity"), rows)


def _notes(title: str, notes: Notes) -> Iterator[str]:
    if notes.count:
        yield f"<h2>{title}: {notes.count:,}</h2>"
        rows = ((str(note.line), note.what) for note in notes.rows[:_MAX_ROWS])
        yield _table(("line", "what"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], classes: Sequence[str] = ()) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = [f"<table><tr>{head}</tr>"]
    for index, row in enumerate(rows):
        kind = f' class="{escape(classes[index])}"' if classes else ""
        first, *rest = (escape(cell) for cell in row)
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        lines.append(f"<tr><td{kind}>{first}</td>{cells}</tr>")
    return "".join([*lines, "</table>"])
