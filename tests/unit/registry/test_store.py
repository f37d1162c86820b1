"""The store: transactions, pages, and what concurrent writers may not do."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from registry.errors import Conflict, IllegalTransition, InUse, NotFound
from registry.identifiers import adapter_name, new_id
from registry.lifecycle import AdapterStatus, EvaluationStatus, JobStatus
from registry.records import (
    AdapterVersion,
    Arm,
    DataFile,
    Deployment,
    DeploymentChange,
    Evaluation,
    EvaluationRow,
    Feedback,
    FineTuningJob,
    Interaction,
    JobCheckpoint,
    JobEvent,
    Purpose,
)
from registry.settings import Settings
from registry.store import Store, open_store
from tests import records
from tests.records import adapter_version, fine_tuning_job, interaction


def job(**changes: object) -> FineTuningJob:
    """Return a new job."""
    made = {"suffix": "x", "metadata": {"team": "a"}, **changes}
    return fine_tuning_job(new_id("ftjob"), **made)


def event(job_id: str) -> JobEvent:
    """Return a new event."""
    return JobEvent(
        id=new_id("ftevent"), job_id=job_id, created_at=1, level="info", message="Created."
    )


def version(name: str = "ft:tiny-base:default:x:1") -> AdapterVersion:
    """Return a published adapter version."""
    return adapter_version(
        name, job_id="ftjob-1", directory="x", rank=16, status=AdapterStatus.PUBLISHED
    )


async def test_a_record_comes_back_as_it_went_in(store: Store) -> None:
    """Every field survives, JSON columns included."""
    made = job()
    await store.jobs.add(made, event(made.id))
    assert await store.jobs.get(made.id) == made


async def test_another_project_sees_nothing(store: Store) -> None:
    """A record of one project does not exist for another."""
    made = job()
    await store.jobs.add(made, event(made.id))
    with pytest.raises(NotFound):
        await store.jobs.get(made.id, project="other")
    assert (await store.jobs.page(project="other", after=None, limit=9)).data == []


async def test_pages_are_newest_first_and_complete(store: Store) -> None:
    """Following the cursor meets every record once."""
    made = [job() for _ in range(5)]
    for one in made:
        await store.jobs.add(one, event(one.id))
    seen: list[str] = []
    after = None
    for _ in range(3):
        page = await store.jobs.page(project="default", after=after, limit=2)
        seen += [one.id for one in page.data]
        after = seen[-1]
    assert seen == [one.id for one in reversed(made)]
    assert not page.has_more


async def test_an_unknown_cursor_is_an_error(store: Store) -> None:
    """A cursor that names nothing is not taken for the beginning."""
    with pytest.raises(NotFound):
        await store.jobs.page(project="default", after="ftjob-none", limit=2)


async def test_metadata_filters(store: Store) -> None:
    """Only jobs with the given pairs are listed."""
    one, other = job(metadata={"team": "a"}), job(metadata={"team": "b"})
    for made in (one, other):
        await store.jobs.add(made, event(made.id))
    page = await store.jobs.page(project="default", after=None, limit=9, metadata={"team": "b"})
    assert [made.id for made in page.data] == [other.id]


async def test_of_many_movers_one_wins(store: Store) -> None:
    """Simultaneous moves out of one state succeed once."""
    made = job(status=JobStatus.RUNNING)
    await store.jobs.add(made, event(made.id))

    async def move(to: JobStatus) -> bool:
        try:
            await store.jobs.move(made.id, to)
        except IllegalTransition:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tries = [
            group.create_task(move(to))
            for to in (JobStatus.CANCELLED, JobStatus.SUCCEEDED, JobStatus.FAILED)
        ]
    assert sum(task.result() for task in tries) == 1


async def test_a_cancelled_job_publishes_nothing(store: Store) -> None:
    """Success and its adapter version are recorded together or not at all."""
    made = job(status=JobStatus.RUNNING)
    await store.jobs.add(made, event(made.id))
    await store.jobs.move(made.id, JobStatus.CANCELLED)
    with pytest.raises(IllegalTransition):
        await store.jobs.succeed(made.id, version=version(), event=event(made.id))
    with pytest.raises(NotFound):
        await store.adapters.get(version().name)


async def test_a_file_in_use_stays(store: Store) -> None:
    """The file of an unfinished job cannot be deleted; afterwards it can."""
    file = DataFile(
        id="file-1",
        project="default",
        filename="a.jsonl",
        purpose=Purpose.FINE_TUNE,
        bytes=1,
        sha256="0",
        rows=1,
        created_at=1,
    )
    made = job()
    await store.files.add(file)
    await store.jobs.add(made, event(made.id))
    with pytest.raises(InUse, match=made.id):
        await store.files.delete("file-1", project="default")
    await store.jobs.move(made.id, JobStatus.CANCELLED)
    await store.files.delete("file-1", project="default")
    with pytest.raises(NotFound):
        await store.files.delete("file-1", project="default")


async def test_a_checkpoint_recorded_twice_is_one(store: Store) -> None:
    """A repeated publication of a checkpoint changes nothing."""
    name = adapter_name(base="b", project="p", suffix="s", job_id="ftjob-12345678", step=10)
    checkpoint = JobCheckpoint(
        id="ftckpt-1",
        job_id="ftjob-1",
        step=10,
        fine_tuned_model_checkpoint=name,
        metrics={"train_loss": 0.5},
        created_at=1,
    )
    await store.jobs.add_checkpoint(checkpoint, version(name))
    await store.jobs.add_checkpoint(msgspec.structs.replace(checkpoint, id="x"), version(name))
    page = await store.jobs.checkpoints("ftjob-1", after=None, limit=9)
    assert page.data == [checkpoint]


def deployment(generation: int, **changes: Any) -> tuple[Deployment, DeploymentChange]:
    """Return a generation of a deployment with its line of history."""
    made = records.deployment(generation=generation, **changes)
    change = DeploymentChange(
        deployment=made.name,
        project=made.project,
        generation=generation,
        action="update",
        actor="key-1",
        created_at=1,
        stable=made.stable,
        candidate=made.candidate,
        candidate_weight=made.candidate_weight,
    )
    return made, change


async def test_a_stale_update_is_refused(store: Store) -> None:
    """Of two updates of one generation the second is a conflict."""
    await store.deployments.add(*deployment(1))
    await store.deployments.replace(*deployment(2, stable="a"))
    with pytest.raises(Conflict, match="changed meanwhile"):
        await store.deployments.replace(*deployment(2, stable="b"))
    assert (await store.deployments.get("support", project="default")).stable == "a"
    history = await store.deployments.history("support", project="default")
    assert [change.stable for change in history] == ["a", "tiny-base"]


async def test_a_deployment_name_is_taken_once(store: Store) -> None:
    """A second deployment of the same name is a conflict."""
    await store.deployments.add(*deployment(1))
    with pytest.raises(Conflict, match="exists already"):
        await store.deployments.add(*deployment(1))


async def test_the_latest_evaluation_counts(store: Store) -> None:
    """Of several succeeded evaluations of an adapter the newest is returned."""
    for index in range(2):
        made = Evaluation(
            id=f"eval-{index}",
            project="default",
            adapter="ft:a",
            heldout_file="file-1",
            training_file=None,
            policy={},
            status=EvaluationStatus.QUEUED,
            created_at=index,
        )
        await store.evaluations.add(made)
        await store.evaluations.add(made)
        await store.evaluations.move(made.id, EvaluationStatus.RUNNING)
        await store.evaluations.move(made.id, EvaluationStatus.SUCCEEDED, results={"rows": 1})
    assert [found.id for found in await store.evaluations.latest()] == ["eval-1"]
    assert await store.evaluations.unfinished() == []


async def test_an_evaluation_row_is_stored_once(store: Store) -> None:
    """The last answer of an arm to a row replaces an earlier one."""
    row = EvaluationRow(evaluation_id="eval-1", arm="base", row=0, output="a", scores={"x": 0.0})
    await store.evaluations.add_row(row)
    better = msgspec.structs.replace(row, output="b", scores={"x": 1.0})
    await store.evaluations.add_row(better)
    assert await store.evaluations.rows("eval-1") == [better]


def seen(identifier: str, arm: Arm, unit: str) -> Interaction:
    """Return an interaction with a deployment."""
    return interaction(
        identifier, deployment="support", arm=arm, model=f"model-{arm}", unit_hash=unit
    )


def judgement(interaction_id: str, score: float) -> Feedback:
    """Return a feedback."""
    return Feedback(
        id=new_id("feedback"),
        interaction_id=interaction_id,
        project="default",
        score=score,
        label=None,
        comment=None,
        correction=None,
        created_at=1,
    )


async def test_outcomes_by_arm(store: Store) -> None:
    """Requests, units and mean scores are counted by arm; without feedback there is no mean."""
    made = [
        seen("a", Arm.STABLE, "u1"),
        seen("b", Arm.STABLE, "u1"),
        seen("c", Arm.CANDIDATE, "u2"),
    ]
    await store.interactions.add_many(made)
    await store.interactions.judge(judgement("a", 1.0))
    await store.interactions.judge(judgement("b", 0.0))
    found = {
        outcome.arm: outcome
        for outcome in await store.interactions.outcomes(project="default", deployment="support")
    }
    stable, candidate = found[Arm.STABLE], found[Arm.CANDIDATE]
    assert (stable.interactions, stable.units, stable.mean_score) == (2, 1, 0.5)
    assert (candidate.interactions, candidate.feedback, candidate.mean_score) == (1, 0, None)


async def test_feedback_is_idempotent(store: Store) -> None:
    """A second judgement replaces the first and keeps its id."""
    await store.interactions.add_many([seen("a", Arm.STABLE, "u")])
    first = await store.interactions.judge(judgement("a", 1.0))
    second = await store.interactions.judge(judgement("a", 0.0))
    assert (second.id, second.score) == (first.id, 0.0)
    assert len(await store.interactions.feedback(project="default")) == 1


async def test_feedback_needs_an_interaction(store: Store) -> None:
    """A judgement on nothing is refused."""
    with pytest.raises(NotFound):
        await store.interactions.judge(judgement("none", 1.0))


async def test_two_processes_migrate_at_once(store: Store, tmp_path: Path) -> None:
    """Opening an existing database twice at the same time changes nothing."""
    url = store.database.engine.url.render_as_string(hide_password=False)
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(url))
    async with asyncio.TaskGroup() as group:
        opened = [group.create_task(open_store(settings)) for _ in range(2)]
    for task in opened:
        await task.result().close()
