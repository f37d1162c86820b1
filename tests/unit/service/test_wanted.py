"""What to do next on one replica."""

from pathlib import Path
from typing import Any

import pytest

from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, Deployment
from service.snapshot import Snapshot
from service.wanted import Action, Situation, Step, actions, demand_of, is_crowded_out, victim
from tests import records
from tests.records import adapter_version as version

BASE = "tiny-base"
ROOT = Path("/adapters")


def deployment(stable: str, **changes: Any) -> Deployment:
    """Return a deployment."""
    return records.deployment(stable=stable, **changes)


def snapshot(*versions: AdapterVersion, deployed: Deployment | None = None) -> Snapshot:
    """Return records."""
    return Snapshot(
        base=BASE,
        versions={one.name: one for one in versions},
        deployments={} if deployed is None else {("default", deployed.name): deployed},
    )


def situation(versions: list[AdapterVersion], loaded: str = "", **changes: Any) -> Situation:
    """Return a situation in which the named versions are loaded and examined."""
    names = loaded.split()
    held = {name: str(ROOT / name) for name in names}
    values: dict[str, Any] = {
        "snapshot": snapshot(*versions),
        "root": ROOT,
        "observed": held,
        "examined": held,
        "held": [one.name for one in versions],
        "fixed": set(),
        "waiting": set(),
        "resting": set(),
        "busy": set(),
        "recent": set(),
        "used": {},
        "room": 10,
        "reserve": 0,
        "may_remove": True,
        **changes,
    }
    return Situation(**values)


def first(one: Situation) -> tuple[Step, str] | None:
    """Return the first step and its version."""
    found: Action | None = next(actions(one), None)
    return None if found is None else (found.step, found.version.name)


A, B, C, D = (version(name) for name in "abcd")


def test_what_is_waited_for_comes_first_then_the_recently_used() -> None:
    """Deployed and pinned ones are apart; a checkpoint nobody asked for is not wanted."""
    records = snapshot(
        version("old", created_at=1),
        version("new", created_at=5),
        version("used", created_at=1),
        version("step", step=7),
        version("pinned", pinned=True),
        version("stable"),
        version("shadow"),
        version("retired", status=AdapterStatus.RETIRED),
        version("foreign", base_model="another"),
        deployed=deployment("stable", shadow="shadow"),
    )
    demand = demand_of(records, waiting={"old"}, used={"used": 9.0})
    assert list(demand.fixed) == ["stable", "shadow", "pinned"]
    assert list(demand.others) == ["old", "used", "new"]


def test_an_asked_for_checkpoint_is_wanted() -> None:
    """From then on."""
    demand = demand_of(snapshot(version("step", step=7)), waiting=set(), used={"step": 1.0})
    assert list(demand.others) == ["step"]


def test_what_is_missing_is_loaded_and_then_examined() -> None:
    """In this order, and then there is nothing to do."""
    assert first(situation([A])) == (Step.LOAD, "a")
    assert first(situation([A], "a", examined={})) == (Step.EXAMINE, "a")
    assert first(situation([A], "a")) is None


def test_a_version_that_failed_lately_rests() -> None:
    """The next one has its turn."""
    assert first(situation([A, B], resting={"a"})) == (Step.LOAD, "b")


def test_a_full_replica_loads_nothing_that_can_wait() -> None:
    """Nor does it evict for it."""
    assert first(situation([A, B, C], "a b", room=2)) is None


def test_the_least_recently_used_makes_room_for_what_is_waited_for() -> None:
    """By the last request, or the time it was made."""
    full = situation([A, B, C], "a b", room=2, waiting={"c"}, used={"a": 9.0, "b": 5.0})
    assert first(full) == (Step.EVICT, "b")


def test_what_lives_elsewhere_is_evicted_first() -> None:
    """Even when it was used later."""
    full = situation(
        [A, B, C], "a b", room=2, waiting={"c"}, held=["b", "c"], used={"a": 9.0, "b": 5.0}
    )
    assert first(full) == (Step.EVICT, "a")


@pytest.mark.parametrize("kept", ["fixed", "waiting", "busy"])
def test_what_is_needed_is_never_evicted(kept: str) -> None:
    """Deployed or pinned, waited for, or in flight: another one goes."""
    full = situation([A, B, C], "a b", room=2, used={"b": 5.0}, **{kept: {"a"}})
    spare = victim(full)
    assert spare is not None
    assert spare.name == "b"


def test_without_anything_to_evict_a_waiting_version_is_crowded_out() -> None:
    """And the bound holds: it is not loaded."""
    full = situation([A, B, C], "a b", room=2, waiting={"c"}, busy={"a", "b"})
    assert first(full) is None
    assert is_crowded_out(full, "c")
    assert not is_crowded_out(full, "a")


def test_an_operators_own_adapter_takes_a_place_and_stays() -> None:
    """What we know nothing of is counted and never evicted."""
    full = situation([A, B], "a stranger", room=2, waiting={"b"}, busy={"a"})
    assert victim(full) is None
    assert is_crowded_out(full, "b")


def test_a_deployed_version_is_loaded_beyond_the_room() -> None:
    """Production does not fail for the sake of a bound."""
    full = situation([A, B, C], "a b", room=2, fixed={"a", "b", "c"})
    assert first(full) == (Step.LOAD, "c")


def test_a_process_without_the_lease_takes_nothing_away() -> None:
    """It neither evicts nor unloads; the one with the lease does."""
    gone = version("gone", status=AdapterStatus.RETIRED)
    full = situation([A, B, gone], "a gone", room=2, waiting={"b"}, may_remove=False, reserve=1)
    assert first(full) is None
    assert not is_crowded_out(full, "b")


def test_places_are_left_for_loads_of_other_processes() -> None:
    """So that together they never exceed the bound."""
    assert first(situation([A, B], "a", room=2, reserve=1, may_remove=False)) is None
    assert first(situation([A, B], "a", room=3, reserve=1, may_remove=False)) == (Step.LOAD, "b")


def test_a_retired_version_in_use_is_not_unloaded() -> None:
    """Its last request ends first."""
    gone = version("gone", status=AdapterStatus.RETIRED)
    assert first(situation([gone], "gone", busy={"gone"})) is None
    assert first(situation([gone], "gone", recent={"gone"})) is None
    assert first(situation([gone], "gone")) == (Step.UNLOAD, "gone")


def test_a_replica_with_too_many_gets_rid_of_some() -> None:
    """As when the bound was lowered."""
    full = situation([A, B, C], "a b c", room=2, used={"a": 3.0, "b": 2.0})
    assert first(full) == (Step.EVICT, "c")


def test_other_bytes_under_a_name_are_replaced_by_the_one_that_may_unload() -> None:
    """A load unloads them first."""
    other = {"a": "/elsewhere"}
    assert first(situation([A], observed=other)) == (Step.LOAD, "a")
    assert first(situation([A], observed=other, may_remove=False)) is None
