"""Every part of the service, made and given what it needs; nothing is started here.

It refuses to know what the parts do.
"""

import time
from functools import partial

from prometheus_client import CollectorRegistry

from registry.artifact_store import ArtifactStore
from registry.blobs import Blobs
from registry.settings import Settings
from registry.store import Store
from service.assembly import PartStore
from service.auth import Keyring
from service.demand import Demand
from service.disconnect import Departures
from service.fleet.discovery import discovery_of
from service.fleet.fleet import Fleet
from service.following import Following
from service.interaction_log import InteractionLog
from service.limits import Counters, Limiter, open_counting
from service.metrics import ServiceMetrics
from service.reconcile import Reconciler
from service.reports import Reports
from service.routing import RoutingTable
from service.services import Services
from service.shadow import Shadows
from service.sharing import Sharing
from service.snapshot import SnapshotReader
from service.texts import Texts
from service.turnstile import Turnstile
from service.usage import UsageLedger
from service.vllm import Engine
from service.webhooks.addresses import Reachable
from service.webhooks.courier import Courier
from service.webhooks.sender import Sender


def wire(settings: Settings, store: Store) -> Services:
    """Return every part of a service, made and not started."""
    metrics = ServiceMetrics(CollectorRegistry())
    fleet = _fleet(settings, metrics)
    routing = RoutingTable(SnapshotReader(store, settings.base_name))
    usage = UsageLedger(metrics.usage_dropped)
    demand = Demand(metrics)
    sharing = Sharing(store, demand)
    reconciler = Reconciler(
        settings=settings,
        store=store,
        fleet=fleet,
        routing=routing,
        metrics=metrics,
        demand=demand,
        sharing=sharing,
    )
    interaction_log = InteractionLog(
        store, metrics, usage, max_bytes=settings.interaction_queue_bytes
    )
    shadows = Shadows(
        fleet=fleet,
        reconciler=reconciler,
        routing=routing,
        interaction_log=interaction_log,
        metrics=metrics,
        concurrency=settings.shadow_concurrency,
    )
    sender = _sender(settings)
    blobs = Blobs(settings.files_dir)
    return Services(
        settings=settings,
        store=store,
        blobs=blobs,
        reports=Reports(settings, blobs),
        part_store=PartStore(settings.uploads_dir),
        following=_following(settings, store, metrics),
        sender=sender,
        courier=_courier(settings, store, sender, metrics, sharing.process),
        artifacts=ArtifactStore(settings),
        metrics=metrics,
        fleet=fleet,
        routing=routing,
        sharing=sharing,
        reconciler=reconciler,
        interaction_log=interaction_log,
        shadows=shadows,
        texts=Texts(store),
        keyring=Keyring(store),
        turnstile=_turnstile(settings, metrics),
        departures=Departures(),
        limiter=_limiter(settings, metrics),
        usage=usage,
    )


def _fleet(settings: Settings, metrics: ServiceMetrics) -> Fleet:
    key = settings.engine_key.get_secret_value() if settings.engine_key else None
    deadline = settings.request_deadline_seconds
    make_engine = partial(Engine, key=key, deadline_seconds=deadline)
    return Fleet(discovery_of(settings), make_engine, metrics)


def _limiter(settings: Settings, metrics: ServiceMetrics) -> Limiter:
    url = settings.limits_url.get_secret_value() if settings.limits_url else None
    counters = Counters(open_counting(url), metrics.limit_counter_failures, clock=time.time)
    return Limiter(counters, clock=time.time)


def _following(settings: Settings, store: Store, metrics: ServiceMetrics) -> Following:
    following = Following(
        store, most=settings.max_event_streams, stream_seconds=settings.event_stream_seconds
    )
    metrics.event_streams.set_function(lambda: following.streams)
    return following


def _sender(settings: Settings) -> Sender:
    reachable = Reachable(
        plain_http=settings.webhook_plain_http, private=settings.webhook_private_addresses
    )
    return Sender(reachable, deadline_seconds=settings.webhook_deadline_seconds)


def _courier(
    settings: Settings, store: Store, sender: Sender, metrics: ServiceMetrics, process: str
) -> Courier:
    retry_seconds = settings.webhook_retry_hours * 3600
    return Courier(store, sender, metrics, process=process, retry_seconds=retry_seconds)


def _turnstile(settings: Settings, metrics: ServiceMetrics) -> Turnstile:
    turnstile = Turnstile(
        places=settings.max_in_flight,
        queue=settings.max_queued,
        wait_seconds=settings.queue_seconds,
    )
    metrics.queued.set_function(lambda: turnstile.waiting)
    metrics.admitted.set_function(lambda: turnstile.taken)
    return turnstile
