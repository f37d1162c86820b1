"""Malformed files: each is refused with its line, what is wrong, and the remedy."""

from pathlib import Path

import pytest

from registry.chatdata import MAX_LINE_BYTES
from registry.errors import InvalidData
from registry.formats.reading import check_file
from tests.malformed.expected import EXPECTED

FILES = Path(__file__).parents[2] / "malformed" / "files"
_LONGEST_MESSAGE = 6_000


@pytest.mark.parametrize("name", EXPECTED)
def test_a_malformed_file_is_refused_with_line_and_remedy(name: str) -> None:
    """The first fault names its line and says what is wrong and what to do."""
    line, words = EXPECTED[name]
    with pytest.raises(InvalidData) as caught:
        check_file(FILES / name, name)
    first = caught.value.faults[0]
    assert words in str(first)
    assert first.line == line
    assert first.remedy.endswith((".", "FILE."))
    assert len(str(caught.value)) < _LONGEST_MESSAGE


def test_every_stored_file_is_expected() -> None:
    """There are at least fifty, and nobody forgot one."""
    assert {path.name for path in FILES.iterdir()} == set(EXPECTED)
    assert len(EXPECTED) >= 50


def test_a_line_of_five_megabytes_is_refused(tmp_path: Path) -> None:
    """A line that is too long is named and not held in memory whole."""
    path = tmp_path / "long.jsonl"
    path.write_bytes(b'{"prompt": "' + b"x" * (5 << 20) + b'", "completion": "y"}\n')
    with pytest.raises(InvalidData, match=f"line 1: The line has {MAX_LINE_BYTES + 1} bytes"):
        check_file(path, path.name)
