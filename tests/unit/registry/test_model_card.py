"""Model cards: what is known is there, and what users wrote stays text."""

from typing import Any

import msgspec
import yaml

from registry.artifacts import Manifest
from registry.lifecycle import EvaluationStatus
from registry.model_card import card_of
from registry.records import Evaluation, Verdict

HOSTILE = "a|b\n# Free money\n<script>alert(1)</script>[x](http://y)\u202e\n---\nlicense: mit"
OF_TEST = Manifest(
    name="ft:tiny-base:default:x:1",
    job_id="ftjob-1",
    base_model="tiny-base",
    base_sha256="b" * 64,
    training_sha256="d" * 64,
    validation_sha256=None,
    hyperparameters={"n_epochs": 3, "learning_rate": 0.001, "precision": "bfloat16"},
    seed=7,
    step=10,
    libraries={"peft": "0.21.2"},
    probe=[],
    metrics={"train_loss": 0.5},
    created_at=1,
    plan={"training_file": "file-1"},
    template_sha256="c" * 64,
)
ESTIMATE = {"mean": 0.94, "low": 0.898, "high": 0.965, "n": 200, "method": "wilson"}
UNKNOWN = {"mean": None, "low": None, "high": None, "n": 0, "method": "none"}


def evaluation(results: dict[str, Any]) -> Evaluation:
    """Return a finished exam."""
    return Evaluation(
        id="eval-1",
        project="default",
        adapter=OF_TEST.name,
        heldout_file="file-2",
        training_file=None,
        policy={},
        status=EvaluationStatus.SUCCEEDED,
        created_at=1,
        verdict=Verdict.GO,
        results=results,
    )


def test_the_card_says_how_it_was_made() -> None:
    """Data, base, template, seed and hyperparameters, and how to make it again."""
    card = card_of(OF_TEST)
    assert card.startswith('---\nbase_model: "tiny-base"\nlibrary_name: peft\n')
    for words in ("| seed | 7 |", "d" * 64, "b" * 64, "c" * 64, "file-1", "| epochs | 3 |"):
        assert words in card
    assert "graftline reproduce ftjob-1" in card
    assert "no finished exam" in card


def test_the_exam_comes_with_n_and_interval() -> None:
    """And a figure without data is no zero."""
    results = {
        "rows": 200,
        "arms": {"adapter": {"metrics": {"exact_match": ESTIMATE, "loss": UNKNOWN}}},
        "verdict": {"reasons": ["It is better."]},
    }
    card = card_of(OF_TEST, evaluation(results))
    assert "| adapter | exact\\_match | 0.940 | 0.898 to 0.965 | 200 |" in card
    assert "| adapter | loss | – | too few data | 0 |" in card
    assert "**go: it is better" in card
    assert "- It is better." in card


def test_an_import_does_not_claim_to_be_trained_here() -> None:
    """What is not known is not said."""
    imported = msgspec.structs.replace(OF_TEST, job_id=None, seed=None, step=None, plan={})
    card = card_of(imported)
    assert "was imported" in card
    assert "graftline reproduce" not in card
    assert "seed" not in card


def test_what_users_wrote_is_neither_markdown_nor_html_nor_metadata() -> None:
    """Names and reasons stay on their line and show as they were written."""
    hostile = msgspec.structs.replace(OF_TEST, name=HOSTILE, base_model=HOSTILE, parent=HOSTILE)
    card = card_of(hostile, evaluation({"verdict": {"reasons": [HOSTILE]}}))
    body = card.partition("library_name")[2]
    assert "<script" not in body.replace("\\<script", "")
    assert "\n# Free" not in card
    assert "\u202e" not in card
    assert card.splitlines().count("---") == 2
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["base_model"] == HOSTILE
    assert "license" not in metadata
