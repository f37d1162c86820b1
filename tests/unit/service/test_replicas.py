"""Several replicas under one service: requests and adapters find their way around every fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.lifecycle import AdapterStatus
from service.fleet.choice import PREFIX_SLACK
from tests.replicas import answered, chats, down, drawn_to, everywhere, in_flight, prompt
from tests.serving import BASE, CHAT, Serving, serving

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over two fake engines."""
    async with serving(tmp_path, replicas=2) as running:
        yield running


async def test_a_version_is_loaded_and_examined_on_every_replica(stack: Serving) -> None:
    """And answers from each of them."""
    await stack.serve(NAME)
    await everywhere(stack, NAME)
    answers = await chats(stack, NAME, [prompt(number) for number in range(20)])
    assert {answer.status for answer in answers} == {200}
    assert all(answered(vllm, NAME) for vllm in stack.vllms)
    assert [vllm.loads for vllm in stack.vllms] == [[NAME], [NAME]]


async def test_busy_replicas_are_spared(stack: Serving) -> None:
    """While one replica's answers hang, the other one gets what comes."""
    stuck, free = stack.vllms
    liked = await drawn_to(stack, stuck)
    stuck.faults.gate = asyncio.Event()
    before = answered(stuck, BASE)
    async with asyncio.TaskGroup() as group:
        hanging = [
            group.create_task(stack.chat(BASE, messages=liked)) for _ in range(PREFIX_SLACK + 1)
        ]
        await in_flight(stack, PREFIX_SLACK + 1)
        answers = [await stack.chat(BASE, messages=prompt(number)) for number in range(10)]
        assert [answer.status for answer in answers] == [200] * 10
        assert answered(stuck, BASE) == before + PREFIX_SLACK + 1
        stuck.faults.gate.set()
    assert all(task.result().status == 200 for task in hanging)
    assert free.bodies


async def test_requests_that_begin_alike_meet_one_replica(stack: Serving) -> None:
    """It has their beginning in its cache; other beginnings meet the other one."""
    for vllm in stack.vllms:
        liked = await drawn_to(stack, vllm)
        before = answered(vllm, BASE)
        for _ in range(10):
            await stack.chat(BASE, messages=liked)
        assert answered(vllm, BASE) == before + 10


async def test_a_beginning_that_everybody_sends_spills_over(stack: Serving) -> None:
    """Its replica is never more than the slack and one request busier than the other."""
    first, second = stack.vllms
    liked = await drawn_to(stack, first)
    before = answered(first, BASE), answered(second, BASE)
    first.faults.gate = second.faults.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(chats(stack, BASE, [liked] * 12))
        await in_flight(stack, 12)
        first.faults.gate.set()
    assert answered(first, BASE) - before[0] == 6 + PREFIX_SLACK // 2
    assert answered(second, BASE) - before[1] == 6 - PREFIX_SLACK // 2


async def test_a_stopped_replica_fails_no_request(stack: Serving) -> None:
    """Its connections are refused: the other one answers, and the retry is counted."""
    await stack.serve(NAME)
    await everywhere(stack, NAME)
    await stack.vllms[0].stop()
    answers = await chats(stack, NAME, [prompt(number) for number in range(20)])
    assert [answer.status for answer in answers] == [200] * 20
    assert answered(stack.vllms[1], NAME) == 20


async def test_a_replica_that_dies_under_requests_fails_none_of_them(stack: Serving) -> None:
    """They had not begun to be answered: the other replica answers them, once each."""
    first, second = stack.vllms
    first.faults.gate = second.faults.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stack.chat(BASE)) for _ in range(10)]
        await first.waiting.wait()
        await second.waiting.wait()
        await first.stop()
        second.faults.gate.set()
    assert [task.result().status for task in tasks] == [200] * 10
    interrupted = stack.metric("graftline_retries_total", reason="interrupted")
    assert interrupted >= 1


