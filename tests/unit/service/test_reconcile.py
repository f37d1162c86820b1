"""An adapter version's life in the engine: loaded, examined, served, drained, deleted."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.errors import Conflict, NotFound, Unavailable
from registry.lifecycle import AdapterStatus
from service.reconcile import Reconciler
from tests.serving import BASE, PATIENCE_SECONDS, Serving, serving

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine."""
    async with serving(tmp_path) as running:
        yield running


async def load_error(stack: Serving, name: str) -> str | None:
    """Return what the API says of the last step on a version."""
    async with stack.client.get(f"/v1/adapters/{name}") as answer:
        error: str | None = (await answer.json())["load_error"]
        return error


async def gone(stack: Serving, name: str) -> None:
    """Wait until the engine does not hold an adapter any more."""
    async with asyncio.timeout(5):
        while name in stack.services.reconciler.loaded:
            await stack.passed()


async def test_a_published_version_is_loaded_examined_and_ready(stack: Serving) -> None:
    """Its figures are stored, and its metrics set."""
    await stack.publish(NAME)
    version = await stack.until(NAME, AdapterStatus.READY)
    assert version.probe is not None
    assert version.probe["effect_nats"] == pytest.approx(0.5)
    assert version.probe["difference_nats"] == pytest.approx(0.0)
    assert stack.metric("graftline_adapter_probe_effect_nats", model=NAME) == pytest.approx(0.5)
    assert NAME in stack.services.reconciler.loaded


async def test_an_adapter_that_changes_nothing_is_rejected_and_never_served(
    stack: Serving,
) -> None:
    """The engine accepted it; the probe did not. It is unloaded and answers 409 with the reason."""
    stack.vllm.effects[NAME] = 0.0
    await stack.publish(NAME)
    version = await stack.until(NAME, AdapterStatus.REJECTED)
    assert "changes nothing" in (version.reason or "")
    assert version.probe is not None
    await gone(stack, NAME)
    response = await stack.chat(NAME)
    assert response.status == 409
    assert "changes nothing" in (await response.json())["error"]["message"]
    assert f"unload {NAME}" in stack.vllm.log
    assert stack.vllm.bodies[-1]["model"] != NAME or "prompt" in stack.vllm.bodies[-1]


