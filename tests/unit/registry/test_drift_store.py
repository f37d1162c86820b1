"""The rows that drift is computed from, and the reports on it, on both databases."""

from typing import Any

import msgspec
import pytest

from registry.records import (
    Arm,
    DeploymentChange,
    DriftFigure,
    DriftReport,
    DriftState,
    DriftStatistic,
    DriftTarget,
    FeatureDrift,
    FeatureKind,
    InteractionText,
)
from registry.store import Store
from registry.store.batches import packed
from tests.records import deployment, interaction

TARGET = DriftTarget(project="default", deployment="support", arm=Arm.STABLE, model="tiny-base")


def report(**changes: object) -> DriftReport:
    """Return a report with one feature."""
    made = DriftReport(
        project="default",
        deployment="support",
        arm=Arm.STABLE,
        model="tiny-base",
        state=DriftState.ACT,
        computed_at=5.5,
        reference_rows=9,
        reference_since=1.25,
        reference_until=2.5,
        window_rows=0,
        window_since=None,
        window_until=None,
        features=[
            FeatureDrift(
                feature="messages",
                kind=FeatureKind.NUMBER,
                state=DriftState.ACT,
                reason="psi 0.3 is 0.2 or more.",
                reference_rows=9,
                window_rows=8,
                rows_needed=None,
                figures=[DriftFigure(statistic=DriftStatistic.PSI, value=0.3, low=0.1, high=0.5)],
            )
        ],
    )
    return msgspec.structs.replace(made, **changes)


def change_of(name: str, stable: str = "tiny-base", action: str = "create") -> DeploymentChange:
    """Return a line of history."""
    return DeploymentChange(
        deployment=name,
        project="default",
        generation=1,
        action=action,
        actor="key-1",
        created_at=1,
        stable=stable,
        candidate=None,
        candidate_weight=0.0,
    )


async def deploy(store: Store, name: str = "support", **changes: object) -> None:
    """Store a deployment."""
    await store.deployments.add(deployment(name, **changes), change_of(name))


async def answer(store: Store, count: int, first: int = 0, **changes: object) -> None:
    """Store answered requests to the deployment."""
    chosen = {"deployment": "support", "arm": Arm.STABLE} | changes
    await store.interactions.add_many(
        [
            interaction(f"chatcmpl-{first + n}", created_at=100.0 + first + n, **chosen)
            for n in range(count)
        ]
    )


async def test_targets_are_what_deployments_point_at(store: Store) -> None:
    """Stable and candidate, by name; a shadow is none."""
    await deploy(store, candidate="ft:a", shadow="ft:b")
    await deploy(store, "another")
    assert [(each.deployment, each.arm, each.model) for each in await store.drift.targets()] == [
        ("another", "stable", "tiny-base"),
        ("support", "candidate", "ft:a"),
        ("support", "stable", "tiny-base"),
    ]


async def test_rows_come_from_either_end(store: Store) -> None:
    """The oldest first from a place on; or the newest first before one, and after another."""
    await answer(store, 6, features={"messages": 2.0}, finish_reason=None)
    first = await store.drift.rows(TARGET, after=-1, limit=2)
    latest = await store.drift.rows(TARGET, after=first[-1].seq, before=2**62, limit=3)
    more = await store.drift.rows(TARGET, after=first[-1].seq, before=latest[-1].seq, limit=9)
    assert [row.created_at for row in first] == [100, 101]
    assert [row.created_at for row in latest] == [105, 104, 103]
    assert [row.created_at for row in more] == [102]
    assert (first[0].features, first[0].finish_reason) == ({"messages": 2.0}, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "other"},
        {"deployment": "another"},
        {"deployment": None, "arm": Arm.NONE},
        {"arm": Arm.SHADOW},
        {"arm": Arm.CANDIDATE},
        {"model": "ft:a"},
    ],
)
async def test_rows_are_the_targets_alone(store: Store, changes: dict[str, Any]) -> None:
    """No other project's, deployment's, arm's or version's."""
    await answer(store, 3, **changes)
    assert await store.drift.rows(TARGET, after=-1, limit=9) == []


