"""Replicas that answer with server errors: who is spared, who is ejected, what is asked again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.fleet.health import EJECT_AFTER_ERRORS, Standing
from tests.replicas import answered, everywhere, prompt
from tests.serving import CHAT, Serving, serving

NAME = "ft:tiny-base:default:test:00000001"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over two fake engines that serve one version."""
    async with serving(tmp_path, replicas=2) as running:
        await running.serve(NAME)
        await everywhere(running, NAME)
        yield running


def ejections(stack: Serving) -> float:
    """Return how often a replica was ejected."""
    names = (replica.name for replica in stack.services.fleet.replicas)
    return sum(stack.metric("graftline_replica_ejections_total", replica=name) for name in names)


async def statuses(stack: Serving, requests: int) -> list[int]:
    """Ask so many times, no two prompts alike, and return the statuses."""
    return [(await stack.chat(NAME, messages=prompt(n))).status for n in range(requests)]


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_replica_that_fails_again_and_again_is_ejected(stack: Serving, status: int) -> None:
    """So many requests in a row see its error, and none that follows."""
    stack.vllms[0].faults.answer_status = status
    seen = await statuses(stack, 40)
    assert seen.count(status) == EJECT_AFTER_ERRORS
    assert seen[-10:] == [200] * 10
    assert ejections(stack) == 1


async def test_errors_inside_streams_eject_alike(stack: Serving) -> None:
    """Their status was 200 before the error came."""
    stack.vllms[0].faults.error_after_events = 1
    for number in range(40):
        body = {"model": NAME, "messages": prompt(number), "stream": True}
        async with stack.client.post(CHAT, json=body) as response:
            await response.read()
    assert answered(stack.vllms[0], NAME) == EJECT_AFTER_ERRORS
    assert ejections(stack) == 1


async def test_one_bad_request_ejects_nobody(stack: Serving) -> None:
    """A server error between answers tells of the request."""
    for vllm in stack.vllms:
        vllm.faults.answer_status = 500
    assert await statuses(stack, EJECT_AFTER_ERRORS - 1) == [500] * (EJECT_AFTER_ERRORS - 1)
    for vllm in stack.vllms:
        vllm.faults.answer_status = None
    await statuses(stack, 20)
    assert ejections(stack) == 0
    assert stack.all_up()


async def test_refusals_of_requests_eject_nobody(stack: Serving) -> None:
    """A 4xx is the client's."""
    for vllm in stack.vllms:
        vllm.faults.answer_status = 422
    assert await statuses(stack, 30) == [422] * 30
    assert stack.all_up()


async def test_the_last_replica_is_never_ejected(stack: Serving) -> None:
    """When every one fails, one of two goes and the other one stays."""
    for vllm in stack.vllms:
        vllm.faults.answer_status = 500
    await statuses(stack, 40)
    assert ejections(stack) == 1
    standings = [replica.health.standing for replica in stack.services.fleet.replicas]
    assert sorted(standings) == [Standing.EJECTED, Standing.UP]


async def test_a_replica_that_cannot_begin_is_passed_over(stack: Serving) -> None:
    """A 503 means that nothing was done: the other one answers, and it is counted."""
    stack.vllms[0].faults.answer_status = 503
    assert await statuses(stack, 40) == [200] * 40
    assert stack.metric("graftline_retries_total", reason="declined") == EJECT_AFTER_ERRORS
    assert ejections(stack) == 1


async def test_when_no_replica_can_begin_the_client_is_told(stack: Serving) -> None:
    """Each was asked once; the answer says when to come back."""
    for vllm in stack.vllms:
        vllm.faults.answer_status = 503
    answer = await stack.chat(NAME)
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert "takes no requests now" in (await answer.json())["error"]["message"]
    assert [answered(vllm, NAME) for vllm in stack.vllms] == [1, 1]


async def test_other_server_errors_are_not_asked_again(stack: Serving) -> None:
    """The replica may have worked on them, and the next one would again."""
    for vllm in stack.vllms:
        vllm.faults.answer_status = 500
    assert (await stack.chat(NAME)).status == 500
    assert sum(answered(vllm, NAME) for vllm in stack.vllms) == 1
