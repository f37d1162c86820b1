"""Base models' answers are asked for once: the tenth adapter on the same rows costs none."""

import asyncio
import signal
import sys
from collections import Counter
from typing import Any

import msgspec
import pytest

from evals.recall import CacheLimits
from evals.results import Results
from registry.artifacts import MANIFEST, Manifest
from registry.records import EvaluationRow
from registry.settings import Settings
from registry.store import Store, open_store
from tests.fakes.fake_service import FakeService
from tests.unit.evals import setting

ROWS = 20
CALLS = 2
BASE_ARMS = 2
MET = 1
"""Base rows that are asked anew in every run, so that it knows the engine."""
FIRST, SECOND = "ft:tiny-base:default:one:1", "ft:tiny-base:default:two:2"
FOLDERS = {FIRST: "one", SECOND: "two"}
KILLED = "tests.unit.evals.killed_while_keeping"


def _manifest(base_sha256: str) -> bytes:
    manifest = Manifest(
        name="any",
        job_id=None,
        base_model=setting.BASE,
        base_sha256=base_sha256,
        training_sha256=None,
        validation_sha256=None,
        hyperparameters={},
        seed=None,
        step=None,
        libraries={},
        probe=[],
        metrics={},
        created_at=1,
    )
    return msgspec.json.encode(manifest)


class Examinations:
    """Two adapters of one base model, examined one after the other on the same rows."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.limits = CacheLimits(
            adapters_dir=settings.adapters_dir, max_bytes=1_000_000, max_age_seconds=1_000
        )

    async def prepare(self, **base_sha256: str) -> None:
        """Store rows, adapters and manifests; a keyword names an adapter's base model."""
        await setting.add_file(
            self.store, self.settings, setting.HELDOUT, map(setting.row, range(ROWS))
        )
        await setting.add_file(
            self.store, self.settings, setting.TRAINING, map(setting.row, range(1000, 1040))
        )
        for name, folder in FOLDERS.items():
            await setting.add_adapter(self.store, name=name)
            directory = self.settings.adapters_dir / name
            directory.mkdir(parents=True)
            (directory / MANIFEST).write_bytes(_manifest(base_sha256.get(folder, "a" * 64)))

    async def run(
        self,
        service: FakeService,
        name: str,
        *,
        project: str = "default",
        now: float = 1_000_000.0,
        limits: CacheLimits | None = None,
        **options: Any,
    ) -> Results:
        """Examine an adapter; the evaluation has its name."""
        evaluation = setting.evaluation_record(
            id=f"eval-{name}", adapter=name, project=project, options={"suites": []} | options
        )
        await self.store.evaluations.add(evaluation)
        service.bodies.clear()
        async with setting.runner(
            service, self.store, self.settings, cache=limits or self.limits, now=now
        ) as runner:
            return await runner.run(evaluation, await self.store.adapters.get(name))

    async def rows(self, name: str, arm: str) -> list[EvaluationRow]:
        """Return an arm's answers in an evaluation."""
        rows = await self.store.evaluations.rows(f"eval-{name}")
        return [row for row in rows if row.arm == arm]


@pytest.fixture
async def examinations(store: Store, settings: Settings) -> Examinations:
    """Return two examinations, nothing asked yet."""
    return Examinations(store, settings)


def _service(**more: Any) -> FakeService:
    return FakeService(
        speak=setting.right_if(FIRST, SECOND), loss={FIRST: 0.1, setting.BASE: 1 / 3}, **more
    )


def _asked(service: FakeService) -> Counter[str]:
    return Counter(body["model"] for _, body in service.bodies)


async def test_a_second_adapter_costs_no_base_run(examinations: Examinations) -> None:
    """On the same rows the base model is asked one row alone, and the report counts the rest."""
    service = _service()
    await examinations.prepare()
    first = await examinations.run(service, FIRST)
    assert first.content["cached_answers"] == 0
    second = await examinations.run(service, SECOND)
    assert _asked(service) == {setting.BASE: MET * CALLS, SECOND: ROWS * CALLS}
    assert second.content["cached_answers"] == BASE_ARMS * ROWS - MET
    assert second.content["arms"]["few_shot"]["from_cache"] == ROWS


async def test_answers_taken_are_equal_to_the_bit(examinations: Examinations) -> None:
    """Texts and scores of both runs' base arms are the same, though the engine speaks anew."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST)
    await examinations.run(service, SECOND)
    for arm in ("base", "few_shot"):
        before = await examinations.rows(FIRST, arm)
        after = await examinations.rows(SECOND, arm)
        assert [(a.output, a.scores) for a in before] == [(b.output, b.scores) for b in after]
        assert [a.scores["loss"].hex() for a in before] == [b.scores["loss"].hex() for b in after]


async def test_no_answer_crosses_projects(examinations: Examinations) -> None:
    """Another project's exam asks for everything itself."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST)
    found = await examinations.run(service, SECOND, project="other")
    assert found.content["cached_answers"] == 0


