"""Webhooks: delivered at least once to a real receiver, and never where they may not go."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import openai
import pytest
from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult
from prometheus_client import CollectorRegistry

from registry.lifecycle import JobStatus
from registry.records import DeliveryStatus, JobEvent, Lease, WebhookDelivery
from registry.records import WebhookEndpoint as Endpoint
from registry.store import Store
from service.metrics import ServiceMetrics
from service.webhooks.addresses import Reachable
from service.webhooks.courier import LEASE, MOST_FOR_ONE, Courier
from service.webhooks.sender import Sender
from service.webhooks.signing import new_webhook_secret
from tests.records import fine_tuning_job
from tests.webhook_receiver import Receiver

HOUR = 3600.0


class LeadsInside(ThreadedResolver):
    """A look-up that finds this very machine behind every name."""

    async def resolve(
        self,
        host: str,  # noqa: ARG002 - every name
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """Return the loopback address."""
        return await super().resolve("127.0.0.1", port, family)


@dataclass
class Post:
    """A courier with a clock of its own, a receiver, and an endpoint that leads to it."""

    courier: Courier
    """The courier."""
    receiver: Receiver
    """The receiver."""
    store: Store
    """The records."""
    endpoint: Endpoint
    """The endpoint."""
    now: list[float]
    """The time, which a test moves."""

    async def ended(self, job: str = "ftjob-1") -> None:
        """Let a job fail."""
        event = JobEvent(id=f"e-{job}", job_id=job, created_at=1, level="info", message="x")
        await self.store.jobs.add(fine_tuning_job(job), event)
        await self.store.jobs.move(job, JobStatus.FAILED, finished_at=int(self.now[0]))

    async def delivery(self) -> WebhookDelivery:
        """Return the newest delivery."""
        page = await self.store.webhooks.deliveries(self.endpoint.id, after=None, limit=1)
        return page.data[0]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Listen."""
    with Receiver.listening() as listening:
        yield listening


@pytest.fixture
async def post(store: Store, receiver: Receiver) -> AsyncIterator[Post]:
    """Make a courier that waits for nobody longer than half a second."""
    now = [1_800_000_000.0]
    reachable = Reachable(plain_http=True, private=True)
    sender = Sender(reachable, deadline_seconds=0.5, clock=lambda: now[0])
    courier = Courier(
        store,
        sender,
        ServiceMetrics(CollectorRegistry()),
        process="here",
        retry_seconds=72 * HOUR,
        clock=lambda: now[0],
        chance=lambda: 0.5,
    )
    endpoint = Endpoint(
        id="we-1",
        project="default",
        name="ours",
        url=receiver.url,
        event_types=["fine_tuning.job.failed"],  # type: ignore[list-item]  # the enum's own word
        secret=new_webhook_secret(),
        created_at=1,
        updated_at=1,
    )
    await store.webhooks.add(endpoint, most=9)
    yield Post(courier, receiver, store, endpoint, now)
    await sender.close()


async def test_an_event_is_delivered_once_and_signed(post: Post) -> None:
    """The client verifies it with the endpoint's secret; a second look sends nothing."""
    await post.ended()
    assert await post.courier.once() == 1
    assert await post.courier.once() == 0
    (got,) = post.receiver.taken
    client = openai.OpenAI(api_key="none")
    # The clock of the test is not the client's, which looks at its own.
    client.webhooks.verify_signature(
        got.body, got.headers, secret=post.endpoint.secret, tolerance=10**9
    )
    assert b'"ftjob-1"' in got.body
    told = await post.delivery()
    assert told.status is DeliveryStatus.DELIVERED
    assert got.headers["webhook-id"] == told.event_id


async def test_a_receiver_that_fails_is_tried_again_later(post: Post) -> None:
    """After ever longer pauses, with the same id and body, until it takes it."""
    post.receiver.answers += [500, 503]
    await post.ended()
    for pause in (0.0, 5.0, 10.0):
        post.now[0] += pause - 0.1
        assert await post.courier.once() == 0 or not pause
        post.now[0] += 0.1
        await post.courier.once()
    told = await post.delivery()
    assert [each["status"] for each in told.attempts] == [500, 503, 200]
    assert len({(got.headers["webhook-id"], got.body) for got in post.receiver.taken}) == 1
    assert told.status is DeliveryStatus.DELIVERED


