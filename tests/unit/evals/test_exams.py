"""Exams of more than the held-out rows: further arms, further suites, chosen examples."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from evals.results import Results
from registry.errors import Invalid
from registry.records import AdapterVersion, Verdict
from registry.settings import Settings
from registry.store import Store
from tests.fakes.fake_service import FakeService
from tests.unit.evals import setting

OTHER = "ft:tiny-base:default:triage:aaaa0000"
ROWS = 30


class Exam:
    """One evaluation against a fake service."""

    def __init__(self, store: Store, settings: Settings, adapter: AdapterVersion) -> None:
        self.store = store
        self.settings = settings
        self.adapter = adapter
        self.service = FakeService(
            speak=setting.right_if(setting.ADAPTER), loss={setting.ADAPTER: 0.1}
        )

    async def run(
        self,
        options: dict[str, Any],
        *,
        heldout: Iterable[dict[str, Any]] | None = None,
        suites_dir: Path | None = None,
        **policy: Any,
    ) -> Results:
        """Store files and evaluation, and run it."""
        rows = map(setting.row, range(ROWS)) if heldout is None else heldout
        await setting.add_file(self.store, self.settings, setting.HELDOUT, rows)
        training = map(setting.row, range(1000, 1060))
        await setting.add_file(self.store, self.settings, setting.TRAINING, training)
        evaluation = await setting.add_evaluation(
            self.store, options={"suites": [], **options}, **policy
        )
        async with setting.runner(
            self.service, self.store, self.settings, suites_dir=suites_dir
        ) as runner:
            return await runner.run(evaluation, self.adapter)

    def prompts(self, arm_model: str) -> list[list[dict[str, Any]]]:
        """Return the conversations that a model was asked."""
        return [
            body["messages"]
            for path, body in self.service.bodies
            if path.endswith("chat/completions") and body["model"] == arm_model
        ]


@pytest.fixture
async def exam(store: Store, settings: Settings) -> Exam:
    """Return an exam of a ready adapter."""
    return Exam(store, settings, await setting.add_adapter(store))


async def test_every_arm_is_asked(exam: Exam) -> None:
    """All arms that a request can ask for stand side by side, each with its model."""
    results = await exam.run(
        {
            "arms": ["few_shot", "few_shot_nearest"],
            "instruction": "Answer with JSON.",
            "production": OTHER,
            "models": [f"{setting.ADAPTER}:ckpt-step-1"],
        }
    )
    arms = results.content["arms"]
    assert list(arms) == [
        "base",
        "few_shot",
        "few_shot_nearest",
        "instruction",
        "adapter",
        "production",
        f"{setting.ADAPTER}:ckpt-step-1",
    ]
    assert (arms["production"]["model"], arms["few_shot_nearest"]["examples"]) == (OTHER, 4)
    assert all(arm["unscored"] == 0 for arm in arms.values())


async def test_similar_examples_stand_right_before_the_prompt(exam: Exam) -> None:
    """The nearest training row is the last example, and shares most with the prompt."""
    heldout = [setting.row(105), setting.row(7)]
    await exam.run({"arms": ["few_shot_nearest"]}, heldout=heldout, min_rows=1)
    asked = [each for each in exam.prompts(setting.BASE) if len(each) > 1]
    (shown,) = (each for each in asked if each[-1]["content"] == "ticket 105")
    closest, answer, _ = (message["content"] for message in shown[-3:])
    assert closest.startswith("ticket 105")
    assert closest.removeprefix("ticket ") in answer


async def test_an_instruction_is_the_first_word(exam: Exam) -> None:
    """The instruction stands as system message, before the row's own."""
    row = setting.row(1)
    row["messages"].insert(0, {"role": "system", "content": "Be brief."})
    await exam.run(
        {"arms": [], "instruction": "Answer with JSON."}, heldout=[row, setting.row(2)], min_rows=1
    )
    assert [
        {"role": "system", "content": "Answer with JSON.\n\nBe brief."},
        row["messages"][1],
    ] in (exam.prompts(setting.BASE))


async def test_further_models_decide_nothing(exam: Exam) -> None:
    """A checkpoint as good as the adapter is compared, and leaves the verdict as it is."""
    exam.service.speak = setting.right_if(setting.ADAPTER, OTHER)
    results = await exam.run({"arms": [], "models": [OTHER]})
    assert results.decision.verdict == Verdict.GO
    (difference,) = (
        each for each in results.content["model_differences"] if each["metric"] == "exact_match"
    )
    assert (difference["baseline"], difference["estimate"]) == (OTHER, 0)


async def test_production_must_be_beaten(exam: Exam) -> None:
    """An adapter that is only as good as the version in production is no `go`."""
    exam.service.speak = setting.right_if(setting.ADAPTER, OTHER)
    results = await exam.run({"arms": [], "production": OTHER})
    assert results.decision.verdict != Verdict.GO
    assert results.decision.baseline == "production"


async def test_the_number_of_examples_is_chosen_on_training_rows(exam: Exam) -> None:
    """The base that knows the answer after two examples gets two, and no held-out row chose."""

    def converse(_model: str, messages: list[dict[str, Any]]) -> str:
        number = messages[-1]["content"].rsplit(maxsplit=1)[-1]
        return json.dumps({"id": int(number)}) if len(messages) == 5 else "no"

    exam.service.converse = converse
    results = await exam.run({"choose_examples": True})
    assert results.content["arms"]["few_shot"]["examples"] == 2
    tried = [row for row in await exam.store.evaluations.rows("eval-1") if row.suite == "choice"]
    assert {row.arm for row in tried} == {f"few_shot@{n}" for n in (0, 1, 2, 4, 8)}
    assert any(
        "2 examples, chosen on 24 training rows" in each for each in results.decision.reasons
    )


