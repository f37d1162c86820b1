"""The page `docs/benchmarks.md` on disk: one section replaced, the others left alone.

It refuses to know what a section says.
"""

from pathlib import Path

from tests.benchmarks.serving.report import TITLE, with_section

PAGE = Path("docs") / "benchmarks.md"


def write_section(title: str, text: str) -> None:
    """Write a section into the page, and the page if there is none."""
    page = PAGE.read_text("utf-8") if PAGE.exists() else TITLE
    PAGE.write_text(with_section(page, title, text), "utf-8")
