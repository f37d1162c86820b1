"""The watch over drift, on a real store: when it compares, what it shows, and what it survives."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import update

from evals.drift.gathering import Sizes
from evals.drift.watch import Schedule, Watch
from evals.metrics import Metrics
from registry.errors import Unavailable
from registry.records import (
    Arm,
    DriftReport,
    DriftState,
    Interaction,
    InteractionText,
    Project,
)
from registry.store import Store, tables
from registry.store.batches import packed
from tests.records import deployment, interaction
from tests.unit.evals import setting
from tests.unit.evals.drift_rows import drawn
from tests.unit.registry.test_drift_store import change_of, deploy

SIZES = Sizes(reference_rows=200, window_rows=200)
DAY = 86_400.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def make(
    store: Store, metrics: Metrics | None = None, clock: Clock | None = None, every: float = 300
) -> Watch:
    """Return a watch with small samples."""
    schedule = Schedule(every_seconds=every, sizes=SIZES, floor_rows=100, look_seconds=0.01)
    return Watch(store, metrics or Metrics(), schedule, clock=clock or Clock())


def answered(count: int, seed: int, **changes: object) -> list[Interaction]:
    """Return requests to the deployment, drawn at random."""
    moved = {name: changes.pop(name) for name in ("longer",) if name in changes}
    chosen = {"deployment": "support", "arm": Arm.STABLE} | changes
    return [
        interaction(
            f"chatcmpl-{seed}-{place}",
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            finish_reason=row.finish_reason,
            features=row.features,
            created_at=float(place),
            **chosen,
        )
        for place, row in enumerate(drawn(count, seed, **moved))  # type: ignore[arg-type] # tests' own
    ]


async def planted(store: Store) -> None:
    """Deploy a version whose latest requests are twice as long as its first."""
    await deploy(store)
    await store.interactions.add_many(answered(200, 1))
    await store.interactions.add_many(answered(200, 2, longer=2.0))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return a gauge of the stable version's."""
    target = {
        "project": "default",
        "deployment": "support",
        "arm": "stable",
        "model": "tiny-base",
    }
    return metrics.registry.get_sample_value(f"graftline_drift_{name}", target | labels)


async def test_planted_drift_is_stored_and_shown(store: Store) -> None:
    """State, figure with bounds, rows of both sides and time, as gauges."""
    await planted(store)
    metrics = Metrics()
    assert await make(store, metrics).step() == 1
    (report,) = await store.drift.latest()
    assert (report.state, report.reference_rows, report.window_rows) == (DriftState.ACT, 200, 200)
    assert (report.reference_since, report.reference_until) == (0.0, 199.0)
    psi = {"feature": "body_bytes", "statistic": "psi"}
    shown = [value(metrics, "statistic", **psi, bound=b) for b in ("low", "estimate", "high")]
    assert shown == sorted(filter(None, shown))
    assert (shown[1] or 0) > 0.2
    assert value(metrics, "state", feature="body_bytes", state="act") == 1
    assert value(metrics, "state", feature="body_bytes", state="steady") == 0
    assert value(metrics, "state", feature="temperature", state="too_few") == 1
    assert value(metrics, "rows", feature="body_bytes", side="window") == 200
    assert value(metrics, "computed_timestamp_seconds") == 1_000


async def test_unknown_is_absent(store: Store) -> None:
    """A feature with too few rows has no figure, and a statistic without bounds shows none."""
    await planted(store)
    metrics = Metrics()
    await make(store, metrics).step()
    smirnov = {"feature": "body_bytes", "statistic": "kolmogorov_smirnov"}
    assert value(metrics, "statistic", **smirnov, bound="estimate") is not None
    assert value(metrics, "statistic", **smirnov, bound="low") is None
    absent = {"feature": "temperature", "statistic": "psi", "bound": "estimate"}
    assert value(metrics, "statistic", **absent) is None


async def test_figures_outlive_a_restart(store: Store) -> None:
    """A process that starts anew shows them at once and computes nothing before its time."""
    await planted(store)
    await make(store).step()
    metrics, clock = Metrics(), Clock()
    clock.now = 1_299.0
    anew = make(store, metrics, clock)
    assert await anew.step() == 0
    assert value(metrics, "state", feature="body_bytes", state="act") == 1
    clock.now = 1_300.0
    assert await anew.step() == 1


async def test_a_version_that_is_let_go_is_shown_no_more(store: Store) -> None:
    """A retired version is no deployment's: its series end, and its report goes."""
    await planted(store)
    metrics = Metrics()
    watch = make(store, metrics)
    await watch.step()
    following = deployment(stable="ft:next", generation=2)
    await store.deployments.replace(following, change_of("support", action="promote"))
    await watch.step()
    assert value(metrics, "state", feature="body_bytes", state="act") is None
    assert [report.model for report in await store.drift.latest()] == ["ft:next"]


