"""The reports: a page, a table and a document, made of hostile words too."""

import csv
import io
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from evals.report.browsing import MAX_LOST, MAX_OTHERS, BrowsedRow, Standing, select
from evals.report.document import as_json
from evals.report.facts import Facts, losses_of
from evals.report.page import as_html
from evals.report.table import as_csv
from evals.reporting import Reporter
from evals.results import Results
from registry.records import AdapterVersion, Evaluation, JobEvent
from registry.reports import ReportFormat, report_path
from registry.settings import Settings
from registry.store import Store
from tests.fakes.fake_service import FakeService
from tests.unit.evals import setting

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
REACHING = frozenset({"src", "href", "action", "style"})
VOID = frozenset({"meta", "img", "br", "hr", "link", "input", "circle", "line", "polyline", "rect"})


class Strict(HTMLParser):
    """Refuses tags that do not close in order, and collects what a page could fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.reaching: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.seen.append(tag)
        for name, value in attrs:
            is_within = name == "href" and (value or "").startswith("#")
            if name.startswith("on") or (name in REACHING and not is_within):
                self.reaching.append(f"{tag} {name}={value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost tag."""
        assert self.open.pop() == tag


@pytest.fixture
async def adapter(store: Store) -> AdapterVersion:
    """Return a ready adapter."""
    return await setting.add_adapter(store)


def _rows() -> list[dict[str, Any]]:
    rows = [setting.row(number) | {"segment": f"half {number % 2}"} for number in range(30)]
    rows[3]["messages"][0]["content"] = EVIL
    return rows


