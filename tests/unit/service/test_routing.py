"""Which version answers which name, for whom."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from registry.errors import Invalid, NotFound, Unavailable
from registry.lifecycle import AdapterStatus
from registry.records import ANY_PROJECT, AdapterVersion, Arm, Deployment, RampStep
from service import routing
from service.routing import Route, RoutingTable, resolve
from service.snapshot import Snapshot
from tests import records
from tests.records import adapter_version

BASE = "tiny-base"


def version(name: str, project: str = "p", **changes: Any) -> AdapterVersion:
    """Return a version."""
    return adapter_version(name, project=project, **changes)


def deployment(name: str = "support", project: str = "p", **changes: Any) -> Deployment:
    """Return a deployment of the version `v1`."""
    return records.deployment(name, **({"project": project, "stable": "v1"} | changes))


def picture(versions: list[AdapterVersion], deployments: list[Deployment]) -> Snapshot:
    """Return a snapshot."""
    return Snapshot(
        base=BASE,
        versions={each.name: each for each in versions},
        deployments={(each.project, each.name): each for each in deployments},
    )


def nobody(_sources: Sequence[str]) -> None:
    """Read no unit."""


def route(snapshot: Snapshot, model: str, project: str = "p", **changes: Any) -> Route:
    """Return the route of a request without a unit, unless told."""
    return resolve(
        snapshot,
        model,
        project,
        unit_of=lambda _sources: changes.get("unit"),
        draw=changes.get("draw", 0.5),
        now=changes.get("now", 0.0),
    )


def test_the_base_model_is_open_to_every_project() -> None:
    """Its name leads to itself."""
    found = route(picture([], []), BASE, "anyone")
    assert (found.model, found.version, found.arm) == (BASE, None, Arm.NONE)


def test_a_version_leads_to_itself() -> None:
    """Named directly, a version has no deployment and no arm."""
    found = route(picture([version("v1")], []), "v1")
    assert (found.model, found.deployment, found.arm) == ("v1", None, Arm.NONE)


def test_a_named_unit_is_hashed() -> None:
    """The unit itself is not in the route."""
    found = route(picture([version("v1")], []), "v1", unit="someone")
    assert found.unit_hash is not None
    assert "someone" not in found.unit_hash


@pytest.mark.parametrize("status", [AdapterStatus.RETIRED, AdapterStatus.DELETED])
def test_a_version_that_is_gone_is_not_found(status: AdapterStatus) -> None:
    """Retired and deleted versions answer nothing."""
    with pytest.raises(NotFound):
        route(picture([version("v1", status=status)], []), "v1")


def test_a_version_of_another_project_is_not_found() -> None:
    """Nor is it said that it exists."""
    with pytest.raises(NotFound):
        route(picture([version("v1", "other")], []), "v1")


def test_a_key_of_every_project_sees_every_version() -> None:
    """The evals module examines versions of all projects."""
    found = route(picture([version("v1", "other")], []), "v1", ANY_PROJECT)
    assert (found.model, found.project) == ("v1", "other")


def test_a_deployment_without_a_candidate_is_stable() -> None:
    """A weight without a candidate means nothing."""
    snapshot = picture([version("v1")], [deployment(candidate_weight=1.0)])
    found = route(snapshot, "support")
    assert (found.model, found.deployment, found.arm) == ("v1", "support", Arm.STABLE)


def test_a_draw_decides_for_a_request_without_a_unit() -> None:
    """Below the weight the candidate answers, else the stable version."""
    snapshot = picture(
        [version("v1"), version("v2")], [deployment(candidate="v2", candidate_weight=0.5)]
    )
    assert route(snapshot, "support", draw=0.49).model == "v2"
    assert route(snapshot, "support", draw=0.5).model == "v1"


def test_a_unit_decides_whatever_the_draw() -> None:
    """A split is sticky."""
    snapshot = picture(
        [version("v1"), version("v2")], [deployment(candidate="v2", candidate_weight=0.5)]
    )
    found = {route(snapshot, "support", unit="u", draw=draw / 10).model for draw in range(10)}
    assert len(found) == 1


def test_the_unit_is_read_where_the_deployment_says() -> None:
    """And nowhere before the deployment is known."""
    asked: list[Sequence[str]] = []

    def unit_of(sources: Sequence[str]) -> str:
        asked.append(sources)
        return "u"

    snapshot = picture([version("v1")], [deployment(unit_from=["metadata.conversation"])])
    for model in ("support", "v1"):
        resolve(snapshot, model, "p", unit_of=unit_of, draw=0.5, now=0.0)
    assert asked == [["metadata.conversation"], ()]


def test_a_ramp_is_where_the_clock_is() -> None:
    """The same picture leads elsewhere later."""
    ramp = [RampStep(at=10, weight=0.4), RampStep(at=20, weight=0.6)]
    snapshot = picture([version("v1"), version("v2")], [deployment(candidate="v2", ramp=ramp)])
    met = [route(snapshot, "support", draw=0.5, now=now).model for now in (9.0, 10.0, 20.0)]
    assert met == ["v1", "v1", "v2"]


def test_the_shadow_comes_with_the_route() -> None:
    """A version that is asked for by its own name has none."""
    snapshot = picture([version("v1")], [deployment(shadow="v2", shadow_share=0.5)])
    found = [route(snapshot, model) for model in ("support", "v1")]
    assert [(each.shadow, each.shadow_share) for each in found] == [("v2", 0.5), (None, 0.0)]


def test_a_deployment_may_stand_on_the_base_model() -> None:
    """Before the first adapter."""
    found = route(picture([], [deployment(stable=BASE)]), "support")
    assert (found.model, found.version, found.arm) == (BASE, None, Arm.STABLE)


def test_a_deployment_of_a_version_that_is_unknown_is_not_found() -> None:
    """Never the base model in its place."""
    with pytest.raises(NotFound, match="v1"):
        route(picture([], [deployment()]), "support")


def test_a_deployment_of_another_project_is_not_found() -> None:
    """Names of deployments are each project's own."""
    with pytest.raises(NotFound):
        route(picture([version("v1")], [deployment(project="other")]), "support")