async def test_the_first_since_a_moment(store: Store) -> None:
    """The place of the oldest interaction not older than that; none when all are."""
    await answer(store, 3)
    rows = await store.drift.rows(TARGET, after=-1, limit=9)
    assert await store.drift.first_since(100.5) == rows[1].seq
    assert await store.drift.first_since(200) is None


async def test_kept_texts_are_found_within_reach(store: Store) -> None:
    """Every second one is kept; no more interactions are looked at than may be."""
    await answer(store, 8, unit_hash="u")
    texts = [
        InteractionText(
            interaction_id=f"chatcmpl-{n}",
            project="default",
            request={"prompt": f"p{n}"},
            answer="a",
            created_at=1.0,
        )
        for n in range(0, 8, 2)
    ]
    await store.interactions.add_packed([], [packed(text) for text in texts])
    near = await store.drift.kept(TARGET, after=-1, newest=False, reach=4, limit=9)
    far = await store.drift.kept(TARGET, after=near[0].seq, newest=True, reach=4, limit=1)
    assert [place.id for place in near] == ["chatcmpl-0", "chatcmpl-2"]
    assert [(place.id, place.unit_hash) for place in far] == [("chatcmpl-6", "u")]
    found = await store.drift.texts("default", [near[1].id])
    assert [text.request for text in found] == [{"prompt": "p2"}]
    assert await store.drift.texts("other", [near[1].id]) == []


async def test_a_report_comes_back_as_it_went_in(store: Store) -> None:
    """Every field of every figure."""
    await deploy(store)
    await store.drift.save(report())
    assert await store.drift.latest() == [report()]


async def test_a_report_takes_the_place_of_the_last(store: Store) -> None:
    """One for each arm, however often it is computed."""
    await deploy(store)
    for moment in (1.0, 2.0):
        await store.drift.save(report(computed_at=moment))
    assert [each.computed_at for each in await store.drift.latest()] == [2.0]


async def test_when_each_target_was_compared_last(store: Store) -> None:
    """Only of what a deployment points at still."""
    await deploy(store)
    await store.drift.save(report(computed_at=7.5))
    await store.drift.save(report(arm=Arm.CANDIDATE, model="ft:gone"))
    assert await store.drift.computed() == {TARGET: 7.5}


async def test_reports_of_a_project_and_a_deployment(store: Store) -> None:
    """And those computed last, where only some are wanted."""
    await deploy(store)
    await deploy(store, "another")
    await store.drift.save(report())
    await store.drift.save(report(deployment="another", computed_at=9.0))
    assert await store.drift.latest(project="other") == []
    assert [each.deployment for each in await store.drift.latest(limit=1)] == ["another"]
    found = await store.drift.latest(project="default", deployment="support")
    assert [each.deployment for each in found] == ["support"]


@pytest.mark.parametrize("changes", [{"model": "ft:gone"}, {"arm": Arm.CANDIDATE}])
async def test_what_nothing_points_at_has_no_report(
    store: Store, changes: dict[str, object]
) -> None:
    """It is not shown, and the sweep deletes it."""
    await deploy(store)
    await store.drift.save(report(**changes))
    assert await store.drift.latest() == []
    assert await store.drift.sweep() == 1


async def test_a_retired_version_has_no_report(store: Store) -> None:
    """A deployment that let go of it lets go of its drift; the deleted deployment's goes too."""
    await deploy(store, candidate="ft:a")
    await store.drift.save(report(arm=Arm.CANDIDATE, model="ft:a"))
    await store.drift.save(report())
    await store.deployments.replace(
        deployment("support", generation=2), change_of("support", action="update")
    )
    assert [each.arm for each in await store.drift.latest()] == [Arm.STABLE]
    await store.deployments.delete("support", change_of("support", action="delete"))
    assert await store.drift.latest() == []
    assert await store.drift.sweep() == 2
