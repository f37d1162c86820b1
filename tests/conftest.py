"""Fixtures that every test may use: settings with a folder of their own, and a real store."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from registry.settings import Settings
from registry.store import Store, open_store
from tests.database_template import prepare
from tests.vllm_server import VllmServer, running_vllm

# A loaded machine is no fault of the code: examples have no deadline.
hypothesis.settings.register_profile(
    "graftline", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("graftline")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the folders of what is installed beside the environment."""
    parser.addoption("--trackers", help="where MLflow and wandb are: see `make trackers`")
    parser.addoption("--moto", help="where moto is: see `make object-stores`")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the real stack, or the real vLLM and nothing else: each has a lane."""
    for item in items:
        used = getattr(item, "fixturenames", ())
        if "stack" in used:
            item.add_marker("stack")
        if "real_vllm" in used or item.get_closest_marker("contract") is not None:
            item.add_marker("engine")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings whose data directory is the test's own."""
    prepare(tmp_path / "data")
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Open a real SQLite store."""
    opened = await open_store(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def real_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """Run one real vLLM server for all tests that need nothing else."""
    with running_vllm(tmp_path_factory.mktemp("vllm") / "vllm.log") as server:
        yield server
