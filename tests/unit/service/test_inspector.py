"""The child process that looks at files: one for many questions, and replaced when it dies."""

from pathlib import Path

import msgspec
import psutil
import pytest

from registry.inspection.request import Answer, Request
from registry.settings import Settings
from service.inspector import Inspector

ROWS = b'{"prompt": "1+1=", "completion": "2"}\n{"prompt": "1+2=", "completion": "3"}\n'


@pytest.fixture
def request_for(tmp_path: Path, settings: Settings) -> Request:
    """Return a question about a row."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(ROWS)
    return Request(
        path=str(path), line=2, base_model=settings.base_model, max_length=64, seconds=60
    )


def children() -> set[int]:
    """Return the processes that look at files."""
    mine = psutil.Process().children()
    return {child.pid for child in mine if "registry.inspection" in child.cmdline()}


async def test_a_child_answers_many_questions_and_is_replaced(
    settings: Settings, request_for: Request
) -> None:
    """The second answer comes from the same child, the one after its death from another."""
    inspector = Inspector(settings)
    first = await inspector.ask(request_for)
    (child,) = children()
    assert await inspector.ask(request_for) == first
    assert children() == {child}
    psutil.Process(child).kill()
    assert await inspector.ask(request_for) == first
    assert children().isdisjoint({child})
    await inspector.close()
    assert children() == set()
    found = msgspec.json.decode(first, type=Answer).row
    assert found is not None
    assert found.text.startswith("1+2=3")
