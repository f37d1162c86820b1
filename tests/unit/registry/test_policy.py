"""The policy: its default, its file, and what is refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from registry.errors import Invalid, PolicyUnusable
from registry.policy import (
    MAX_FILE_BYTES,
    Policy,
    differences_of,
    policy_in_force,
    read_policy,
    resolve_policy,
)

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


def _write(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    """Fields that a file does not name have their defaults."""
    found = read_policy(_write(tmp_path, "smallest_effect: 0.05\nguardrails:\n  loss: 0.1\n"))
    assert found == Policy(smallest_effect=0.05, guardrails={"loss": 0.1})


def test_a_file_of_comments_is_the_default(tmp_path: Path) -> None:
    """A template with nothing switched on changes nothing."""
    assert read_policy(_write(tmp_path, "# min_rows: 30\n")) == Policy()


def test_a_policy_written_is_read_again(tmp_path: Path) -> None:
    """YAML out and in, a policy is the same."""
    policy = Policy(alpha=0.01, max_gap=0.2, must_beat=["base"])
    path = _write(tmp_path, msgspec.yaml.encode(policy).decode())
    assert read_policy(path) == policy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("smallest_effect: [", "not YAML"),
        ("- a\n- b\n", "one 'field: value' on each line"),
        ("1: 2\n", "one 'field: value' on each line"),
        ("colour: blue\n", "colour"),
        ("min_rows: many\n", "min_rows"),
        ("max_broken_share: -1\n", "max_broken_share"),
        ("guardrails: {loss: .nan}\n", "guardrails.loss"),
        ("smallest_effect: .inf\n", "smallest_effect"),
        ("must_beat: [few_shot]\n", "'base'"),
        ("few_shot_examples: 99\n", "few_shot_examples"),
        ("max_rows: 5\n", "max_rows"),
        ("alpha: 1\n", "alpha"),
        ("# " + "x" * MAX_FILE_BYTES, "at most"),
        ("a: !!python/object/apply:os.system [ls]\n", "not YAML"),
    ],
)
def test_a_faulty_file_says_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    """The message names the field, or what a policy file looks like."""
    with pytest.raises(Invalid, match=words):
        read_policy(_write(tmp_path, text))


def test_no_file_is_the_default() -> None:
    """Without the setting the built-in policy holds."""
    assert policy_in_force(None) == Policy()


def test_the_file_in_force_is_read_anew(tmp_path: Path) -> None:
    """An edit holds from the next look on."""
    path = _write(tmp_path, "min_rows: 40\n")
    first = policy_in_force(path)
    _write(tmp_path, "min_rows: 50\n")
    assert (first.min_rows, policy_in_force(path).min_rows) == (40, 50)


def test_a_missing_file_in_force_is_named(tmp_path: Path) -> None:
    """The operator learns the setting and the remedy."""
    with pytest.raises(PolicyUnusable, match="GRAFTLINE_POLICY_FILE"):
        policy_in_force(tmp_path / "none.yaml")


def test_a_request_changes_the_policy_in_force() -> None:
    """What is not requested comes from the default given, not from the built-in one."""
    found = resolve_policy({"min_rows": 40}, Policy(alpha=0.01))
    assert (found.min_rows, found.alpha) == (40, 0.01)


def test_differences_are_told_in_words() -> None:
    """Each field that differs is named with both values."""
    found = differences_of(Policy(), Policy(alpha=0.01, max_gap=0.1))
    assert found == ["max_gap was null, is 0.1", "alpha was 0.05, is 0.01"]


def _fields() -> list[Any]:
    return list(msgspec.structs.fields(Policy))


@pytest.mark.parametrize("field", _fields(), ids=lambda field: field.name)
def test_every_field_is_documented(field: Any) -> None:
    """`docs/api.md` has one line for each field."""
    lines = [
        line
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith(f"| `{field.name}` |")
    ]
    assert len(lines) == 1
