"""The service process does without what others import for its own sake."""

import subprocess
import sys

from service.__main__ import UNNEEDED
from tests.service_process import ROOT

_START = """
import sys
from registry.unneeded import hide
from service.__main__ import UNNEEDED
hide(*UNNEEDED)
import service.process, alembic.command
print(sorted(set(UNNEEDED) & set(sys.modules)))
"""


def test_the_process_starts_without() -> None:
    """Nothing that it imports brings them in, or needs them."""
    assert UNNEEDED
    done = subprocess.run(
        [sys.executable, "-c", _START], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
