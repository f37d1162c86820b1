"""Plain text to read: what every Python installation contains, and everyday letters of our own.

Knows nothing of tokens; fetches nothing.
"""

import ast
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from pydoc_data.topics import topics

from examples.tinybase import stories
from examples.tinybase.words import Dice

SKIPPED = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "__pycache__"}
SHORTEST = 40
"""A docstring below so many characters teaches little."""


def documents(seed: int) -> list[str]:
    """Collect the library's docstrings, the language's help pages and letters, shuffled."""
    found = [*_docstrings(), *topics.values(), _statuses()]
    dice = Dice(seed)
    found += [stories.letter(dice) for _ in range(3000)]
    unique = list(dict.fromkeys(found))
    dice.shuffle(unique)
    return unique


def _docstrings() -> Iterator[str]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if not SKIPPED & set(path.relative_to(root).parts):
            yield from _docstrings_of(path)


def _docstrings_of(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        sys.stderr.write(f"skipped {path.name}\n")
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) >= SHORTEST:
                yield text


def _statuses() -> str:
    return "\n".join(
        f"{status.value} {status.phrase}: {status.description}" for status in HTTPStatus
    )
