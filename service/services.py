"""Everything a request may use, wired once by `service/asgi.py`.

It refuses to know how any part works, and starts none of them.
"""

from dataclasses import dataclass

from registry.artifact_store import ArtifactStore
from registry.blobs import Blobs
from registry.settings import Settings
from registry.store import Store
from service.assembly import PartStore
from service.auth import Keyring
from service.disconnect import Departures
from service.fleet.fleet import Fleet
from service.following import Following
from service.interaction_log import InteractionLog
from service.limits import Limiter
from service.metrics import ServiceMetrics
from service.reconcile import Reconciler
from service.reports import Reports
from service.routing import RoutingTable
from service.shadow import Shadows
from service.sharing import Sharing
from service.texts import Texts
from service.turnstile import Turnstile
from service.usage import UsageLedger
from service.webhooks.courier import Courier
from service.webhooks.sender import Sender


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of one running service. It lies on `app.state.services`."""

    settings: Settings
    """Every setting."""
    store: Store
    """The records."""
    blobs: Blobs
    """The content of data files."""
    part_store: PartStore
    """The parts of pending uploads."""
    following: Following
    """The streams of jobs' events."""
    sender: Sender
    """Sends webhooks."""
    courier: Courier
    """Delivers what waits for webhooks."""
    artifacts: ArtifactStore
    """The files of adapters."""
    reports: Reports
    """What is right and wrong with data files."""
    metrics: ServiceMetrics
    """What Prometheus reads."""
    fleet: Fleet
    """The vLLM servers."""
    routing: RoutingTable
    """Which version answers which name."""
    sharing: Sharing
    """What the service processes tell one another."""
    reconciler: Reconciler
    """Keeps every replica's adapters as wanted, and knows which are loaded."""
    interaction_log: InteractionLog
    """Writes interactions behind the requests."""
    shadows: Shadows
    """Answers copies of requests, unseen."""
    texts: Texts
    """Which texts are kept."""
    keyring: Keyring
    """The valid API keys."""
    turnstile: Turnstile
    """Bounds the requests in flight."""
    departures: Departures
    """Gives up requests whose client went away."""
    limiter: Limiter
    """Requests and tokens a minute of each key."""
    usage: UsageLedger
    """What keys used, until the interaction log writes it down."""
