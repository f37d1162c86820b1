"""`graftline data FILE`: the report without a server."""

import json
from pathlib import Path

from typer.testing import CliRunner

from service.cli import app

ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}


def test_a_report_is_printed_and_written(tmp_path: Path) -> None:
    """Findings are printed with their lines, and the page is written."""
    file, page = tmp_path / "rows.jsonl", tmp_path / "report.html"
    file.write_text((json.dumps(ROW) + "\n") * 3)
    result = CliRunner().invoke(app, ("data", str(file), "--html", str(page)))
    assert result.exit_code == 0, result.output
    assert "rows.jsonl: 3 chat rows in JSONL" in result.output
    assert "Rows that repeat an earlier row: 2 (lines 2, 3)" in " ".join(result.output.split())
    assert "Data report: rows.jsonl" in page.read_text("utf-8")


def test_a_faulty_file_is_refused_with_its_line(tmp_path: Path) -> None:
    """The fault is printed and nothing else."""
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    result = CliRunner().invoke(app, ("data", str(file)))
    assert result.exit_code == 1
    assert "line 1: The row has no keys" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_is_not_there_is_named() -> None:
    """A wrong name is no trace."""
    result = CliRunner().invoke(app, ("data", "nowhere.jsonl"))
    assert result.exit_code == 1
    assert "There is no file 'nowhere.jsonl'" in result.stderr
