"""Where supervisor's socket goes; the rest is seen in a whole life, in `test_run.py`."""

from pathlib import Path

import pytest

from service.stack.supervision import Supervision, _socket_place


def test_the_socket_lies_beside_the_configuration() -> None:
    """In a folder with a short and plain name."""
    place, temporary = _socket_place(Path("/srv/graftline"))
    assert place == Path("/srv/graftline/supervisor.sock")
    assert temporary is None


@pytest.mark.parametrize("name", ["a" * 120, "50% off", "one;two", "mine #1", "it's"])
def test_a_name_a_socket_cannot_have_is_avoided(name: str) -> None:
    """The kernel takes 107 bytes, and supervisor's file gives some signs a meaning."""
    place, temporary = _socket_place(Path("/srv") / name)
    assert temporary is not None
    assert len(str(place)) < 90
    temporary.cleanup()
    assert not place.parent.exists()


def test_stopping_what_was_never_started_is_nothing(tmp_path: Path) -> None:
    """A fault before the start leaves nothing to stop."""
    with Supervision(tmp_path, [], "python") as supervision:
        assert supervision.observe() == []