async def test_other_weights_are_asked_anew(examinations: Examinations) -> None:
    """An adapter of a base model with other weights takes nothing from this one's answers."""
    service = _service()
    await examinations.prepare(two="b" * 64)
    await examinations.run(service, FIRST)
    assert (await examinations.run(service, SECOND)).content["cached_answers"] == 0


async def test_another_engine_is_asked_anew(examinations: Examinations) -> None:
    """What an engine answered before it was changed is not taken afterwards."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST)
    service.engine = "fake-engine-2"
    assert (await examinations.run(service, SECOND)).content["cached_answers"] == 0


async def test_an_engine_without_a_name_is_always_asked(examinations: Examinations) -> None:
    """What cannot be told apart is not kept."""
    service = _service(engine=None)
    await examinations.prepare()
    await examinations.run(service, FIRST)
    assert (await examinations.run(service, SECOND)).content["cached_answers"] == 0


async def test_changed_weights_under_one_name_drop_what_was_kept(
    examinations: Examinations,
) -> None:
    """The row that is asked anew gives away a base model that was exchanged in silence."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST)
    service.loss[setting.BASE] = 0.5
    assert (await examinations.run(service, SECOND)).content["cached_answers"] == 0


async def test_a_failed_row_is_asked_again(examinations: Examinations) -> None:
    """What the service refused is no answer to keep."""
    service = _service(refuse="ticket 7")
    await examinations.prepare()
    await examinations.run(service, FIRST)
    service.refuse = None
    found = await examinations.run(service, SECOND)
    assert all(arm["unscored"] == 0 for arm in found.content["arms"].values())
    assert _asked(service)[setting.BASE] == (MET + BASE_ARMS) * CALLS


async def test_one_evaluation_can_do_without(examinations: Examinations) -> None:
    """`use_cache: false` asks everything anew."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST)
    assert (await examinations.run(service, SECOND, use_cache=False)).content["cached_answers"] == 0
    assert _asked(service)[setting.BASE] == BASE_ARMS * ROWS * CALLS


async def test_changed_weights_are_noticed_without_losses_too(examinations: Examinations) -> None:
    """The row that is asked anew is measured all the same."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST, measure_loss=False)
    service.loss[setting.BASE] = 0.5
    found = await examinations.run(service, SECOND, measure_loss=False)
    assert found.content["cached_answers"] == 0


async def test_answers_without_losses_are_taken_too(examinations: Examinations) -> None:
    """A second adapter asks the base model one row alone, and nothing is measured but there."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST, measure_loss=False)
    assert _asked(service) == {setting.BASE: BASE_ARMS * ROWS + MET, FIRST: ROWS}
    second = await examinations.run(service, SECOND, measure_loss=False)
    assert _asked(service) == {setting.BASE: MET * CALLS, SECOND: ROWS}
    assert second.content["cached_answers"] == BASE_ARMS * ROWS - MET


async def test_nothing_is_kept_beyond_its_age(examinations: Examinations) -> None:
    """An answer that is too old is asked for again."""
    service = _service()
    await examinations.prepare()
    await examinations.run(service, FIRST)
    late = await examinations.run(service, SECOND, now=1_002_000.0)
    assert late.content["cached_answers"] == 0


@pytest.mark.parametrize("max_bytes", [0, 1_000])
async def test_nothing_is_kept_beyond_the_bytes(
    examinations: Examinations, max_bytes: int, store: Store
) -> None:
    """The oldest answers go until the rest fits; none fits into nothing."""
    await examinations.prepare()
    limits = msgspec.structs.replace(examinations.limits, max_bytes=max_bytes)
    await examinations.run(_service(), FIRST, limits=limits)
    kept = await store.known_answers.size()
    assert kept <= max_bytes
    assert (kept > 0) is (max_bytes > 0)


async def test_a_kill_between_row_and_memory_keeps_both_or_neither(
    settings: Settings, store: Store
) -> None:
    """A process killed with -9 after the row and before the kept answer leaves no trace of it."""
    await setting.add_evaluation(store)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", KILLED, str(settings.data_dir)
    )
    assert await child.wait() == -signal.SIGKILL
    again = await open_store(settings)
    try:
        assert await again.evaluations.rows("eval-1") == []
        assert await again.known_answers.size() == 0
    finally:
        await again.close()