async def test_a_receiver_that_never_answers_is_left_after_the_deadline(post: Post) -> None:
    """And tried again."""
    post.receiver.answers += [0]
    await post.ended()
    async with asyncio.timeout(10):
        await post.courier.once()
    told = await post.delivery()
    assert told.status is DeliveryStatus.PENDING
    assert told.attempts[0]["status"] is None
    assert "0.5 s" in told.attempts[0]["error"]


async def test_a_redirect_is_not_followed(post: Post) -> None:
    """It could lead anywhere."""
    post.receiver.answers += [302]
    await post.ended()
    await post.courier.once()
    assert [got.path for got in post.receiver.taken] == ["/hook"]
    assert "redirects" in (await post.delivery()).attempts[0]["error"]


async def test_who_is_gone_is_told_no_more(post: Post) -> None:
    """410 says so."""
    post.receiver.answers += [410]
    await post.ended()
    await post.courier.once()
    assert (await post.delivery()).status is DeliveryStatus.GIVEN_UP


async def test_a_delivery_is_given_up_after_three_days(post: Post) -> None:
    """Every try stays on the list."""
    post.receiver.answers += [500] * 100
    await post.ended()
    tries = 0
    while (told := await post.delivery()).status is DeliveryStatus.PENDING:
        post.now[0] = max(post.now[0], told.next_attempt_at)
        tries += await post.courier.once()
    assert told.status is DeliveryStatus.GIVEN_UP
    assert len(told.attempts) == tries == 29
    assert 68 * HOUR < told.attempts[-1]["at"] - told.created_at <= 72 * HOUR


async def test_one_process_delivers_at_a_time(post: Post, store: Store) -> None:
    """Another one's lease keeps this one from it until its time is over."""
    await post.ended()
    lease = Lease(name=LEASE, holder="there", expires_at=post.now[0] + 10)
    assert await store.leases.take(lease, now=post.now[0])
    assert await post.courier.once() == 0
    post.now[0] += 11
    assert await post.courier.once() == 1


async def test_one_endpoint_does_not_take_every_place(post: Post) -> None:
    """What else waits for it comes after the others."""
    for number in range(MOST_FOR_ONE + 2):
        await post.ended(f"ftjob-{number}")
    assert await post.courier.once() == MOST_FOR_ONE


async def test_after_a_rotation_both_secrets_sign_for_a_day(post: Post) -> None:
    """Then the new one alone."""
    old, new = post.endpoint.secret, new_webhook_secret()
    await post.store.webhooks.change(
        "we-1",
        project="default",
        secret=new,
        old_secret=old,
        old_secret_until=int(post.now[0]) + 86_400,
    )
    verify = openai.OpenAI(api_key="none").webhooks.verify_signature
    await post.ended()
    await post.courier.once()
    got = post.receiver.taken[-1]
    for secret in (old, new):
        verify(got.body, got.headers, secret=secret, tolerance=10**9)
    post.now[0] += 86_400
    await post.ended("ftjob-2")
    await post.courier.once()
    got = post.receiver.taken[-1]
    verify(got.body, got.headers, secret=new, tolerance=10**9)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        verify(got.body, got.headers, secret=old, tolerance=10**9)


async def test_a_name_that_leads_inside_is_refused_when_it_is_looked_up(
    receiver: Receiver,
) -> None:
    """The URL alone does not show it; nothing is sent."""
    sender = Sender(
        Reachable(plain_http=True, private=False), deadline_seconds=5, names=LeadsInside()
    )
    port = receiver.url.rpartition(":")[2]
    endpoint = Endpoint(
        id="we-1",
        project="default",
        name="ours",
        url=f"http://hooks.example:{port}",
        event_types=[],
        secret=new_webhook_secret(),
        created_at=1,
        updated_at=1,
    )
    delivery = WebhookDelivery(
        id="whd-1",
        endpoint_id="we-1",
        project="default",
        event_id="evt-1",
        event_type="fine_tuning.job.failed",  # type: ignore[arg-type]  # the enum's own word
        subject="ftjob-1",
        created_at=1,
        status=DeliveryStatus.PENDING,
        next_attempt_at=1,
    )
    attempt = await sender.send(endpoint, delivery)
    await sender.close()
    assert attempt.status is None
    assert "no public address" in str(attempt.error)
    assert receiver.taken == []