def test_a_key_of_every_project_finds_the_only_deployment_of_a_name() -> None:
    """One project has it."""
    snapshot = picture([version("v1")], [deployment()])
    assert route(snapshot, "support", ANY_PROJECT).project == "p"


def test_a_key_of_every_project_cannot_choose_between_two_deployments() -> None:
    """Two projects have it: the request is ambiguous."""
    snapshot = picture([version("v1")], [deployment(), deployment(project="other")])
    with pytest.raises(Invalid):
        route(snapshot, "support", ANY_PROJECT)


def test_an_unknown_name_is_not_found_for_a_key_of_every_project() -> None:
    """The same answer as for the others."""
    with pytest.raises(NotFound):
        route(picture([], []), "support", ANY_PROJECT)


def test_before_the_first_picture_nothing_is_known() -> None:
    """Unknown is not empty: 503, not 404."""

    async def read() -> Snapshot:
        return picture([], [])

    with pytest.raises(Unavailable):
        RoutingTable(read).resolve(BASE, caller_project="p", unit_of=nobody, draw=0.0, now=0.0)


async def test_a_refresh_changes_the_routes_at_once() -> None:
    """The picture is replaced as a whole."""
    pictures = [picture([], []), picture([version("v1")], [])]

    async def read() -> Snapshot:
        return pictures.pop(0)

    table = RoutingTable(read)
    await table.refresh()
    await table.refresh()
    assert table.resolve("v1", caller_project="p", unit_of=nobody, draw=0.0, now=0.0).model == "v1"


async def test_a_failed_refresh_keeps_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, with the last picture, while the database is away."""
    monkeypatch.setattr(routing, "REFRESH_SECONDS", 0.0)
    tries = asyncio.Semaphore(0)
    answers: list[Snapshot] = [picture([version("v1")], [])]

    async def read() -> Snapshot:
        tries.release()
        if answers:
            return answers.pop()
        raise Unavailable("database", "away")

    table = RoutingTable(read)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(table.run())
        for _ in range(3):
            await tries.acquire()
        loop.cancel()
    assert "v1" in table.snapshot.versions
