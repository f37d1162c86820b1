"""Every page as a real browser shows it, made of words that attack it."""

from pathlib import Path

import pytest

from tests.browser import Browser, Page
from tests.unit.pages.hostile import SCRIPTS

AUDIT = Path(__file__).with_name("audit.js")
PAGES = ("evaluation", "data", "demo")
PHONE, DESK = 390, 1280
PARTS = {
    "evaluation": (
        "Adapter minus the others, row by row",
        "Loss while training",
        "By segment: exact match",
        "Rows, the lost ones first",
        "To do the same again",
    ),
    "data": (
        "Findings",
        "Tokens by row",
        "Repeats and contradictions",
        "Secrets and personal data",
    ),
    "demo": ("Summary", "Training", "Live traffic", "Answers, row by row"),
}


@pytest.fixture(scope="module", params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    """Return a page's name."""
    return str(request.param)


@pytest.fixture(scope="module")
def page(name: str, pages: dict[str, Path], browser: Browser) -> Page:
    """Return the page, open, on a desk, with everything folded out."""
    opened = _opened(browser, pages[name])
    opened.run("document.querySelectorAll('details').forEach(one => { one.open = true })")
    return opened


def _opened(browser: Browser, file: Path) -> Page:
    page = browser.page()
    page.shape(DESK)
    page.open(file)
    page.run(AUDIT.read_text("utf-8"))
    return page


def test_nothing_runs_and_nothing_is_fetched(page: Page, pages: dict[str, Path], name: str) -> None:
    """No words of a row become part of the page, and the console says nothing."""
    assert page.run("audit.runsOrFetches()") == []
    assert page.seen.requests == [pages[name].as_uri()]
    assert page.seen.complaints == []


def test_the_words_are_there(page: Page) -> None:
    """What would run is shown as it was written."""
    told = page.run("document.body.textContent")
    assert SCRIPTS[0] in told
    assert "{{ 7 * 7 }}" in told or "evil.example" not in told


def test_the_main_parts_are_there(page: Page, name: str) -> None:
    """Each page has the headings that its readers look for."""
    found = page.run("audit.titles()")
    assert [part for part in PARTS[name] if part not in found] == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_sticks_out(page: Page, width: int) -> None:
    """On a phone and on a desk the page fits its window."""
    page.shape(width)
    assert page.run("audit.sticksOut()") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_legible(page: Page, scheme: str) -> None:
    """In light and in dark colours every text stands out from its ground."""
    page.shape(DESK, scheme=scheme)
    assert page.run("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    assert page.run("audit.isHardToRead()") == []


def test_everything_has_a_name(page: Page) -> None:
    """Headings come in order, tables have headers, pictures have words."""
    page.shape(DESK)
    assert page.run("audit.lacksAName()") == []


def test_rows_can_be_chosen(pages: dict[str, Path], browser: Browser) -> None:
    """A choice shows the rows of one standing, without any script."""
    page = _opened(browser, pages["evaluation"])
    page.run("document.querySelector('input[value=won]').click()")
    shown = page.run("audit.standings()")
    assert shown
    assert set(shown) == {"won"}
