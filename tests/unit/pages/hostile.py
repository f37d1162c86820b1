"""Pages made of rows and answers that a page must survive: scripts, long words, other scripts.

It refuses to judge the pages.
"""

import random
from typing import Any

import msgspec

from evals.report.facts import Facts, LossPoint
from examples.demo import facts as demo
from registry.chatdata import Row
from registry.inspection.examine import examine
from registry.inspection.records import Report
from registry.records import AdapterVersion
from registry.settings import Settings
from registry.store import Store
from tests.fakes.char_tokenizer import ManyCharTokenizer
from tests.fakes.fake_service import FakeService
from tests.records import fine_tuning_job
from tests.unit.evals import setting

SCRIPTS = (
    "<script>window.hacked = 1</script>",
    "</pre></details><img src=x onerror='window.hacked = 1'>",
    "<svg onload=window.hacked=1><a href='javascript:window.hacked=1'>x</a></svg>",
    "\"'><iframe src='http://evil.example/x'></iframe><link rel=stylesheet href=//evil.example>",
    "</style><style>@import 'http://evil.example/x.css'</style>{{ 7 * 7 }}{% raw %}",
)
"""What would run or fetch something, were it not text."""
TEXTS = (
    *SCRIPTS,
    "W" * 600,
    "أين طلبي؟ وصلتني رسالة تقول إن الشحنة GL-1234 تأخرت.",
    "הזמנה GL-77 לא הגיעה, מה עכשיו?",
    "注文がまだ届きません。" * 20,
    "line\n" * 60,
    "\u202eevil\u202c \u0000\ufeff 👩‍👩‍👧‍👦",
)
"""Texts that break pages."""
_SEGMENTS = ("billing", "delivery", *SCRIPTS[:2], "W" * 90, "طلبات")


def text(number: int) -> str:
    """Return a prompt; every third is one of `TEXTS`."""
    if number % 3 == 0:
        return f"{TEXTS[number // 3 % len(TEXTS)]} ticket {number}"
    return f"My order is late, and nobody answers. Where is ticket {number}"


def row(number: int) -> dict[str, Any]:
    """Return the row of a number, in a segment."""
    segment = _SEGMENTS[number % len(_SEGMENTS)]
    made = setting.row(number) | {"segment": segment}
    made["messages"][0]["content"] = text(number)
    return made


def speak(model: str, prompt: str) -> str:
    """Answer nearly always rightly as the adapter, sometimes as the base, and else with a text."""
    chance = random.Random(f"{model} {prompt}").random()  # noqa: S311 - a fixed answer
    if "ticket" not in prompt or chance > (0.9 if model == setting.ADAPTER else 0.3):
        return TEXTS[int(chance * 1_000) % len(TEXTS)]
    return f'{{"id":{prompt.rsplit(maxsplit=1)[-1]}}}'


async def evaluation(store: Store, settings: Settings, *, rows: int = 42) -> Facts:
    """Return an evaluation with four arms, a further model, the behaviour suite and losses."""
    adapter: AdapterVersion = await setting.add_adapter(store)
    other = await setting.add_adapter(store, name=f"{setting.ADAPTER}:ckpt-step-10")
    await setting.add_file(store, settings, setting.HELDOUT, map(row, range(rows)))
    await setting.add_file(store, settings, setting.TRAINING, map(row, range(9_000, 9_040)))
    options = {
        "arms": ["few_shot"],
        "instruction": f"Answer as JSON. {SCRIPTS[0]}",
        "models": [other.name],
        "suites": ["behaviour"],
    }
    asked = await setting.add_evaluation(store, options=options, max_rows=max(rows, 30))
    service = FakeService(speak=speak, loss={setting.ADAPTER: 0.2})
    async with setting.runner(service, store, settings, concurrency=16) as runner:
        results = await runner.run(asked, adapter)
    concluded = setting.evaluation_record(
        options=options,
        results=results.content,
        verdict=results.decision.verdict,
        finished_at=1_764_288_000,
    )
    return Facts(
        evaluation=concluded,
        adapter=adapter,
        job=fine_tuning_job("ftjob-" + "0a" * 12),
        losses=[_loss(step) for step in range(1, 121)],
        answers=await store.evaluations.rows(asked.id),
        rows=results.rows,
        targets=results.targets,
    )


def data_report() -> Report:
    """Return the report on rows with every kind of fault, whose answers are few."""
    answers = [*SCRIPTS[:3], f'{{"{SCRIPTS[0]}": 1}}', "cut off, and"]
    rows = [
        Row(line=line, prompt=text(line % 150), completion=answers[line // 3 % len(answers)])
        for line in range(1, 260)
    ]
    secret = Row(line=260, prompt="password: Tr0ub4dor&3x", completion="jane.doe@acme-corp.com")
    found = examine(
        [*rows, secret], validation=rows[:20], tokenizer=ManyCharTokenizer(), max_length=400
    )
    return msgspec.structs.replace(found, file=f"{SCRIPTS[0]}.jsonl", validation_file=SCRIPTS[1])


def demo_run(facts: Facts) -> demo.DemoFacts:
    """Return a run of the demo that saw an evaluation, and answers that are scripts."""
    counts = [
        demo.ArmCount(
            arm=arm,
            model=f"{arm} {SCRIPTS[0]}",
            interactions=40,
            units=20,
            feedback=40,
            mean_score=0.5,
            score_low=0.35,
            score_high=0.65,
        )
        for arm in ("stable", "candidate")
    ]
    return demo.DemoFacts(
        base="tiny-base",
        engine_pid=1,
        files=demo.UploadedFiles(
            training="file-a", heldout="file-b", training_rows=900, heldout_rows=200
        ),
        job=demo.FinishedJob(
            id="ftjob-1",
            model=setting.ADAPTER,
            seconds=120,
            trained_tokens=1_000,
            hyperparameters={"n_epochs": 3, "learning_rate": 2e-3},
            losses=[
                demo.LossPoint(step=each.step, train=each.train_loss, valid=each.full_valid_loss)
                for each in facts.losses
            ],
        ),
        adapter={},
        evaluation={"id": "eval-1", "results": facts.results | {"hashes": {"data": "0" * 64}}},
        traffic=demo.Traffic(requests=80, failed=0, units=40, moved_units=0, arms=counts),
        answer=demo.StreamedAnswer(
            prompt=TEXTS[6], text=SCRIPTS[1], expected=TEXTS[5], chunks=9, model=SCRIPTS[0]
        ),
    )


def _loss(step: int) -> LossPoint:
    heldout = 0.3 + 2 / step if step % 20 == 0 else None
    return LossPoint(step=step, train_loss=0.1 + 2.5 / step**0.7, full_valid_loss=heldout)
