"""What a training does without is not found by the libraries that would import it."""

import subprocess
import sys

import pytest

_FOUND = """
import sys
from importlib.util import find_spec
from registry.training_options import Technique
from trainer.unneeded import hide_unneeded
hide_unneeded(Technique(sys.argv[1]))
print([name for name in ("bitsandbytes", "scipy", "sklearn", "torch") if find_spec(name)])
"""


@pytest.mark.parametrize(
    ("technique", "found"),
    [("lora", "['torch']"), ("full", "['torch']"), ("qlora", "['bitsandbytes', 'torch']")],
)
def test_only_4_bits_find_the_quantisation(technique: str, found: str) -> None:
    """Quantisation is there for QLoRA alone, and what only generates for nobody."""
    command = [sys.executable, "-c", _FOUND, technique]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == found