async def test_losses_can_be_left_out(exam: Exam) -> None:
    """No model is asked for one, no figure of one is shown, and the verdict says so."""
    results = await exam.run(
        {"arms": [], "measure_loss": False, "suites": ["training", "behaviour"]}
    )
    assert results.decision.verdict == Verdict.GO
    assert any("losses are not measured" in each for each in results.decision.reasons)
    assert not [body for _, body in exam.service.bodies if body.get("echo")]
    shown = [results.content, *results.content["suites"].values()]
    assert not [suite for suite in shown if "loss" in suite["metric_kinds"]]
    assert not [row for row in await exam.store.evaluations.rows("eval-1") if "loss" in row.scores]
    findings = results.content["findings"]
    assert findings["behaviour"]["divergence"]["mean"] is None
    assert findings["memorisation"]["attack"]["mean"] is None
    assert findings["memorisation"]["training"]["n"] == ROWS


async def test_examples_are_chosen_without_losses_too(exam: Exam) -> None:
    """Of numbers that do equally well the smallest is taken."""
    results = await exam.run({"choose_examples": True, "measure_loss": False})
    assert results.content["arms"]["few_shot"]["examples"] == 0
    assert any("of equals the fewer" in each for each in results.decision.reasons)


async def test_a_policy_that_needs_losses_gets_them(exam: Exam) -> None:
    """An evaluation stored without them ends with what to change, before anything is asked."""
    with pytest.raises(Invalid, match="leave 'measure_loss' out"):
        await exam.run({"measure_loss": False}, primary_metric="loss")
    assert exam.service.bodies == []


async def test_training_rows_show_the_gap(exam: Exam) -> None:
    """Base and adapter are asked as many training rows as held-out ones, and no other arm is."""
    results = await exam.run({"suites": ["training"]})
    suite = results.content["suites"]["training"]
    assert (suite["rows"], set(suite["arms"])) == (ROWS, {"base", "adapter"})
    assert suite["arms"]["adapter"]["metrics"]["exact_match"]["mean"] == 1


async def test_behaviour_is_asked_of_base_and_adapter(exam: Exam) -> None:
    """Sixty short tasks, each scored by its own metric."""
    results = await exam.run({"suites": ["behaviour"]})
    suite = results.content["suites"]["behaviour"]
    assert (suite["rows"], set(suite["arms"])) == (60, {"base", "adapter"})
    assert suite["metric_kinds"]["score"]["rows"] == 60
    assert set(suite["segments"]) >= {"format", "refusal", "arithmetic", "copying", "turns"}


def _asked(prompt: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": answer, **more}


async def test_a_suite_of_the_users_own(exam: Exam, tmp_path: Path) -> None:
    """Every JSONL file of the folder is a suite; each row is scored as it says."""
    exam.service.speak = lambda _model, _prompt: "The answer is 41.9."
    rows = [
        _asked("a", "answer", metric="contains", segment="words"),
        _asked("b", "42", metric={"name": "numeric", "tolerance": 0.01}, segment="sums"),
        _asked("c", "42", segment="sums"),
        _asked("d", "I cannot help with that.", metric="refusal"),
        _asked("e", "Gladly.", metric="refusal"),
        _asked("f", "The answer is 41.9.", metric="edit_distance"),
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    results = await exam.run({}, suites_dir=tmp_path)
    suite = results.content["suites"]["own:mine"]
    assert suite["arms"]["adapter"]["metrics"]["score"]["mean"] == pytest.approx(4 / 6)
    assert suite["segments"]["sums"]["arms"]["base"]["mean"] == 0.5
    assert suite["metric_kinds"]["score"]["comparison"] == (
        "each row by its own metric: "
        "1 by contains, 1 by edit_distance, 1 by numeric, 2 by refusal, 1 by exact_match"
    )


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("colour", "There is no metric 'colour'"),
        ({"name": "numeric", "size": 1}, "no option 'size'"),
        ({"name": "regex", "pattern": "("}, "cannot be used"),
        ({"name": "json_schema", "schema": {"type": 3}}, "cannot be used"),
        (7, "neither a name nor an object"),
    ],
)
async def test_a_faulty_suite_names_file_and_line(
    exam: Exam, tmp_path: Path, metric: Any, words: str
) -> None:
    """A row whose metric cannot be used ends the evaluation, with its line and the remedy."""
    (tmp_path / "mine.jsonl").write_text(json.dumps(_asked("a", "b", metric=metric)))
    with pytest.raises(Invalid, match="'mine'") as caught:
        await exam.run({}, suites_dir=tmp_path)
    assert "line 1" in str(caught.value)
    assert words in str(caught.value)


async def test_labels_show_classes_and_calibration(exam: Exam) -> None:
    """Where answers are labels, macro F1, each class and calibration are there."""
    rows = [_asked(f"is {n} even? ", "yes" if n % 2 == 0 else "no") for n in range(ROWS)]
    exam.service.speak = lambda model, _prompt: "yes" if model == setting.ADAPTER else "no"
    exam.service.sureness = -0.1
    results = await exam.run({"arms": []}, heldout=rows)
    arm = results.content["arms"]["adapter"]
    assert arm["macro_f1"]["mean"] == pytest.approx(1 / 3)
    assert {each["label"]: each["recall"] for each in arm["per_class"]} == {"yes": 1, "no": 0}
    assert arm["calibration_error"]["mean"] == pytest.approx(0.9048 - 0.5, abs=1e-3)
    assert results.content["metric_kinds"]["brier"]["rows"] == ROWS