async def test_a_fault_nobody_thought_of_stops_one_version_and_no_other(
    stack: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are tended all the same; its record in the API says that something failed."""
    engine = stack.services.fleet.replicas[0].engine
    load = engine.load

    async def fail_for_one(name: str, path: str) -> None:
        if name == NAME:
            raise ZeroDivisionError
        await load(name, path)

    monkeypatch.setattr(engine, "load", fail_for_one)
    await stack.publish(NAME)
    await stack.publish(OTHER)
    await stack.until(OTHER, AdapterStatus.READY)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (fault := await load_error(stack, NAME)) is None:
            await stack.passed()
    assert "ZeroDivisionError" in fault


async def test_an_adapter_that_differs_from_the_trainers_is_rejected(stack: Serving) -> None:
    """The engine computes something else than was trained."""
    await stack.publish(NAME, trainer_shift=2.0)
    version = await stack.until(NAME, AdapterStatus.REJECTED)
    assert "something else" in (version.reason or "")


async def test_an_adapter_the_engine_refuses_is_rejected_after_one_try(stack: Serving) -> None:
    """A 500 is not repeated blindly; the engine's words are the reason."""
    stack.vllm.faults.load_status = 500
    await stack.publish(NAME)
    version = await stack.until(NAME, AdapterStatus.REJECTED)
    assert "rank too high" in (version.reason or "")
    assert stack.vllm.loads == [NAME]


async def test_a_refusal_of_a_dying_engine_rejects_nothing(stack: Serving) -> None:
    """A 500 of an unhealthy engine is the engine's fault; the version gets another chance."""
    stack.vllm.faults.load_status = 500
    stack.vllm.faults.load_gate = asyncio.Event()
    await stack.publish(NAME)
    await stack.vllm.waiting.wait()
    stack.vllm.faults.unhealthy = True
    stack.vllm.faults.load_gate.set()
    async with asyncio.timeout(5):
        while stack.services.reconciler.engine_up:
            await stack.passed()
    assert (await stack.services.store.adapters.get(NAME)).status is AdapterStatus.PUBLISHED
    stack.vllm.faults.load_status = None
    stack.vllm.faults.unhealthy = False
    await stack.until(NAME, AdapterStatus.READY)


@pytest.mark.parametrize("status", [404, 500])
async def test_a_probe_that_the_engine_fails_is_repeated(stack: Serving, status: int) -> None:
    """An engine's bad moment rejects nothing: the version waits, and is examined again."""
    stack.vllm.faults.answer_status = status
    await stack.publish(NAME)
    async with asyncio.timeout(5):
        while not stack.metric("graftline_reconcile_errors_total"):
            await stack.passed()
    assert (await stack.services.store.adapters.get(NAME)).status is AdapterStatus.PUBLISHED
    stack.vllm.faults.answer_status = None
    await stack.until(NAME, AdapterStatus.READY)


async def test_altered_weights_are_rejected_before_they_reach_the_engine(stack: Serving) -> None:
    """The checksum is verified first."""
    stack.vllm.faults.unhealthy = True
    version = await stack.publish(NAME)
    folder = stack.settings.adapters_dir / version.directory
    (folder / "adapter_model.safetensors").write_bytes(b"altered")
    stack.vllm.faults.unhealthy = False
    rejected = await stack.until(NAME, AdapterStatus.REJECTED)
    assert "checksum" in (rejected.reason or "")
    assert stack.vllm.loads == []


async def test_a_restarted_engine_gets_every_version_back(stack: Serving) -> None:
    """Nobody asks; the loop sees that they are missing."""
    await stack.serve(NAME)
    await stack.serve(OTHER)
    stack.vllm.forget()
    async with asyncio.timeout(5):
        while set(stack.vllm.adapters) != {NAME, OTHER}:
            stack.services.reconciler.wake()
            await stack.passed()


async def test_files_that_the_engines_host_waits_for_reject_nothing(stack: Serving) -> None:
    """503 to a load means that the artifact store is away there: it is tried again, and works."""
    stack.vllm.faults.load_status = 503
    await stack.publish(NAME)
    async with asyncio.timeout(20):
        while stack.services.reconciler.fault_of(NAME) is None:
            await stack.passed()
    stack.vllm.faults.load_status = None
    await stack.until(NAME, AdapterStatus.READY)


async def test_deployed_versions_come_back_first(stack: Serving) -> None:
    """After a restart, what serves traffic is loaded before what is merely newer."""
    await stack.serve(NAME)
    await stack.serve(OTHER)
    await stack.deploy("support", NAME)
    stack.vllm.loads.clear()
    stack.vllm.forget()
    async with asyncio.timeout(5):
        while len(stack.vllm.adapters) < 2:
            stack.services.reconciler.wake()
            await stack.passed()
    assert stack.vllm.loads == [NAME, OTHER]


async def test_a_checkpoint_is_not_loaded_before_somebody_asks(stack: Serving) -> None:
    """Checkpoints cost the engine nothing."""
    await stack.publish(NAME, step=10)
    await stack.serve(OTHER)
    assert stack.vllm.loads == [OTHER]


async def test_a_deployed_checkpoint_is_loaded(stack: Serving) -> None:
    """A deployment's version is wanted, whatever it is."""
    await stack.publish(NAME, step=10)
    await stack.deploy("support", NAME)
    await stack.until(NAME, AdapterStatus.READY)


async def test_a_name_that_holds_other_bytes_is_loaded_anew(stack: Serving) -> None:
    """The engine held the name from another path: it is replaced before it serves."""
    stack.vllm.adapters[NAME] = "/elsewhere"
    version = await stack.serve(NAME)
    assert stack.vllm.adapters[NAME] == str(stack.settings.adapters_dir / version.directory)
    assert stack.vllm.log[:2] == [f"unload {NAME}", f"load {NAME}"]


async def test_an_adapter_we_know_nothing_of_is_left_alone(stack: Serving) -> None:
    """An operator may have loaded it."""
    stack.vllm.adapters["somebody-elses"] = "/elsewhere"
    await stack.serve(NAME)
    assert "somebody-elses" in stack.vllm.adapters


async def test_a_retired_version_is_drained_unloaded_and_then_deleted(stack: Serving) -> None:
    """In this order: its last request ends, the engine forgets it, its files go."""
    version = await stack.serve(NAME)
    folder = stack.settings.adapters_dir / version.directory
    stack.vllm.faults.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        last = group.create_task(stack.chat(NAME))
        await stack.vllm.waiting.wait()
        await stack.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
        for _ in range(6):
            await stack.passed()
        assert NAME in stack.vllm.adapters
        assert folder.exists()
        stack.vllm.faults.gate.set()
    assert last.result().status == 200
    await gone(stack, NAME)
    assert NAME not in stack.vllm.adapters
    await stack.until(NAME, AdapterStatus.DELETED)
    assert not folder.exists()


async def test_files_stay_while_the_engine_cannot_be_seen(stack: Serving) -> None:
    """A version is deleted only after it was seen unloaded."""
    version = await stack.serve(NAME)
    stack.vllm.faults.unhealthy = True
    await stack.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
    for _ in range(4):
        await stack.passed()
    assert (stack.settings.adapters_dir / version.directory).exists()


async def test_a_retired_version_is_not_found(stack: Serving) -> None:
    """From the moment the routes are refreshed."""
    await stack.serve(NAME)
    await stack.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
    await stack.services.routing.refresh()
    assert (await stack.chat(NAME)).status == 404


async def test_waiting_for_a_version_that_is_rejected_ends_at_once(stack: Serving) -> None:
    """A hopeless wait is cut short with the reason."""
    stack.vllm.effects[NAME] = 0.0
    version = await stack.publish(NAME)
    with pytest.raises(Conflict, match="changes nothing"):
        async with asyncio.timeout(5):
            await stack.services.reconciler.ensure(version)


async def test_a_version_of_another_base_model_is_a_conflict(stack: Serving) -> None:
    """It can never be loaded here."""
    version = await stack.publish(NAME, base_model="another")
    with pytest.raises(Conflict, match="another"):
        await stack.services.reconciler.ensure(version)
    assert stack.vllm.loads == []


async def test_waiting_while_the_engine_is_down_ends_at_once(stack: Serving) -> None:
    """Down is known: 503 now, not in ten seconds."""
    version = await stack.publish(NAME, step=1)
    await stack.vllm.stop()
    async with asyncio.timeout(5):
        while stack.services.reconciler.engine_up:
            await stack.passed()
    with pytest.raises(Unavailable):
        await stack.services.reconciler.ensure(version)


async def test_a_served_version_whose_files_vanish_is_tried_again_later(
    stack: Serving, tmp_path: Path
) -> None:
    """It stays ready; requests get 503 with the reason, and the others are not held up."""
    version = await stack.serve(NAME)
    folder = stack.settings.adapters_dir / version.directory
    folder.rename(tmp_path / "aside")
    stack.vllm.forget()
    await stack.serve(OTHER)
    response = await stack.chat(NAME)
    assert response.status == 503
    (tmp_path / "aside").rename(folder)
    async with asyncio.timeout(5):
        while NAME not in stack.vllm.adapters:
            await stack.passed()
    assert (await stack.services.store.adapters.get(NAME)).status is AdapterStatus.READY


async def test_a_version_that_was_deleted_meanwhile_is_not_found(stack: Serving) -> None:
    """The wait ends with 404."""
    version = await stack.publish(NAME, step=1)
    await stack.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
    await stack.services.routing.refresh()
    with pytest.raises(NotFound):
        await stack.services.reconciler.ensure(version)


async def test_requests_in_flight_are_counted_by_model(stack: Serving) -> None:
    """The gauge follows what is held."""
    reconciler: Reconciler = stack.services.reconciler
    reconciler.hold(BASE)
    reconciler.hold(BASE)
    assert stack.metric("graftline_in_flight_requests", model=BASE) == 2
    reconciler.release(BASE)
    reconciler.release(BASE)
    assert stack.metric("graftline_in_flight_requests", model=BASE) == 0


async def test_the_states_of_versions_are_metrics(stack: Serving) -> None:
    """By record, and `loaded` as observed."""
    await stack.serve(NAME)
    assert stack.metric("graftline_adapters", state="ready") == 1
    assert stack.metric("graftline_adapters", state="loaded") == 1
    (replica,) = stack.services.fleet.replicas
    assert stack.metric("graftline_engine_up", replica=replica.name) == 1
    assert stack.metric("graftline_replica_adapters", replica=replica.name) == 1
    assert stack.metric("graftline_adapter_loads_total", outcome="loaded") == 1