async def test_streams_that_had_begun_on_a_dead_replica_end_with_an_error(stack: Serving) -> None:
    """They are never sent again; those on the other replica end as they should."""
    first, second = stack.vllms
    first.faults.gate = second.faults.gate = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def stream() -> bytes:
        body = {"model": BASE, "messages": [], "stream": True}
        async with stack.client.post(CHAT, json=body) as response:
            head = await response.content.readany()
            begun.release()
            return head + await response.content.read()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stream()) for _ in range(8)]
        for _ in tasks:
            await begun.acquire()
        lost, kept = answered(first, BASE), answered(second, BASE)
        await first.stop()
        second.faults.gate.set()
    ends = [task.result() for task in tasks]
    assert sum(b'"error"' in end for end in ends) == lost > 0
    assert sum(end.endswith(b"data: [DONE]\n\n") for end in ends) == kept > 0
    assert (answered(first, BASE), answered(second, BASE)) == (lost, kept)


async def test_a_stream_that_had_not_begun_goes_to_the_other_replica(stack: Serving) -> None:
    """Its replica died after the head of the answer and before the first event of it."""
    dying, other = stack.vllms
    liked = await drawn_to(stack, dying)
    dying.faults.die_after_events = 0
    before = answered(other, BASE)
    body = {"model": BASE, "messages": liked, "stream": True}
    async with stack.client.post(CHAT, json=body) as response:
        assert response.status == 200
        assert (await response.read()).endswith(b"data: [DONE]\n\n")
    assert answered(other, BASE) == before + 1


async def test_a_request_that_kills_replicas_is_sent_to_two_of_them_only(tmp_path: Path) -> None:
    """The third one lives."""
    async with serving(tmp_path, replicas=3) as stack:
        for vllm in stack.vllms:
            vllm.faults.die_at_once = True
        answer = await stack.chat(BASE)
        assert answer.status == 503
        assert sum(answered(vllm, BASE) for vllm in stack.vllms) == 2


async def test_with_one_replica_there_is_nobody_else_to_ask(tmp_path: Path) -> None:
    """The request fails at once, and says what happened."""
    async with serving(tmp_path) as stack:
        await stack.serve(NAME)
        stack.vllm.faults.die_at_once = True
        async with asyncio.timeout(3):
            answer = await stack.chat(NAME)
        assert answer.status == 503
        assert "stopped while answering" in (await answer.json())["error"]["message"]


async def test_a_replica_gets_its_adapters_back_before_their_traffic(stack: Serving) -> None:
    """Killed and started again: it loads, is examined, and only then answers for them."""
    await stack.serve(NAME)
    await stack.serve(OTHER)
    await everywhere(stack, NAME)
    await everywhere(stack, OTHER)
    first = stack.vllms[0]
    await first.stop()
    await down(stack, 0)
    first.forget()
    first.bodies.clear()
    first.log.clear()
    first.faults.load_gate = asyncio.Event()
    await first.start()
    await first.waiting.wait()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stack.chat(NAME)) for _ in range(10)]
    assert {task.result().status for task in tasks} == {200}
    assert answered(first, NAME) == 0
    first.faults.load_gate.set()
    await everywhere(stack, NAME)
    await everywhere(stack, OTHER)
    assert set(first.adapters) == {NAME, OTHER}
    assert first.log.index(f"load {NAME}") < first.log.index(f"answer {NAME}")


async def test_a_restarted_replica_that_applies_nothing_gets_no_traffic(stack: Serving) -> None:
    """The version stays ready and answers from the other one; the fault is counted."""
    await stack.serve(NAME)
    await everywhere(stack, NAME)
    first = stack.vllms[0]
    first.effects[NAME] = 0.0
    await first.stop()
    await down(stack, 0)
    first.forget()
    first.bodies.clear()
    await first.start()
    async with asyncio.timeout(5):
        while not stack.metric("graftline_adapter_loads_total", outcome="ineffective"):
            await stack.passed()
    assert [(await stack.chat(NAME)).status for _ in range(6)] == [200] * 6
    assert answered(first, NAME) == 0
    assert (await stack.services.store.adapters.get(NAME)).status is AdapterStatus.READY