async def test_a_version_without_requests_has_too_few(store: Store) -> None:
    """No data is never healthy."""
    await deploy(store)
    await make(store).step()
    (report,) = await store.drift.latest()
    assert (report.state, report.reference_since) == (DriftState.TOO_FEW, None)
    assert {each.rows_needed for each in report.features} == {300}


async def test_the_window_never_has_rows_of_the_reference(store: Store) -> None:
    """While the reference grows there is no window."""
    await deploy(store)
    await store.interactions.add_many(answered(150, 1))
    await make(store).step()
    (report,) = await store.drift.latest()
    assert (report.reference_rows, report.window_rows) == (150, 0)


async def test_only_the_latest_rows_are_in_the_window(store: Store) -> None:
    """What was between the two is forgotten."""
    await planted(store)
    await store.interactions.add_many(answered(200, 3))
    await make(store).step()
    (report,) = await store.drift.latest()
    assert report.state is DriftState.STEADY


async def test_nothing_is_compared_or_shown_when_it_is_turned_off(store: Store) -> None:
    """What was stored stays, and goes stale nowhere."""
    await planted(store)
    await make(store).step()
    metrics = Metrics()
    assert await make(store, metrics, every=0).step() == 0
    assert value(metrics, "computed_timestamp_seconds") is None


async def keep_texts(store: Store, word: str, seed: int, count: int) -> None:
    """Store requests with their texts."""
    rows = answered(count, seed)
    texts = [
        InteractionText(
            interaction_id=row.id,
            project="default",
            request={"messages": [{"role": "user", "content": f"{word} {place % 9}"}]},
            answer="done",
            created_at=row.created_at,
        )
        for place, row in enumerate(rows)
    ]
    await store.interactions.add_packed(
        [packed(row) for row in rows], [packed(text) for text in texts]
    )


async def test_texts_are_compared_where_a_project_keeps_them(store: Store) -> None:
    """Other words in the latest requests than in the first."""
    await deploy(store)
    await keep_texts(store, "where is my parcel", 1, 200)
    await keep_texts(store, "my tax form", 2, 150)
    await store.projects.put(Project(name="default", text_share=1.0))
    await make(store).step()
    (report,) = await store.drift.latest()
    found = {each.feature: each for each in report.features}
    sides = (found["prompt_text"].reference_rows, found["prompt_text"].window_rows)
    assert sides == (200, 150)
    assert found["prompt_text"].state is DriftState.ACT
    assert found["answer_text"].state is DriftState.STEADY


async def test_texts_whose_time_is_over_are_no_reference(store: Store) -> None:
    """Though the sweep has not deleted them yet."""
    await deploy(store)
    await keep_texts(store, "where is my parcel", 1, 200)
    await keep_texts(store, "my tax form", 2, 150)
    await store.projects.put(Project(name="default", text_share=1.0, text_retention_days=1))
    clock = Clock()
    clock.now = 2 * DAY
    await make(store, clock=clock).step()
    (report,) = await store.drift.latest()
    found = {each.feature: each for each in report.features}
    assert found["prompt_text"].reference_rows == 0


async def test_texts_are_left_alone_where_a_project_does_not_want_them_kept(store: Store) -> None:
    """Also those that it kept before."""
    await deploy(store)
    await keep_texts(store, "where is my parcel", 1, 200)
    await make(store).step()
    (report,) = await store.drift.latest()
    assert "prompt_text" not in {each.feature for each in report.features}


async def test_a_target_that_fails_does_not_stop_the_next(store: Store) -> None:
    """A row that cannot be read is logged, and its target tried again in its time."""
    await deploy(store, "another")
    await store.interactions.add_many([interaction("odd", deployment="another", arm=Arm.STABLE)])
    await planted(store)
    odd = tables.interactions.c.id == "odd"
    async with store.database.write() as connection:
        await connection.execute(update(tables.interactions).where(odd).values(features=[1]))
    clock = Clock()
    watch = make(store, clock=clock)
    assert await watch.step() == 2
    assert [report.deployment for report in await store.drift.latest()] == ["support"]
    assert await watch.step() == 0
    clock.now += 300
    assert await watch.step() == 2


@pytest.mark.parametrize("failure", [Unavailable("database", "away"), LookupError("unforeseen")])
async def test_a_failure_is_waited_out(store: Store, failure: Exception) -> None:
    """The loop goes on, and with it the exams beside it."""
    await planted(store)

    class Away:
        """Fails once, as a display of a store that is away."""

        shown: Sequence[DriftReport] = ()
        failures = 0

        def show_drift(self, reports: Sequence[DriftReport]) -> None:
            """Fail the first time."""
            if not self.failures:
                self.failures += 1
                raise failure
            self.shown = reports

    display = Away()
    schedule = Schedule(every_seconds=300, sizes=SIZES, floor_rows=100, look_seconds=0.01)

    async def is_shown() -> bool:
        return bool(display.shown)

    async with asyncio.TaskGroup() as group:
        loop = group.create_task(Watch(store, display, schedule, clock=Clock()).run())
        await setting.until(is_shown)
        loop.cancel()
    assert display.failures == 1
