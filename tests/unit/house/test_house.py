"""The house: sizes, names, and documents that tell the truth."""

import ast
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from registry.settings import Settings

ROOT = Path(__file__).parents[3]
PACKAGES = ("registry", "service", "trainer", "evals")
SOURCES = sorted(
    path
    for folder in (*PACKAGES, "tests", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if "versions" not in path.parts  # Alembic writes the migrations
)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Return every source file as Python reads it, by its name."""
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8")) for path in SOURCES}


def test_no_file_is_over_400_lines() -> None:
    """A longer file has two subjects."""
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert [str(path) for path, count in lines.items() if count > 400] == []


def test_no_function_is_over_60_lines(trees: dict[str, ast.Module]) -> None:
    """A longer function does two things."""
    long = [
        f"{name}: {node.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []


def test_a_module_says_what_it_knows(trees: dict[str, ast.Module]) -> None:
    """Every module has a docstring."""
    assert [name for name, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_what_needs_processes_lies_where_the_lanes_look() -> None:
    """`make test` looks for it in two folders, and for fast tests outside the second."""
    mark = "pytest.mark." + "integration"
    tests = ROOT / "tests"
    marked = {p for p in tests.rglob("test_*.py") if mark in p.read_text("utf-8")}
    slow = set((tests / "integration").glob("test_*.py"))
    assert marked - set((tests / "contract").glob("test_*.py")) == slow
    lines = [path.read_text("utf-8") for path in slow]
    assert all(re.search(r"^pytestmark = .*\b" + mark, text, re.MULTILINE) for text in lines)


@pytest.mark.parametrize("name", PACKAGES)
def test_an_import_name_is_ours_alone(name: str) -> None:
    """No other distribution in the environment installs a package of this name."""
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {"graftline"}


def test_the_wheel_lists_its_packages() -> None:
    """The four packages ship, the tests do not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    assert set(included) == {*(f"/{name}" for name in PACKAGES), "/examples/tiny-base"}


def test_the_tiny_base_model_is_tiny() -> None:
    """Its weights fit in six megabytes."""
    weights = ROOT / "examples" / "tiny-base" / "model.safetensors"
    assert weights.stat().st_size <= 6_000_000


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_once(name: str) -> None:
    """`docs/settings.md` has one line for each setting, with its own docstring."""
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    variable = f"GRAFTLINE_{name.upper()}"
    lines = [line for line in page.splitlines() if line.startswith(f"| `{variable}` |")]
    assert len(lines) == 1
    meaning = " ".join((Settings.model_fields[name].description or "").split())
    assert meaning in lines[0]


def test_no_setting_is_invented() -> None:
    """Every `GRAFTLINE_…` variable that a document names exists."""
    known = {f"GRAFTLINE_{name.upper()}" for name in Settings.model_fields}
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        named = set(re.findall(r"GRAFTLINE_[A-Z_]+[A-Z]", page.read_text("utf-8")))
        assert named <= known, page.name


def test_links_between_documents_lead_somewhere() -> None:
    """Each relative link in a document points at a file."""
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_document_names_a_path_of_this_machine() -> None:
    """What is committed is the same everywhere."""
    for page in [*SOURCES, *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        assert str(ROOT) not in page.read_text("utf-8"), page.name