async def test_damaged_files_stop_one_replica_and_not_the_others(stack: Serving) -> None:
    """The version that served before goes on where it is loaded; the damage is counted."""
    version = await stack.serve(NAME)
    await everywhere(stack, NAME)
    weights = stack.settings.adapters_dir / version.directory / "adapter_model.safetensors"
    weights.write_bytes(b"damaged")
    first = stack.vllms[0]
    first.loads.clear()
    first.forget()
    stack.services.reconciler.wake()
    async with asyncio.timeout(5):
        while not stack.metric("graftline_adapter_loads_total", outcome="corrupt"):
            await stack.passed()
    assert first.loads == []
    assert [(await stack.chat(NAME)).status for _ in range(6)] == [200] * 6


async def test_a_slow_replica_delays_no_other(stack: Serving) -> None:
    """One replica's load hangs; the version answers from the other one."""
    slow, quick = stack.vllms
    slow.faults.load_gate = asyncio.Event()
    await stack.serve(NAME)
    assert set(quick.adapters) == {NAME}
    assert slow.adapters == {}
    assert (await stack.chat(NAME)).status == 200
    await stack.serve(OTHER)
    slow.faults.load_gate.set()


async def test_the_base_models_figures_are_asked_once_for_each_replica(stack: Serving) -> None:
    """A probe of the next version costs one request a row."""
    await stack.serve(NAME)
    await everywhere(stack, NAME)
    await stack.serve(OTHER)
    await everywhere(stack, OTHER)
    for vllm in stack.vllms:
        probes = [body["model"] for body in vllm.bodies if "prompt_logprobs" in body]
        assert sorted(probes) == sorted([BASE, NAME, OTHER])


async def test_readiness_needs_one_replica_and_shows_each(stack: Serving) -> None:
    """With one of two down requests can be served; with both down they cannot."""
    await stack.vllms[0].stop()
    await down(stack, 0)
    async with stack.client.get("/health/ready") as response:
        engine = (await response.json())["parts"]["engine"]
    assert engine["ok"]
    assert engine["detail"] == (
        f"{stack.vllms[0].url} does not answer, {stack.vllms[1].url} answers"
    )
    await stack.vllms[1].stop()
    await down(stack, 1)
    async with stack.client.get("/health/ready") as response:
        assert response.status == 503


async def test_each_replica_has_its_metrics(stack: Serving) -> None:
    """Whether it is up, and how many adapters it holds."""
    await stack.serve(NAME)
    await everywhere(stack, NAME)
    await stack.vllms[0].stop()
    await down(stack, 0)
    await stack.passed()
    first, second = (replica.name for replica in stack.services.fleet.replicas)
    assert stack.metric("graftline_engine_up", replica=first) == 0
    assert stack.metric("graftline_engine_up", replica=second) == 1
    assert stack.metric("graftline_replica_adapters", replica=second) == 1


async def test_a_retired_version_goes_from_every_replica_before_its_files(stack: Serving) -> None:
    """And its series go with it."""
    version = await stack.serve(NAME)
    await everywhere(stack, NAME)
    await stack.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
    await stack.until(NAME, AdapterStatus.DELETED)
    assert [vllm.adapters for vllm in stack.vllms] == [{}, {}]
    assert not (stack.settings.adapters_dir / version.directory).exists()
    async with asyncio.timeout(5):
        while stack.services.metrics.registry.get_sample_value(
            "graftline_adapter_probe_effect_nats", {"model": NAME}
        ):
            await stack.passed()


async def test_files_stay_while_a_replica_cannot_be_seen(stack: Serving) -> None:
    """It may hold the version still."""
    version = await stack.serve(NAME)
    await everywhere(stack, NAME)
    await stack.vllms[0].stop()
    await down(stack, 0)
    await stack.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
    for _ in range(8):
        await stack.passed()
    assert (stack.settings.adapters_dir / version.directory).exists()
