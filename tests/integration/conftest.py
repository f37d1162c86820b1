"""One real stack for the whole session: vLLM, service, trainer and evals under `graftline up`."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.integration import nano_base
from tests.integration.stack import Stack, running_stack
from tests.integration.training import Trained, train

_STACK = pytest.StashKey[Stack]()


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """Return the running stack; its own end is checked too."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        request.config.stash[_STACK] = running
        yield running


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a base model of 43,000 parameters, which every trainer of the session trains."""
    folder = tmp_path_factory.mktemp("base") / "nano"
    nano_base.write(folder)
    return folder


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[OpenAI]:
    """Return the client a user has, without retries."""
    with OpenAI(base_url=f"{stack.url}/v1", api_key=stack.admin_key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="session")
def trained(stack: Stack) -> Trained:
    """Return an adapter that was trained on the example data and is served."""
    return train(stack)


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    """Return a plain HTTP client with the key."""
    headers = {"Authorization": f"Bearer {stack.admin_key}"}
    with httpx.Client(base_url=f"{stack.url}/v1", headers=headers, timeout=60) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put the last lines of every log beside a test that failed on the stack."""
    report = yield
    running = item.config.stash.get(_STACK, None)
    if running is not None and call.when == "call" and call.excinfo is not None:
        report.sections.append(("logs of the stack", running.logs()))  # type: ignore[attr-defined] # pytest's own protocol
    return report
