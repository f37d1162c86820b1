"""Every page that Graftline writes, and a browser to look at them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from evals.report.page import as_html
from examples.demo import report as demo_report
from registry.inspection.page import render_page
from registry.settings import Settings
from registry.store import open_store
from tests.browser import Browser, running_browser
from tests.database_template import prepare
from tests.unit.pages import hostile


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run one browser for all pages."""
    with running_browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write every page, made of hostile words, and return the files by name."""
    folder = tmp_path_factory.mktemp("pages")
    prepare(folder / "data")
    settings = Settings(data_dir=folder / "data")
    store = await open_store(settings)
    try:
        facts = await hostile.evaluation(store, settings)
    finally:
        await store.close()
    files = {name: folder / f"{name}.html" for name in ("evaluation", "data", "demo")}
    files["evaluation"].write_bytes(as_html(facts))
    files["data"].write_text(render_page(hostile.data_report()), "utf-8")
    demo_report.write(files["demo"], hostile.demo_run(facts), seconds=200)
    return files
