"""The evals process does without torch, and renders rows as before."""

import subprocess
import sys
from pathlib import Path

from transformers import AutoTokenizer

from evals.unneeded import GROUP
from registry.settings import embedded_base
from tests.service_process import ROOT

_START = """
import sys
from importlib.util import find_spec
from evals.unneeded import hide_unneeded
hide_unneeded()
import evals.process
from registry.settings import embedded_base
tokenizer = evals.process.AutoTokenizer.from_pretrained(embedded_base())
print("torch" in sys.modules, find_spec("torch") is None)
print(tokenizer.apply_chat_template([{"role": "user", "content": "Grüße, 日本"}])["input_ids"])
"""
_METRIC = f"[{GROUP}]\npoliteness = somewhere:Politeness\n"
_FOUND = """
from importlib.util import find_spec
from evals.unneeded import hide_unneeded
hide_unneeded()
print(find_spec("torch") is not None)
"""


def _said(program: str, *, path: Path = ROOT) -> list[str]:
    """Return the lines that a fresh interpreter writes."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.splitlines()


def test_the_process_starts_without_torch() -> None:
    """Nothing that the process imports brings torch in, and prompts are the same tokens."""
    loaded, tokens = _said(_START)
    tokenizer = AutoTokenizer.from_pretrained(embedded_base())
    message = {"role": "user", "content": "Grüße, 日本"}
    assert loaded == "False True"
    assert tokens == str(tokenizer.apply_chat_template([message])["input_ids"])


def test_a_metric_of_the_users_own_may_need_torch(tmp_path: Path) -> None:
    """Where an installed package names a metric, torch is found."""
    package = tmp_path / "polite-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: polite\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(_METRIC)
    assert _said(_FOUND) == ["False"]
    assert _said(_FOUND, path=tmp_path) == ["True"]