@pytest.fixture
async def concluded(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> tuple[Evaluation, Results]:
    """Return an evaluation whose models and rows say what a browser might run."""
    await setting.add_file(store, settings, setting.HELDOUT, _rows())
    await setting.add_file(store, settings, setting.TRAINING, map(setting.row, range(1000, 1040)))
    evaluation = await setting.add_evaluation(store, options={"suites": ["behaviour"]})
    service = FakeService(
        speak=lambda model, prompt: (
            setting.right_if(setting.ADAPTER)(model, prompt) if "ticket" in prompt else EVIL
        )
    )
    async with setting.runner(service, store, settings, concurrency=16) as runner:
        return evaluation, await runner.run(evaluation, adapter)


async def _written(
    store: Store, settings: Settings, adapter: AdapterVersion, concluded: tuple[Evaluation, Results]
) -> dict[ReportFormat, bytes]:
    evaluation, results = concluded
    reporter = Reporter(store, settings.exam_reports_dir)
    await reporter.write(evaluation, adapter, results, finished_at=1_700_000_000)
    return {
        kind: report_path(settings.exam_reports_dir, evaluation.id, kind).read_bytes()
        for kind in ReportFormat
    }


async def test_reports_of_one_evaluation(
    store: Store,
    settings: Settings,
    adapter: AdapterVersion,
    concluded: tuple[Evaluation, Results],
) -> None:
    """The page runs and fetches nothing; the table has every answer; the document the figures."""
    written = await _written(store, settings, adapter, concluded)
    page = written[ReportFormat.HTML].decode()
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert parser.reaching == []
    assert not {"script", "img", "link", "iframe", "object"} & set(parser.seen)
    assert "&lt;script&gt;alert(1)" in page
    assert "The adapter is better than everything it was compared with." in page
    assert parser.seen.count("svg") >= 4
    answers = list(csv.DictReader(io.StringIO(written[ReportFormat.CSV].decode())))
    assert len(answers) == 30 * 3 + 60 * 2
    assert {row["segment"] for row in answers if row["suite"] == "heldout"} == {"half 0", "half 1"}
    document = json.loads(written[ReportFormat.JSON])
    assert document["evaluation"]["verdict"] == "go"
    assert document["adapter"]["manifest_sha256"] == "0"
    assert document["results"] == json.loads(json.dumps(concluded[1].content))


async def test_figures_of_a_whole_suite_are_on_the_page(
    store: Store,
    settings: Settings,
    adapter: AdapterVersion,
    concluded: tuple[Evaluation, Results],
) -> None:
    """BLEU of all rows together, by arm, and the adapter's differences in it."""
    content = concluded[1].content
    figures = {"low": 0.1234, "high": 0.5678, "n": 30, "method": "resampled"}
    content["arms"]["adapter"]["corpus_bleu"] = figures | {"mean": 0.4321}
    content["corpus_differences"] = [
        {"metric": "corpus_bleu", "baseline": "base", "estimate": figures | {"mean": 0.2468}}
    ]
    written = await _written(store, settings, adapter, concluded)
    page = written[ReportFormat.HTML].decode()
    assert "corpus BLEU" in page
    assert "0.432 [0.123, 0.568]" in page
    assert "+0.247 [+0.123, +0.568]" in page


async def test_a_report_without_losses_says_so(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """The page is whole, and no figure that needs losses is on it."""
    await setting.add_file(store, settings, setting.HELDOUT, _rows())
    await setting.add_file(store, settings, setting.TRAINING, map(setting.row, range(1000, 1040)))
    options = {"suites": ["training", "behaviour"], "measure_loss": False}
    evaluation = await setting.add_evaluation(store, options=options)
    service = FakeService(speak=setting.right_if(setting.ADAPTER))
    async with setting.runner(service, store, settings, concurrency=16) as runner:
        results = await runner.run(evaluation, adapter)
    written = await _written(store, settings, adapter, (evaluation, results))
    page = written[ReportFormat.HTML].decode()
    assert "The losses are not measured, as the request has it." in page
    assert "nats" not in page
    assert b",loss" not in written[ReportFormat.CSV].splitlines()[0]


async def test_a_refused_verdict_has_a_report(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Where too many rows failed the page says so and shows what is there."""
    await setting.add_file(store, settings, setting.HELDOUT, map(setting.row, range(30)))
    await setting.add_file(store, settings, setting.TRAINING, map(setting.row, range(1000, 1040)))
    evaluation = await setting.add_evaluation(store)
    service = FakeService(speak=setting.right_if(setting.ADAPTER), refuse="ticket 1")
    async with setting.runner(service, store, settings) as runner:
        results = await runner.run(evaluation, adapter)
    written = await _written(store, settings, adapter, (evaluation, results))
    page = written[ReportFormat.HTML].decode()
    assert "No verdict: too many rows could not be scored." in page
    assert json.loads(written[ReportFormat.JSON])["evaluation"]["refusal"] == "too_many_unscored"


async def test_a_report_that_fails_costs_no_verdict(
    store: Store, settings: Settings, adapter: AdapterVersion
) -> None:
    """Results that no page can be made of are named in the log, and nothing is raised."""
    evaluation = await setting.add_evaluation(store)
    decision: Any = type("Decision", (), {"verdict": "go"})()
    reporter = Reporter(store, settings.exam_reports_dir)
    broken = Results(decision=decision, content={})
    await reporter.write(evaluation, adapter, broken, finished_at=1)
    assert not report_path(settings.exam_reports_dir, evaluation.id, ReportFormat.HTML).exists()


def _facts(answers: list[Any], adapter: AdapterVersion, evaluation: Evaluation) -> Facts:
    return Facts(evaluation=evaluation, adapter=adapter, job=None, losses=[], answers=answers)


async def test_a_spreadsheet_runs_no_answer(store: Store, adapter: AdapterVersion) -> None:
    """An answer that looks like a formula is a text; a negative number stays one."""
    evaluation = await setting.add_evaluation(store)
    outputs = ["=1+1", "-5", "@x", "plain"]
    answers = [
        setting.answer_row(evaluation.id, number, output) for number, output in enumerate(outputs)
    ]
    found = csv.DictReader(io.StringIO(as_csv(_facts(answers, adapter, evaluation)).decode()))
    assert [row["output"] for row in found] == ["'=1+1", "-5", "'@x", "plain"]


def _event(step: int, **data: Any) -> JobEvent:
    return JobEvent(
        id=f"e{step}", job_id="j", created_at=1, level="info", message="", type="metrics",
        data={"step": step, **data},
    )  # fmt: skip


def test_curves_come_from_events() -> None:
    """Events of one step are one point, in the order of the steps; none without a loss."""
    events = [_event(2, train_loss=0.5), _event(1, train_loss=1), _event(2, valid_loss=0.7)]
    points = losses_of([*events, _event(3, tokens=1)])
    assert [(p.step, p.train_loss, p.valid_loss) for p in points] == [
        (1, 1, None),
        (2, 0.5, 0.7),
    ]


def _browsed(row: int, standing: Standing, *, characters: int = 1) -> BrowsedRow:
    return BrowsedRow(
        row=row,
        segment=None,
        prompt="x" * characters,
        target="",
        standing=standing,
        gain=-1.0 if standing is Standing.LOST else 0.0,
        answers=[],
    )


def test_lost_rows_come_first_and_every_standing_has_some() -> None:
    """Of 2,000 rows some of each standing are shown, and all are counted."""
    order = [Standing.WON, Standing.LEVEL, Standing.LOST, Standing.UNSCORED]
    found = select("m", [_browsed(number, order[number % 4]) for number in range(2_000)])
    shown = [row.standing for row in found.rows]
    assert shown[0] is Standing.LOST
    assert {standing: shown.count(standing) for standing in Standing} == {
        Standing.LOST: MAX_LOST,
        Standing.UNSCORED: MAX_OTHERS,
        Standing.LEVEL: MAX_OTHERS,
        Standing.WON: MAX_OTHERS,
    }
    assert found.counts == {"lost": 500, "unscored": 500, "level": 500, "won": 500}


def test_long_rows_do_not_swell_the_page() -> None:
    """What is shown has a bound in characters, and what does not fit is counted."""
    found = select("m", [_browsed(n, Standing.LOST, characters=50_000) for n in range(90)])
    assert len(found.rows) == 24
    assert found.total == 90


def test_the_document_needs_no_job(adapter: AdapterVersion) -> None:
    """An imported adapter has no job, and its report says so."""
    evaluation = setting.evaluation_record()
    document = json.loads(as_json(_facts([], adapter, evaluation)))
    assert (document["job"], document["losses"]) == (None, [])


def test_a_page_needs_results(adapter: AdapterVersion) -> None:
    """A page of nothing is refused instead of drawn empty."""
    with pytest.raises(KeyError):
        as_html(_facts([], adapter, setting.evaluation_record()))
